"""Which class computes which architecture."""

from collections.abc import Mapping

from flax import nnx

from coretx.models import architectures
from jaxtx.models.bahdanau_attention import BahdanauAttention
from jaxtx.models.logreg import LogisticRegression
from jaxtx.models.mlp import MLP
from jaxtx.models.multilayer_transformer import MultiLayerTransformer
from jaxtx.models.self_attention import SelfAttention
from jaxtx.models.singlelayer_transformer import SingleLayerTransformer
from jaxtx.models.temporal import Temporal

MODELS: Mapping[type, type[nnx.Module]] = {
    architectures.LogisticRegression: LogisticRegression,
    architectures.MLP: MLP,
    architectures.Temporal: Temporal,
    architectures.SelfAttention: SelfAttention,
    architectures.SingleLayerTransformer: SingleLayerTransformer,
    architectures.BahdanauAttention: BahdanauAttention,
    architectures.MultiLayerTransformer: MultiLayerTransformer,
}
