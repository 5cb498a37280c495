"""The ladder: specs, initial weights, positions, and the parameter counts of the original in both engines."""

import json
import math
from dataclasses import FrozenInstanceError, asdict, dataclass, field, fields, make_dataclass
from itertools import count

import numpy as np
import pytest

from coretx.errors import UsageError
from coretx.models.architectures import MLP
from coretx.models.init import initial_parameters, xavier_uniform
from coretx.models.positions import sinusoids
from coretx.models.registry import build_models
from coretx.models.spec import InputShape, ModelSpec, Optimizer
from coretx.seeds import stream
from coretx.training.backend import ENGINES, load_backend

SCHEDULES = {
    "logreg": (1.0, 1.0),
    "mlp": (0.1, 0.1),
    "temporal": (1.0, 1.0),
    "self_attention": (0.4, 0.2),
    "singlelayer_transformer": (0.04, 0.02),
    "bahdanau_attention": (0.5, 0.1),
    "multilayer_transformer": (0.004, 0.002),
}
SHAPES = {
    "numeric": InputShape(5, 2),
    "has_all_tokens": InputShape(5, 4),
    "single_digit": InputShape(5, 12),
    "two_digit": InputShape(8, 12),
    "multi_digit": InputShape(11, 12),
}
DEAD_SCORER = 17
COUNTS = {
    "logreg": (11, 21, 61, 97, 133),
    "mlp": (193, 353, 993, 1569, 2145),
    "temporal": (54, 86, 214, 217, 220),
    "self_attention": (337, 369, 497, 497, 497),
    "singlelayer_transformer": (1155, 1189, 1325, 1325, 1325),
    "bahdanau_attention": tuple(count - DEAD_SCORER for count in (354, 386, 514, 514, 514)),
    "multilayer_transformer": (23457, 23521, 23777, 23777, 23777),
}


@pytest.fixture(params=list(SCHEDULES))
def spec(request):
    return build_models([request.param])[0]


@pytest.mark.parametrize(("names", "found"), [(None, list(SCHEDULES)), (["mlp", "logreg"], ["mlp", "logreg"])])
def test_ladder_is_that_of_the_original_and_names_give_specs_in_the_order_asked(names, found):
    assert [spec.name for spec in build_models(names)] == found


def test_unknown_model_is_named_with_the_choices():
    with pytest.raises(UsageError, match=r"unknown model 'rnn'; choose from: logreg, mlp, .*multilayer_transformer"):
        build_models(["mlp", "rnn"])


def test_extra_models_stand_after_the_ladder():
    extra = ModelSpec("wide", MLP(64), "Width.")
    assert build_models(extra=[extra])[-1] is extra


@pytest.mark.parametrize("extra", [["mlp"], ["wide", "wide"]])
def test_name_that_is_taken_is_refused(extra):
    with pytest.raises(UsageError, match="a model's name must be its own"):
        build_models(extra=[ModelSpec(name, MLP(), "Again.") for name in extra])


def test_optimizer_is_that_of_the_original(spec):
    others = {"weight_decay": 0.01, "batch_size": 128, "epochs": 1000, "b1": 0.9, "b2": 0.999, "eps": 1e-8}
    assert spec.optimizer == Optimizer(*SCHEDULES[spec.name], **others)


def test_spec_is_frozen_and_equal_specs_hash_alike(spec):
    assert len({spec, *build_models([spec.name])}) == 1
    with pytest.raises(FrozenInstanceError):
        spec.name = "other"


def test_hyperparameters_survive_json(spec):
    values = spec.hyperparameters()
    assert json.loads(json.dumps(values, allow_nan=False)) == values
    assert values["optimizer"]["learning_rate_start"] == SCHEDULES[spec.name][0]


@pytest.mark.parametrize("name", [part.name for part in (*fields(Optimizer), *fields(ModelSpec))])
def test_field_of_an_architecture_hides_nothing_and_is_not_hidden(name):
    """A flat record had one entry for both, so two architectures had one id."""
    kind = make_dataclass("Own", [(name, float, 7.0)], frozen=True)
    first, second = (ModelSpec("own", kind(value), "None.").hyperparameters() for value in (0.5, 0.25))
    assert first["architecture"] == {"class": "Own", name: 0.5}
    assert second["architecture"] == {"class": "Own", name: 0.25}
    assert first["optimizer"] == asdict(Optimizer())


def test_architecture_inside_an_architecture_is_named_too():
    kinds = [make_dataclass(name, [("width", int, 2)], frozen=True) for name in ("Mean", "Sum")]
    outer = make_dataclass("Block", [("mixer", object), ("depth", int, 1)], frozen=True)
    specs = [ModelSpec("own", outer(kind(3)), "None.") for kind in kinds]
    found = [spec.hyperparameters()["architecture"]["mixer"] for spec in specs]
    assert found == [{"class": "Mean", "width": 3}, {"class": "Sum", "width": 3}]
    at_default = ModelSpec("own", outer(kinds[0]()), "None.").at_default()
    assert at_default[:2] == ("architecture.mixer.width", "architecture.depth")


def test_rung_has_a_claim(spec):
    assert spec.claim.endswith(".")


@pytest.mark.parametrize("name", ["../x", "<script>", "index", "a" * 65])
def test_hostile_model_name_is_refused(name):
    with pytest.raises(UsageError, match="a model's name must be"):
        ModelSpec(name, MLP(), "None.")


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", COUNTS)
def test_parameters_are_as_many_as_in_the_original(name, shape, engine):
    """Minus the 17 of bahdanau_attention's scorer, which the original never uses."""
    (spec,) = build_models([name])
    manifest = load_backend(engine).open(spec, SHAPES[shape], 1).manifest
    assert sum(map(math.prod, manifest.values())) == COUNTS[name][list(SHAPES).index(shape)]


@pytest.mark.parametrize(("time", "width"), [(12, 32), (6, 2), (4, 5)])
def test_sinusoids_follow_the_formula(time, width):
    for t in range(time):
        for channel in range(width):
            angle = t / 10000 ** ((channel - channel % 2) / width)
            expected = math.cos(angle) if channel % 2 else math.sin(angle)
            assert sinusoids(time, width)[t, channel] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("shape", [(16, 12), (1, 16), (128, 32)])
def test_matrices_start_uniform_within_the_xavier_bound(shape):
    bound = math.sqrt(6 / sum(shape))
    values = np.stack([xavier_uniform("embed.weight", shape, stream(seed)) for seed in range(200)])
    assert np.abs(values).max() <= bound
    assert np.abs(values).max() > 0.98 * bound
    assert values.mean() == pytest.approx(0, abs=4 * bound / math.sqrt(3 * values.size))
    assert values.var() == pytest.approx(bound**2 / 3, rel=0.05)


@pytest.mark.parametrize(
    ("name", "value"), [("head.bias", 0), ("cls", 0), ("attention_norm.bias", 0), ("attention_norm.weight", 1)]
)
def test_vectors_start_constant(name, value):
    assert (xavier_uniform(name, (8,), stream(0)) == value).all()


@pytest.mark.parametrize(("name", "shape"), [("gate", (4,)), ("conv.weight", (2, 3, 4))])
def test_parameter_without_a_rule_is_named(name, shape):
    with pytest.raises(UsageError, match=rf"'{name}' of shape .*give the ModelSpec its own initializer"):
        xavier_uniform(name, shape, stream(0))


def initial(manifest, members=2, **name):
    return initial_parameters(
        manifest, initializer=xavier_uniform, **{"seed": 0, "task": "t", "model": "m"} | name, members=members
    )


def test_initial_weights_are_float32_with_a_member_axis():
    values = initial({"head.weight": (1, 4), "head.bias": (1,)})
    assert {name: (value.shape, value.dtype) for name, value in values.items()} == {
        "head.weight": ((2, 1, 4), np.float32),
        "head.bias": ((2, 1), np.float32),
    }


def test_each_parameter_of_each_member_has_its_own_stream():
    manifest = {"embed.weight": (4, 4), "head.weight": (1, 4)}
    alone = initial({"head.weight": (1, 4)})["head.weight"]
    assert np.array_equal(initial(manifest, members=3)["head.weight"][:2], alone)
    assert not np.array_equal(alone[0], alone[1])


def test_initializer_that_does_not_go_by_its_generator_is_refused():
    calls = count()

    def counting(name, shape, rng):
        return np.full(shape, float(next(calls)))

    with pytest.raises(UsageError, match=r"model m: the initializer must give equal values .* gave head\.bias two"):
        initial_parameters({"head.bias": (1,)}, initializer=counting, seed=0, task="t", model="m", members=1)


@dataclass(frozen=True)
class Part:
    kind: str = field(default="a", compare=False)


@dataclass(frozen=True)
class Whole:
    flag: int = 1
    part: Part = Part()


@pytest.mark.parametrize("other", [Whole(flag=True), Whole(part=Part("b"))])
def test_value_that_only_compares_equal_to_a_default_is_no_default(other):
    """True == 1, and a field may be left out of a comparison: neither may replace the default in an id."""
    assert other == Whole()
    assert ModelSpec("m", other, "").at_default() != ModelSpec("m", Whole(), "").at_default()
