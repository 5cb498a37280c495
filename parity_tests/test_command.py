"""The command compares models and tasks of one's own as it does the ladder's, and says in words what differs."""

import re
from dataclasses import replace

import pytest

from parity_tests.__main__ import main
from parity_tests.certificate import GROUPS
from parity_tests.differences import Difference
from parity_tests.faults import TRAINING_MUTANTS, mutants_of
from parity_tests.mutants import Mutant, flipped_label, given_data

PLUGIN = """
from dataclasses import dataclass
from coretx.models.spec import ModelSpec, Optimizer

@dataclass(frozen=True)
class Doubled:
    factor: float = 2.0

MODELS = [ModelSpec("doubled", Doubled(), "Twice is enough.", Optimizer(0.01, 0.01))]

def jax_models():
    from flax import nnx
    import jax.numpy as jnp

    class JaxDoubled(nnx.Module):
        def __init__(self, spec, shape, *, rngs):
            self.factor = spec.factor
            self.hidden = nnx.Linear(shape.time * shape.feature, 4, rngs=rngs)
            self.head = nnx.Linear(4, 1, rngs=rngs)

        def __call__(self, x, note=lambda name, value: None):
            hidden = jnp.tanh(self.hidden(x.reshape(x.shape[0], -1)))
            note("hidden", hidden)
            doubled = JAX_FACTOR * hidden
            note("doubled", doubled)
            return self.head(doubled)[:, 0]

    return {Doubled: JaxDoubled}

def torch_models():
    import torch

    class TorchDoubled(torch.nn.Module):
        def __init__(self, spec, shape):
            super().__init__()
            self.factor = spec.factor
            self.hidden = torch.nn.Linear(shape.time * shape.feature, 4)
            self.head = torch.nn.Linear(4, 1)

        def forward(self, x, note=lambda name, value: None):
            hidden = torch.tanh(self.hidden(x.reshape(x.shape[0], -1)))
            note("hidden", hidden)
            doubled = self.factor * hidden
            note("doubled", doubled)
            return self.head(doubled)[:, 0]

    return {Doubled: TorchDoubled}
"""


def run(tmp_path, factor, *flags):
    """Run the command on a model of one's own and return exit code and page."""
    plugin = tmp_path / "mine.py"
    plugin.write_text(PLUGIN.replace("JAX_FACTOR", factor))
    shared = f"--models doubled --steps 4 --n-samples 40 --plugin {plugin} --out {tmp_path}"
    code = main([*shared.split(), *flags])
    return code, (tmp_path / "artifacts" / "_parity" / "sign_of_winner" / "doubled.html").read_text()


def test_model_of_ones_own_is_granted_its_certificate(tmp_path, capsys):
    code, page = run(tmp_path, "self.factor")
    assert code == 0
    printed = capsys.readouterr().out
    for dtype in ("float64", "float32"):
        assert f"doubled on sign_of_winner, {dtype}: the same over 4 steps" in printed
    assert "Granted" in page
    assert page.count("<svg") == len(GROUPS)
    data = re.findall(r"<details.*?</details>", page, re.DOTALL)
    assert len(data) == len(GROUPS)
    for table in data:  # four steps in two dtypes, each with its envelope
        assert re.findall(r'<th scope="row">(.*?)</th>', table) == ["1", "2", "3", "4"]
        assert len(re.findall(r'<td class="number">(none|\d\.\de-\d\d)</td>', table)) == 4 * 4
    texts = re.findall(r"<(?:text|tspan)\s[^>]*>", page)
    assert texts
    assert [text for text in texts if "currentColor" not in text] == []  # legible on dark too
    # Every fault in training, though nobody has listed one for this model.
    assert f"doubled: {len(TRAINING_MUTANTS)} of {len(TRAINING_MUTANTS)} mutants found" in printed
    assert page.count("not seen") == 0
    assert "http" not in re.sub(r"http-equiv|xmlns\S*", "", page)


def test_fault_in_a_model_of_ones_own_is_named(tmp_path, capsys):
    code, page = run(tmp_path, "2.1", "--dtype", "float64")
    assert code == 1
    assert "doubled differs first, at step 0, by 4.8e-02 of its largest value" in capsys.readouterr().out
    assert "Refused" in page


def test_a_fault_that_is_not_seen_refuses_the_certificate(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("parity_tests.__main__.mutants_of", lambda *_: (Mutant("none at all", "jax", "", ("", 0)),))
    flags = f"--models logreg --steps 3 --n-samples 40 --dtype float64 --out {tmp_path}"
    assert main(flags.split()) == 1
    assert "logreg: 0 of 1 mutants found" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("edit", "why"),
    [
        (("torchtx.programs:train_epoch", "no such text", ""), "it stands there 0 times"),
        (("torchtx.models.mlp:MLP.forward", "self.head", "2 * self.head"), "never called"),
    ],
    ids=["text gone", "never called"],
)
def test_a_stale_fault_is_named_and_no_kill(tmp_path, capsys, monkeypatch, edit, why):
    """Also where the engines differ by other means: here the fault moves the labels of one engine too."""
    stale = Mutant("old text", "torch", "logreg", ("", 0), (edit,), given_data(flipped_label))
    monkeypatch.setattr("parity_tests.__main__.mutants_of", lambda *_: (stale,))
    flags = f"--models logreg --steps 3 --n-samples 40 --dtype float64 --out {tmp_path}"
    assert main(flags.split()) == 1
    printed = capsys.readouterr().out
    assert "logreg: 0 of 1 mutants found" in printed
    assert "logreg: stale, old text in torch: " in printed
    assert why in printed
    page = (tmp_path / "artifacts" / "_parity" / "sign_of_winner" / "logreg.html").read_text()
    assert "<strong>stale</strong>" in page
    assert "Refused" in page


def test_faults_that_cannot_be_seen_are_not_tried(catalogue):
    """Of a model without decay or without a bias in its last layer."""
    spec = catalogue.models(["logreg"])[0]
    still = replace(spec, optimizer=replace(spec.optimizer, weight_decay=0.0))
    names = [{m.name for m in mutants_of(s, {"head.weight": (1, 2)} | more)}
             for s, more in ((still, {"head.bias": (1,)}), (spec, {}))]  # fmt: skip
    assert not any("decay" in name for name in names[0])
    assert not any("bias zero" in name for name in names[1])


@pytest.mark.parametrize("flags", ["--models nosuch", "--tasks nosuch", "--steps 0"])
def test_wrong_use_is_one_sentence_and_exit_2(flags, capsys):
    assert main(flags.split()) == 2
    assert capsys.readouterr().err.startswith("error: ")


@pytest.mark.parametrize(
    ("quantity", "words"),
    [
        ("forward/blocks.0.attention.weights", "block 1 / attention weights differ first, at step 3, by 3.0e-02"),
        ("parameters/blocks.1.expand.bias", "parameter block 2 / expand bias differs first, at step 3"),
        ("loss", "loss differs first"),
    ],
)
def test_difference_is_told_in_plain_words(quantity, words):
    assert Difference(quantity, 3, 0.03, 1e-10).sentence().startswith(words)


def test_a_side_that_is_not_finite_is_a_difference():
    assert "not finite" in Difference("loss", 0, float("inf"), 1e-10).sentence()
