"""The count of operations against a hand and against torch's own counter."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.speed.operations import count
from coretx.errors import UsageError
from coretx.models import architectures
from coretx.models.registry import build_models
from coretx.models.spec import InputShape
from torchtx.models.registry import MODELS

SHAPES = (InputShape(5, 2), InputShape(11, 12))
READS_ONE_STEP = "singlelayer_transformer"
"""Both engines let every step ask where only the answer to CLS is read: what is counted is less than what is done."""


def executed(spec, shape):
    """Return the operations that torch does for one example, forward and backward."""
    model = MODELS[type(spec.architecture)](spec.architecture, shape)
    with FlopCounterMode(display=False) as forward:
        logits = model(torch.zeros(1, *shape))
    with FlopCounterMode(display=False) as backward:
        logits.sum().backward()
    return forward.get_total_flops(), backward.get_total_flops()


def test_self_attention_by_hand():
    # 3 steps of 2 features, width 4: embed, scores, mix, the layer after it, head.
    embed, scores, mix, layer, head = 2 * 3 * 2 * 4, 2 * 3 * 4 * 3, 2 * 3 * 3 * 4, 2 * 3 * 4 * 4, 2 * 1 * 4 * 1
    operations = count(architectures.SelfAttention(width=4), InputShape(3, 2))
    assert operations.forward == embed + scores + mix + layer + head == 296
    assert operations.backward == embed + 2 * (scores + mix + layer + head) == 544  # the input needs no gradient
    assert operations.scores == embed + scores
    assert operations.step == 840
    assert operations.epoch(n_train=10, n_test=3) == 10 * (840 + embed + scores) + 3 * 296


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("spec", build_models(), ids=lambda spec: spec.name)
def test_count_is_what_torch_executes(spec, shape):
    forward, backward = executed(spec, shape)
    operations = count(spec.architecture, shape)
    if spec.name == READS_ONE_STEP:
        assert 0.5 * forward < operations.forward < forward
        assert 0.5 * backward < operations.backward < backward
    else:
        assert (operations.forward, operations.backward) == (forward, backward)


def test_unknown_architecture_is_refused():
    with pytest.raises(UsageError, match="not for object"):
        count(object(), SHAPES[0])
