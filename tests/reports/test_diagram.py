"""The diagram of a model says what the model is: its shapes and its parameters, all of them, once."""

import numpy as np
import pytest

from coretx.models.registry import build_models
from coretx.models.spec import InputShape
from coretx.reports.pages.diagram import diagram
from coretx.reports.pages.formatting import TIMES
from coretx.training.backend import load_backend

SHAPE = InputShape(5, 12)


def counted(stages):
    """Return the parameters of the outermost stages."""
    return sum(stage.parameters for stage in stages)


@pytest.fixture(scope="module")
def weights_of():
    """A function that returns empty weights of the shapes that a model has."""

    def made(spec):
        manifest = load_backend("jax", "cpu").open(spec, SHAPE, 1).manifest
        return {name: np.zeros((1, *shape), np.float32) for name, shape in manifest.items()}

    return made


@pytest.mark.parametrize("spec", build_models(), ids=lambda spec: spec.name)
def test_every_parameter_of_the_ladder_belongs_to_one_stage(spec, weights_of):
    weights = weights_of(spec)
    stages = diagram(spec.hyperparameters()["architecture"], SHAPE, weights)
    assert stages[0].shape == f"5{TIMES}12"
    assert stages[-1].title == "Logit"
    assert len(stages) > 3
    assert counted(stages) == sum(values[0].size for values in weights.values())


def test_the_parameters_inside_a_block_are_those_of_one_block(weights_of):
    (spec,) = [spec for spec in build_models() if spec.name == "multilayer_transformer"]
    (block,) = [
        stage for stage in diagram(spec.hyperparameters()["architecture"], SHAPE, weights_of(spec)) if stage.inner
    ]
    assert spec.architecture.depth * counted(block.inner) == counted([block])


def test_a_model_that_is_not_of_the_ladder_is_one_box_with_all_its_parameters():
    weights = {"a": np.zeros((2, 3, 4)), "b.c": np.zeros((2, 5))}
    given, own, logit = diagram({"class": "Mine"}, SHAPE, weights)
    assert (given.title, own.title, own.parameters, logit.title) == ("Input", "Mine", 17, "Logit")
