"""Members over devices and processes: what may be asked for, what is chosen, and that the numbers stay."""

import json
import math
import os
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path

import jax
import numpy as np
import pytest

from coretx.config import EngineOptions, MeshShape, RunConfig
from coretx.errors import UsageError
from coretx.models.registry import build_models
from coretx.models.spec import InputShape
from coretx.training.backend import cores
from jaxtx import placement
from jaxtx.backend import JaxBackend, join_processes
from jaxtx.models.registry import MODELS
from jaxtx.placement import DevicePool, mesh_shape, pick_strategy

ROOT = Path(__file__).resolve().parents[2]
(MLP,) = build_models(["mlp"])

BEGINNING = """
import json, sys
import jax
import numpy as np
from coretx.training.backend import load_backend
from coretx.tasks.sampling import Dataset
from coretx.models.registry import build_models
from coretx.models.spec import InputShape
from coretx.training.loop import Population, start, train_chunk

x = np.random.default_rng(0).standard_normal((40, 5, 2), dtype=np.float32)
data = Dataset(x, (x[:, 0].sum(axis=1) > 0).astype(np.float32))
"""

IN_TWO_DEVICES = """
from coretx.config import EngineOptions, MeshShape

odd = Dataset(x[:39], data.y[:39])
found = {}
for name in ("logreg", "self_attention"):
    (spec,) = build_models([name])
    parted = MeshShape(1, 2)
    ways = (("loop", None, data), ("vmap", None, data), ("shard", None, data), ("shard", parted, data))
    for strategy, mesh, rows in (*ways, ("loop", None, odd), ("shard", parted, odd)):
        backend = load_backend("jax", "cpu", (), EngineOptions(mesh=mesh))
        access = backend.open(spec, InputShape(5, 2), 2, "float64", strategy)
        who = Population(spec, 0, "t", 2, "float64")
        start(access, who)
        history = train_chunk(access, who, rows, {"test": rows}, range(3))
        program = next(iter(access._build(None).train.compiled.values())).as_text()
        found[f"{name} {strategy} {mesh}" + " odd" * (rows is odd)] = {
            "losses": history["loss_test"].tolist(),
            "logits": access.logits(rows.x).tolist(),
            "one_cpu": access._placement.one_cpu,
            "devices": len(access._carries[0].parameters.sharding.device_set),
            "collectives": sum(program.count(f" {name}(") for name in ("all-reduce", "all-gather", "all-to-all")),
        }
json.dump(found, sys.stdout)
"""


def told(code, devices):
    """Return the JSON that a process with so many virtual CPU devices prints."""
    environment = {**os.environ, "JAX_NUM_CPU_DEVICES": str(devices)}
    command = [sys.executable, "-c", BEGINNING + code]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def in_two_devices():
    """What a process with two virtual CPU devices computes, by model, strategy and mesh."""
    return told(IN_TWO_DEVICES, devices=2)


@pytest.mark.parametrize("name", ["logreg", "self_attention"])
@pytest.mark.parametrize("how", ["vmap None", "shard None", "shard members=1,data=2", "shard members=1,data=2 odd"])
def test_members_over_devices_train_as_they_would_alone(in_two_devices, name, how):
    """Also where a batch, here of 39 rows, does not come out even."""
    alone, found = in_two_devices[f"{name} loop None" + " odd" * how.endswith("odd")], in_two_devices[f"{name} {how}"]
    for quantity in ("losses", "logits"):
        expected = np.array(alone[quantity])
        assert np.abs(np.array(found[quantity]) - expected).max() <= 1e-12 * np.abs(expected).max(), quantity
    assert found["devices"] == (2 if "shard" in how else 1)
    assert found["one_cpu"] == ("shard" not in how)  # two programs on a mesh could wait for each other


@pytest.mark.parametrize("name", ["logreg", "self_attention"])
def test_devices_talk_only_where_the_batch_is_parted(in_two_devices, name):
    talk = {how: in_two_devices[f"{name} {how}"]["collectives"] for how in ("shard None", "shard members=1,data=2")}
    assert talk["shard None"] == 0
    assert talk["shard members=1,data=2"] > 0


IN_FOUR_DEVICES = """
import threading
from concurrent.futures import ThreadPoolExecutor
from jaxtx import access
from jaxtx.backend import JaxBackend
from jaxtx.models.registry import MODELS

(spec,) = build_models(["self_attention"])
together = threading.Barrier(4, timeout=60)

def trained(access):
    who = Population(spec, 0, "t", access.members)
    start(access, who)
    history = train_chunk(access, who, data, {"test": data}, range(3))
    state = access.state() | {"logits": access.logits(data.x)} | history
    devices = [device.id for device in access._placement.mesh.devices.flat]
    return {"devices": devices, "bytes": {name: value.tobytes().hex() for name, value in state.items()}}

def meet(*arguments):
    together.wait()
    return ThreadPoolExecutor(*arguments)

alone = trained(JaxBackend(jax.devices("cpu")[:1], MODELS).open(spec, InputShape(5, 2), 1))
backend = load_backend("jax", "cpu")
opened = [backend.open(spec, InputShape(5, 2), 1) for _ in range(4)]
access.ThreadPoolExecutor = meet
with ThreadPoolExecutor(4) as threads:
    found = list(threads.map(trained, opened))
for population in opened[1:3]:
    population.close()
after = [backend.open(spec, InputShape(5, 2), members) for members in (2, 4)]
devices = [[device.id for device in population._placement.mesh.devices.flat] for population in after]
wanted = [backend.max_concurrent_populations(members) for members in (1, 4)]
strategy = backend.strategy(spec, 1)
json.dump({"alone": alone, "found": found, "after": devices, "wanted": wanted, "strategy": strategy}, sys.stdout)
"""


@pytest.fixture(scope="module")
def in_four_devices():
    """What a process with four virtual CPU devices tells of four populations of one member, trained at once."""
    return told(IN_FOUR_DEVICES, devices=4)


def test_as_many_small_populations_as_devices_train_at_once_as_they_would_alone(in_four_devices):
    """All four meet inside their turns: in one turn for all they would never."""
    alone, found = in_four_devices["alone"], in_four_devices["found"]
    assert [alone["devices"], *(population["devices"] for population in found)] == [[0], [0], [1], [2], [3]]
    assert "parameters/head.weight" in alone["bytes"]
    assert all(population["bytes"] == alone["bytes"] for population in found)
    assert in_four_devices["strategy"] == "solo"
    assert in_four_devices["wanted"] == [4, min(4, max(2, cores() // 4))]


def test_closed_population_leaves_its_devices_to_the_next(in_four_devices):
    assert in_four_devices["after"] == [[1, 2], [0, 1, 2, 3]]


def test_population_wider_than_what_is_free_waits_for_all_its_devices():
    pool = DevicePool("abc")
    small, wide = pool.lend(1), pool.lend(3)
    order = []

    def run_wide():
        with wide.turn():
            order.append("wide")

    thread = threading.Thread(target=run_wide)
    with small.turn():
        thread.start()
        thread.join(0.2)
        order.append("small")
    thread.join(20)
    assert (small.devices, wide.devices) == (["a"], ["a", "b", "c"])
    assert order == ["small", "wide"]


def test_populations_that_share_some_devices_never_wait_in_a_circle():
    """Each pair of a ring of three shares one: taken in each one's own order, all could hold one and want another."""
    pool = DevicePool("abc")
    loans = [pool.lend(2) for _ in range(6)]
    assert {"".join(loan.devices) for loan in loans} == {"ab", "ac", "bc"}
    turns = []

    def run(loan):
        for _ in range(300):
            with loan.turn():
                turns.append(loan)

    threads = [threading.Thread(target=run, args=(loan,), daemon=True) for loan in loans]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(turns) == 1800


def test_devices_given_back_twice_are_given_back_once():
    pool = DevicePool("ab")
    first, second = pool.lend(1), pool.lend(1)
    first.give_back()
    first.give_back()
    again, last = pool.lend(1), pool.lend(1)
    assert [loan.devices for loan in (first, second, again, last)] == [["a"], ["b"], ["a"], ["a"]]


def test_processes_that_train_together_all_take_the_first_devices():
    pool = DevicePool("abcd", fixed=True)
    assert [pool.lend(2).devices for _ in range(3)] == [["a", "b"]] * 3


@pytest.mark.parametrize(
    ("members", "devices", "shape"), [(1, 8, (1, 1)), (8, 8, (8, 1)), (6, 4, (3, 1)), (5, 2, (1, 1)), (64, 8, (8, 1))]
)
def test_members_are_parted_evenly_over_as_many_devices_as_can_be(members, devices, shape):
    assert mesh_shape(members, devices, None) == shape


@pytest.mark.parametrize(("devices", "says"), [(8, "asks for 8 devices, but jax sees 4"), (4, "cannot part 6 members")])
def test_mesh_that_cannot_be_is_refused(devices, says):
    with pytest.raises(UsageError, match=says):
        mesh_shape(6, 4, MeshShape(devices, 1))


@pytest.mark.parametrize("text", ["", "4", "members=0", "members=x", "rows=2", "members=2;data=2", "members=-1"])
def test_mesh_that_is_none_is_refused(text):
    with pytest.raises(UsageError, match="--mesh takes numbers of devices"):
        RunConfig(mesh=text)


def test_mesh_reads_back_what_it_prints():
    assert MeshShape.parse(str(MeshShape(4, 2))) == MeshShape(4, 2)


def test_engine_without_mesh_or_processes_says_so(program):
    done = program("--backend", "torch", "--mesh", "members=2")
    assert (done.returncode, done.stderr) == (
        2,
        "error: --mesh and --distributed are for the jax engine; torch runs on one device, in one process\n",
    )


def test_processes_without_a_launcher_are_refused(program):
    done = program("--distributed")
    assert done.returncode == 2
    assert "JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES and JAX_PROCESS_ID" in done.stderr


@pytest.mark.parametrize("device", [[], ["--device", "gpu"], ["--device", "cpu"]], ids=" ".join)
@pytest.mark.parametrize("platforms", ["cuda", "none-such"])
def test_environment_that_leaves_jax_no_device_is_named(program, tmp_path, platforms, device):
    if platforms == "cuda" and shutil.which("nvidia-smi"):
        pytest.skip("there may be one")
    done = program("--out", tmp_path, *device, JAX_PLATFORMS=platforms)
    says = f"error: jax has no device to train on; JAX_PLATFORMS={platforms} leaves it none on this machine: unset it\n"
    assert (done.returncode, done.stderr) == (2, says)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("variable", ["JAX_NUM_PROCESSES", "JAX_PROCESS_ID"])
def test_number_of_processes_that_is_none_is_refused(monkeypatch, variable):
    monkeypatch.setenv(variable, "two")
    with pytest.raises(UsageError, match=rf"{variable} must be a whole number, .*; got 'two'"):
        join_processes()


def test_what_jax_says_of_processes_that_cannot_join_is_told(monkeypatch):
    def refuse():
        raise RuntimeError("no coordinator answers")

    monkeypatch.setattr(jax.distributed, "initialize", refuse)
    for variable in ("JAX_NUM_PROCESSES", "JAX_PROCESS_ID"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(UsageError, match=r"--distributed needs .*; jax says: no coordinator answers"):
        join_processes()


def test_strategy_is_the_measured_one_of_the_nearest_number_of_members(monkeypatch):
    measured = {"cpu": {"MLP": {"8": {"strategy": "loop"}, "32": {"strategy": "vmap"}}}}
    monkeypatch.setattr(placement, "measured_strategies", lambda: measured)
    assert [pick_strategy("cpu", MLP, n, MeshShape()) for n in (1, 2, 8, 15, 17, 256)] == [
        *("solo", "loop", "loop", "loop", "vmap", "vmap")
    ]
    assert pick_strategy("gpu", MLP, 8, MeshShape()) == "vmap", "what was not measured stacks its members"
    assert pick_strategy("cpu", MLP, 8, MeshShape(4, 2)) == "shard members=4,data=2"


def test_every_rung_was_measured_on_a_cpu():
    assert {type(spec.architecture).__name__ for spec in build_models()} == set(placement.measured_strategies()["cpu"])


def test_unknown_strategy_is_refused():
    with pytest.raises(UsageError, match="choose from: solo, loop, vmap, shard"):
        JaxBackend(jax.devices("cpu")[:1], MODELS).open(MLP, InputShape(5, 2), 2, strategy="fast")


def test_matmul_precision_reaches_the_program(rows):
    """A CPU has one precision; what counts is what the compiler is told."""

    def told(precision):
        backend = JaxBackend(jax.devices("cpu")[:1], MODELS, EngineOptions(matmul_precision=precision))
        access = backend.open(MLP, InputShape(5, 2), 1)
        x = jax.ShapeDtypeStruct((4, 5, 2), np.float32)
        vector = jax.ShapeDtypeStruct((sum(map(math.prod, access.manifest.values())),), np.float32)
        program = access._programs.logits
        with jax.default_matmul_precision(program.precision):
            return program.function.lower(vector, x).as_text()

    assert "precision = [HIGHEST, HIGHEST]" in told("highest")
    assert "precision = [HIGHEST, HIGHEST]" not in told("default")


def test_two_processes_write_what_two_devices_of_one_write(tmp_path):
    """The same mesh over one process and over two on loopback: every weight and prediction byte for byte."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    common = ["--models", "mlp", "--epochs", "2", "--n-samples", "40", "--members", "2"]

    def begin(out, *flags, **environment):
        return subprocess.Popen(
            [sys.executable, ROOT / "main.py", *common, *flags, "--out", tmp_path / out],
            env={**os.environ, "WANDB_MODE": "disabled", **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    joint = {"JAX_COORDINATOR_ADDRESS": address, "JAX_NUM_PROCESSES": "2"}
    processes = [
        begin("one", JAX_NUM_CPU_DEVICES="2"),
        begin("two", "--distributed", JAX_PROCESS_ID="0", **joint),
        begin("follower", "--distributed", JAX_PROCESS_ID="1", **joint),
    ]
    said = [process.communicate(timeout=240)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], said
    one, two, follower = (
        {path.name: path.read_bytes() for path in (tmp_path / out).rglob("*.safetensors")}
        for out in ("one", "two", "follower")
    )
    assert len(one) == 3
    assert one == two
    assert follower == {}, "only the first process writes"
    assert "accuracy" in said[1]
    assert "accuracy" not in said[2]
