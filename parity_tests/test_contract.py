"""Both engines hold the same parameters under the same names, as many as the original's."""

import numpy as np
import pytest

from coretx.errors import UsageError
from coretx.models.registry import build_models
from parity_tests.cases import ONE_TASK_PER_SHAPE

COUNTS = {
    "logreg": (11, 21, 61, 97, 133),
    "mlp": (193, 353, 993, 1569, 2145),
    "temporal": (54, 86, 214, 217, 220),
    "self_attention": (337, 369, 497, 497, 497),
    "singlelayer_transformer": (1155, 1189, 1325, 1325, 1325),
    "bahdanau_attention": (337, 369, 497, 497, 497),
    "multilayer_transformer": (23457, 23521, 23777, 23777, 23777),
}
"""Parameters on each input shape, as counted in the original; bahdanau_attention without its 17 dead ones."""


def test_every_model_of_the_ladder_runs_in_every_engine_it_names(engines):
    for spec in build_models():
        assert [name for name in engines if engines[name].supports(spec)] == list(spec.engines)


def test_names_and_shapes_of_parameters_agree(model, task, engines, short_case):
    case = short_case(model, task)
    jax, torch = (engines[name].open(case.spec, case.shape, 1).manifest for name in ("jax", "torch"))
    assert list(jax.items()) == list(torch.items())


@pytest.mark.parametrize("model", COUNTS)
def test_parameters_are_as_many_as_the_originals(model, engine, engines, short_case):
    for task, count in zip(ONE_TASK_PER_SHAPE, COUNTS[model], strict=True):
        case = short_case(model, task)
        manifest = engines[engine].open(case.spec, case.shape, 1).manifest
        assert sum(int(np.prod(shape)) for shape in manifest.values()) == count


def test_both_engines_refuse_a_state_of_another_model(engines, engine, short_case):
    other = short_case("mlp").open(engines[engine]).state()
    with pytest.raises(UsageError, match="entry"):
        short_case("logreg").open(engines[engine]).load_state(other)
