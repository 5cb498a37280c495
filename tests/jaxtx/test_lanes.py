"""A chunk in stretches: measured beside training or in turn, with the same bytes either way."""

from dataclasses import replace
from threading import Event

import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks.speed.work import Work
from coretx.models.registry import build_models
from coretx.models.spec import InputShape
from coretx.tasks.sampling import Dataset
from coretx.training.backend import load_backend
from coretx.training.loop import Population, start, train_chunk
from jaxtx.blocks import stretch_epochs
from jaxtx.lanes import Chunk, Lane
from jaxtx.members import Best, Carry, Path, Schedule
from jaxtx.optimizer import Adam

ROWS = 60
PATIENCE = 20


def train_loop(members, strategy, epochs, *, noise=False):
    """Train an attention model, validated on its own rows or on noise, and return its history and state."""
    spec = build_models(["self_attention"])[0]
    rng = np.random.default_rng(0)
    x = rng.standard_normal((ROWS, 5, 2), dtype=np.float32)
    data = Dataset(x, (x[:, 0].sum(axis=1) > 0).astype(np.float32))
    val = Dataset(x, rng.integers(2, size=ROWS).astype(np.float32)) if noise else data
    access = load_backend("jax", "cpu").open(spec, InputShape(5, 2), members, "float32", strategy)
    population = Population(spec, 0, "toy", members)
    start(access, population)
    history = train_chunk(access, population, data, {"val": val, "test": data}, range(epochs))
    return history, access.state()


@pytest.mark.parametrize("epochs", [25, 20, 4])
def test_member_measured_beside_its_training_equals_one_measured_in_turn(epochs):
    (alone, state), (several, states) = train_loop(1, "solo", epochs), train_loop(2, "loop", epochs)
    assert {name: values.shape for name, values in alone.items()} == dict.fromkeys(alone, (1, epochs))
    assert {name: values[0].tobytes() for name, values in alone.items()} == {
        name: values[0].tobytes() for name, values in several.items()
    }
    assert {name: values[0].tobytes() for name, values in state.items()} == {
        name: values[0].tobytes() for name, values in states.items()
    }


@pytest.mark.parametrize(("noise", "stretch"), [(False, 2), (True, 0)])
def test_best_epoch_is_that_of_least_validation_loss_in_any_stretch(noise, stretch):
    history, state = train_loop(1, "solo", 25, noise=noise)
    assert state["best_epoch"] == history["loss_val"].argmin()
    assert state["best_epoch"] // 9 == stretch
    assert state["best_loss"] == pytest.approx(history["loss_val"].min(), rel=1e-6)


VECTOR, ZERO = jnp.zeros(1), jnp.int32(0)
SCHEDULE = Schedule(jnp.zeros((1, 1, 1), int), jnp.ones((1, 1, 1)), jnp.ones(1), jnp.ones(()))


class Stub:
    """Two programs that write down when they begin; a stretch is measured when it may be, or never."""

    def __init__(self, stretches: int) -> None:
        self.order: list[str] = []
        self.may_measure = [Event() for _ in range(stretches)]
        adam = Adam(*[jnp.zeros(())] * len(Adam._fields))
        rows = jnp.zeros((1, 1, 1)), jnp.zeros(1)
        numbers = [(jnp.int32(i), jnp.int32(1)) for i in range(stretches)]
        self.chunk = Chunk(self.train, self.measure, numbers, adam, rows, {})
        self.lane = Lane(Carry(VECTOR, VECTOR, VECTOR, ZERO, ZERO), Best(VECTOR, jnp.zeros(()), ZERO))

    def train(self, carry, schedule, adam, first, epochs, data):
        self.order.append(f"train {first}")
        return carry, Path(VECTOR[None], first[None]), VECTOR

    def measure(self, best, path, epochs, data, evaluate):
        place = int(path.epoch[0])
        assert self.may_measure[place].wait(PATIENCE), f"stretch {place} could never be measured"
        self.order.append(f"measure {place}")
        return best._replace(epoch=path.epoch[0]), VECTOR


def test_next_stretch_trains_while_the_last_one_is_measured_and_no_further():
    stub = Stub(3)

    def train(carry, schedule, adam, first, *rest):
        if first == 1:
            stub.may_measure[0].set()  # only now: measured in turn, it would be too late
        if first == 2:
            assert stub.order[-1] == "measure 0"
            stub.may_measure[1].set()
            stub.may_measure[2].set()
        return stub.train(carry, schedule, adam, first, *rest)

    trained, measured = stub.lane.run(stub.chunk._replace(train=train), SCHEDULE, beside=True)
    assert [len(trained), len(measured), int(stub.lane.best.epoch)] == [3, 3, 2]


def test_lane_that_may_not_measures_each_stretch_before_the_next():
    stub = Stub(2)
    for event in stub.may_measure:
        event.set()
    stub.lane.run(stub.chunk, SCHEDULE, beside=False)
    assert stub.order == ["train 0", "measure 0", "train 1", "measure 1"]


@pytest.mark.parametrize("beside", [True, False])
def test_what_measuring_raises_ends_the_chunk(beside):
    stub = Stub(2)

    def measure(*arguments):
        raise MemoryError("no room to measure")

    with pytest.raises(MemoryError, match="no room"):
        stub.lane.run(stub.chunk._replace(measure=measure), SCHEDULE, beside=beside)


@pytest.mark.parametrize(
    ("one_cpu", "width", "epochs"), [(False, 8, 25), (True, 8, 9), (True, 512, 2), (True, 4096, 1)]
)
def test_stretch_is_a_part_of_the_chunk_that_memory_holds(one_cpu, width, epochs):
    spec = Work("multilayer_transformer", width=width).spec
    model = load_backend("jax", "cpu").open(spec, InputShape(5, 2), 1)._programs.layout
    assert stretch_epochs(25, replace(model, one_cpu=one_cpu)) == epochs
