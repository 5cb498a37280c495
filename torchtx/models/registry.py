"""Which class computes which architecture."""

from collections.abc import Mapping

from torch import nn

from coretx.models import architectures
from torchtx.models.bahdanau_attention import BahdanauAttention
from torchtx.models.logreg import LogisticRegression
from torchtx.models.mlp import MLP
from torchtx.models.multilayer_transformer import MultiLayerTransformer
from torchtx.models.self_attention import SelfAttention
from torchtx.models.singlelayer_transformer import SingleLayerTransformer
from torchtx.models.temporal import Temporal

MODELS: Mapping[type, type[nn.Module]] = {
    architectures.LogisticRegression: LogisticRegression,
    architectures.MLP: MLP,
    architectures.Temporal: Temporal,
    architectures.SelfAttention: SelfAttention,
    architectures.SingleLayerTransformer: SingleLayerTransformer,
    architectures.BahdanauAttention: BahdanauAttention,
    architectures.MultiLayerTransformer: MultiLayerTransformer,
}
