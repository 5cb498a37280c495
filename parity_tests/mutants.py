"""Small faults, each put into one engine alone, to prove that the suite can fail.

A fault is an edit of one function's source (the new text is compiled in the function's own module) or a change of
what one engine is given. JAX traces a function once and keeps the program: a patch under a warm cache would never be
seen, so a mutant gets empty caches, and the calls of the edited function are counted to prove that it was traced.
"""

import importlib
import inspect
import textwrap
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cache
from typing import Any
from unittest.mock import patch

import numpy as np

from coretx.data import Dataset
from parity_tests.cases import Case, Steps

Edit = tuple[str, str, str]
"""A function as `module:qualified.name`, text that stands in its source exactly once, and what to write instead."""

Given = Callable[[Case, Dataset, Steps], tuple[Case, Dataset, Steps]]


def unchanged(case: Case, data: Dataset, steps: Steps) -> tuple[Case, Dataset, Steps]:
    """Return what is given as it is."""
    return case, data, steps


@dataclass(frozen=True)
class Mutant:
    """One fault: in which engine, seen by which model, and which quantity must differ first, at which step."""

    name: str
    engine: str
    model: str
    first: tuple[str, int]
    edits: tuple[Edit, ...] = ()
    given: Given = unchanged
    proof: str = ""
    """Why it cannot be seen, for an equivalent mutant."""


class Calls:
    """How often edited functions were called: in JAX, traced."""

    def __init__(self) -> None:
        self.count = 0

    def counting(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function, counted."""

        def counted(*args: Any, **kwargs: Any) -> Any:
            self.count += 1
            return function(*args, **kwargs)

        return counted


@contextmanager
def planted(mutant: Mutant) -> Iterator[Calls]:
    """Put the mutant's edits into its engine, with empty program caches, and take them out again."""
    calls = Calls()
    with ExitStack() as stack:
        if mutant.engine == "jax":
            stack.enter_context(fresh_programs())
        for target, old, new in mutant.edits:
            owner, name = resolve(target)
            stack.enter_context(patch.object(owner, name, calls.counting(edited(getattr(owner, name), old, new))))
        yield calls


@contextmanager
def fresh_programs() -> Iterator[None]:
    """Give the JAX engine empty caches of all it traces or builds once, and the warm ones back at the end."""
    modules = [importlib.import_module(f"jaxtx.{name}") for name in ("access", "programs")]
    fresh: dict[int, Any] = {}
    with ExitStack() as stack:
        for module in modules:
            for name, value in list(vars(module).items()):
                if hasattr(value, "cache_clear"):
                    empty = fresh.setdefault(id(value), cache(inspect.unwrap(value)))
                    stack.enter_context(patch.object(module, name, empty))
        if not fresh:
            raise RuntimeError("the JAX engine caches no program in jaxtx.access or jaxtx.programs: look where it does")
        yield


def resolve(target: str) -> tuple[Any, str]:
    """Return the module or class that holds the function, and its name there."""
    module, _, path = target.partition(":")
    *scopes, name = path.split(".")
    owner: Any = importlib.import_module(module)
    for scope in scopes:
        owner = getattr(owner, scope)
    return owner, name


def edited(function: Callable[..., Any], old: str, new: str) -> Callable[..., Any]:
    """Return the function with its source edited; ValueError where the text does not stand there exactly once."""
    function = inspect.unwrap(function)
    source = textwrap.dedent(inspect.getsource(function))
    if source.count(old) != 1:
        raise ValueError(
            f"a mutant edits {function.__qualname__}, which must hold {old!r} once; it stands there "
            f"{source.count(old)} times: the engine has changed, change the mutant with it"
        )
    body = source[source.index("def ") :].replace(old, new)
    scope: dict[str, Any] = {}
    exec(compile(body, f"<mutant of {function.__qualname__}>", "exec"), function.__globals__, scope)
    return scope[function.__name__]


def given_data(change: Callable[[Dataset], Dataset]) -> Given:
    """Return a fault in the data that one engine is given."""
    return lambda case, data, steps: (case, change(data), steps)


def given_steps(**change: Callable[[Steps], np.ndarray]) -> Given:
    """Return a fault in the batches or rates that one engine is given."""
    return lambda case, data, steps: (case, data, replace(steps, **{k: make(steps) for k, make in change.items()}))


def given_constants(**constants: float) -> Given:
    """Return a fault in the optimizer's constants of one engine."""

    def change(case: Case, data: Dataset, steps: Steps) -> tuple[Case, Dataset, Steps]:
        optimizer = replace(case.spec.optimizer, **constants)
        return replace(case, spec=replace(case.spec, optimizer=optimizer)), data, steps

    return change


def late(values: np.ndarray, steps: int) -> np.ndarray:
    """Return the values that many steps late, the first repeated."""
    return np.concatenate([np.repeat(values[:1], steps, axis=0), values[:-steps]])


def flipped_label(data: Dataset) -> Dataset:
    """Return the data with the label of row 0 turned."""
    y = data.y.copy()
    y[0] = 1 - y[0]
    return Dataset(data.x, y)


J_LAYERS, T_LAYERS = "jaxtx.layers:", "torchtx.layers:"
J_MULTI, T_MULTI = "jaxtx.models.multilayer_transformer:", "torchtx.models.multilayer_transformer:"
J_SINGLE, T_SINGLE = "jaxtx.models.singlelayer_transformer:", "torchtx.models.singlelayer_transformer:"
J_EPOCH, T_EPOCH = "jaxtx.programs:train_epoch", "torchtx.programs:train_epoch"
MULTI, SINGLE, SELF, BAHDANAU = (
    "multilayer_transformer",
    "singlelayer_transformer",
    "self_attention",
    "bahdanau_attention",
)
UNBIASED_NORM = (
    'type("UnbiasedNorm", (nn.LayerNorm,), {"forward": lambda self, x: self.bias + self.weight '
    "* (x - x.mean(-1, keepdim=True)) / torch.sqrt(x.var(-1, keepdim=True) + 1e-5)})(width)"
)
NO_DECAY_ON_BIASES = (
    "jnp.concatenate([jnp.full(p.span.stop - p.span.start, 0.0 if p.name.endswith('bias') else 1.0) "
    "for p in model.parameters]) * schedule.weight_decay"
)
MOMENTS = """first = adam.b1 * carry.first_moment + adam.rest1 * gradients
        second = adam.b2 * carry.second_moment + adam.rest2 * gradients**2"""
COUPLED = "(gradients + schedule.weight_decay * carry.parameters)"
FAR_STEPS = "[state['step'].add_(1000000) for state in member.optimizer.state.values()]"
NEAR_STEPS = FAR_STEPS.replace("add_", "sub_")

FORWARD_MUTANTS = (
    Mutant("LayerNorm eps 1e-6 for 1e-5", "jax", MULTI, ("forward/blocks.0.attention.logits", 0),
           ((J_MULTI + "layer_norm", "epsilon=1e-5", "epsilon=1e-6"),)),
    Mutant("LayerNorm variance over n - 1", "torch", MULTI, ("forward/blocks.0.attention.logits", 0),
           ((T_MULTI + "layer_norm", "nn.LayerNorm(width, eps=1e-5)", UNBIASED_NORM),)),
    Mutant("tanh GELU for exact", "jax", MULTI, ("forward/blocks.0.output", 0),
           ((J_MULTI + "Block.__call__", "approximate=False", "approximate=True"),)),
    Mutant("tanh GELU for exact", "torch", MULTI, ("forward/blocks.0.output", 0),
           ((T_MULTI + "Block.forward", 'approximate="none"', 'approximate="tanh"'),)),
    Mutant("residual path left out", "jax", MULTI, ("forward/blocks.0.output", 0),
           ((J_MULTI + "Block.__call__", "x = x + self.contract", "x = self.contract"),)),
    Mutant("values from steps that are not normed", "torch", MULTI, ("forward/blocks.0.attention.logits", 0),
           ((T_MULTI + "Block.forward", "normed[:, :asking], normed, note", "normed[:, :asking], x, note"),)),
    Mutant("heads split in the wrong order", "jax", MULTI, ("forward/blocks.0.attention.logits", 0),
           ((J_LAYERS + "Attention.__call__", "key = self.key(answering).reshape(*answering.shape[:-1], *split)",
             "key = self.key(answering).reshape(*answering.shape[:-1], *split[::-1]).swapaxes(2, 3)"),)),
    Mutant("scores divided by sqrt(width) for sqrt(head_dim)", "torch", MULTI,
           ("forward/blocks.0.attention.logits", 0),
           ((T_LAYERS + "scaled_dot_product", "key.shape[-1] ** 0.5", "(key.shape[-1] * key.shape[-2]) ** 0.5"),)),
    Mutant("scores not divided by sqrt(head_dim)", "jax", SINGLE, ("forward/attention.logits", 0),
           ((J_LAYERS + "scaled_dot_product", " / key.shape[-1] ** 0.5", ""),)),
    Mutant("queries and keys swapped", "jax", SINGLE, ("forward/attention.logits", 0),
           ((J_LAYERS + "scaled_dot_product", "query, key) /", "key, query) /"),)),
    Mutant("softmax over the queries", "torch", SINGLE, ("forward/attention.weights", 0),
           ((T_LAYERS + "scaled_dot_product", "softmax(logits, dim=-1)", "softmax(logits, dim=-2)"),)),
    Mutant("softmax over the queries", "jax", SINGLE, ("forward/attention.weights", 0),
           ((J_LAYERS + "scaled_dot_product", "softmax(logits, axis=-1)", "softmax(logits, axis=-2)"),)),
    Mutant("positions shifted by one", "torch", SINGLE, ("forward/hidden", 0),
           ((T_SINGLE + "add_positions", "sinusoids(*x.shape[1:])", "sinusoids(x.shape[1] + 1, x.shape[2])[1:]"),)),
    Mutant("CLS at the end", "jax", SINGLE, ("forward/hidden", 0),
           ((J_SINGLE + "prepend", "[jnp.broadcast_to(cls, (x.shape[0], 1, x.shape[2])), x]",
             "[x, jnp.broadcast_to(cls, (x.shape[0], 1, x.shape[2]))]"),)),
    Mutant("cosine and sine exchanged", "jax", SINGLE, ("forward/hidden", 0),
           ((J_LAYERS + "sinusoids", "channel % 2 == 0", "channel % 2 == 1"),)),
    Mutant("float32 positions in the float64 path", "jax", SINGLE, ("forward/hidden", 0),
           ((J_SINGLE + "add_positions", "sinusoids(*x.shape[1:])", "sinusoids(*x.shape[1:]).astype('float32')"),)),
    Mutant("square weight transposed", "jax", SELF, ("initial/mix.weight", 0),
           (("jaxtx.parameters:Layout.vector", "np.swapaxes(tensors[p.name], 1, 2) if p.is_kernel",
             "np.swapaxes(tensors[p.name], 1, 2) if p.is_kernel and len(set(p.shape)) > 1"),)),
    Mutant("square weight transposed", "torch", SELF, ("forward/mixed", 0),
           (("torchtx.models.self_attention:SelfAttention.forward", "self.mix(attended)",
             "torch.nn.functional.linear(attended, self.mix.weight.T, self.mix.bias)"),)),
    Mutant("mean over channels is a sum", "torch", BAHDANAU, ("forward/attention.logits", 0),
           (("torchtx.models.bahdanau_attention:BahdanauAttention.forward", "hidden.mean(dim=2)",
             "hidden.sum(dim=2)"),)),
    Mutant("mean over channels is a sum", "jax", "temporal", ("forward/verdicts", 0),
           (("jaxtx.models.temporal:Temporal.__call__", "hidden.mean(axis=2)", "hidden.sum(axis=2)"),)),
    Mutant("mean over steps is a sum", "torch", SELF, ("loss", 0),
           (("torchtx.models.self_attention:SelfAttention.forward", "mixed.mean(dim=1)", "mixed.sum(dim=1)"),)),
)  # fmt: skip

TRAINING_MUTANTS = (
    Mutant("decay coupled to the gradient", "jax", "mlp", ("first_moment/head.weight", 0),
           ((J_EPOCH, MOMENTS, MOMENTS.replace("gradients", COUPLED)),)),
    Mutant("no decay on biases", "jax", "mlp", ("parameters/head.bias", 1),
           ((J_EPOCH, "direction + schedule.weight_decay", "direction + " + NO_DECAY_ON_BIASES),)),
    Mutant("no decay at all", "torch", "mlp", ("parameters/head.weight", 0),
           ((T_EPOCH, "float(schedule.weight_decay)", "0.0"),)),
    Mutant("bias correction missing", "torch", "mlp", ("parameters/head.bias", 0),
           ((T_EPOCH, "member.optimizer.step()", f"{FAR_STEPS}; member.optimizer.step(); {NEAR_STEPS}"),)),
    Mutant("bias correction missing", "jax", "mlp", ("parameters/head.bias", 0),
           ((J_EPOCH, "jnp.sqrt(second / unbiased2)", "unbiased1 * jnp.sqrt(second)"),)),
    Mutant("eps inside the root", "jax", "mlp", ("parameters/head.bias", 0),
           ((J_EPOCH, "(jnp.sqrt(second / unbiased2) + adam.eps)", "jnp.sqrt(second / unbiased2 + adam.eps)"),)),
    Mutant("betas exchanged", "jax", "mlp", ("first_moment/head.bias", 0),
           given=given_constants(b1=0.999, b2=0.9)),
    Mutant("b2 0.99 for 0.999", "torch", "mlp", ("second_moment/head.bias", 0), given=given_constants(b2=0.99)),
    Mutant("eps 1e-7 for 1e-8", "torch", "mlp", ("parameters/head.bias", 0), given=given_constants(eps=1e-7)),
    Mutant("gradient of the head's bias zero", "jax", "mlp", ("grad_norm", 0),
           ((J_EPOCH, "gradients = model.join(tensors)",
             'gradients = model.join(tensors).at[model["head.bias"].span].set(0.0)'),)),
    Mutant("gradient of the head's bias zero", "torch", "mlp", ("grad_norm", 0),
           ((T_EPOCH, "loss.backward()", "loss.backward(); member.model.head.bias.grad.zero_()"),)),
    Mutant("loss summed for averaged", "torch", "logreg", ("grad_norm", 0),
           (("torchtx.programs:weighted_loss", 'sums["loss_sum"] / sums["count"]', 'sums["loss_sum"]'),)),
    Mutant("mean over padded rows too", "jax", "logreg", ("grad_norm", 4),
           (("jaxtx.programs:weighted_loss", 'sums["loss_sum"] / sums["count"]', 'sums["loss_sum"] / len(weight)'),)),
    Mutant("rows that pad the last batch counted", "jax", "logreg", ("count", 4),
           ((J_EPOCH, "rows, weight = batch", "rows, weight = batch[0], jnp.ones_like(batch[1])"),)),
    Mutant("schedule late by one step", "torch", "logreg", ("parameters/head.bias", 5),
           given=given_steps(learning_rate=lambda steps: late(steps.learning_rate, 1))),
    Mutant("schedule late by one epoch", "jax", "logreg", ("parameters/head.bias", 5),
           given=given_steps(learning_rate=lambda steps: late(steps.learning_rate, 5))),
    Mutant("batches late by one", "jax", "logreg", ("loss", 1), given=given_steps(rows=lambda s: late(s.rows, 1))),
    Mutant("one label flipped", "torch", "logreg", ("loss", 4), given=given_data(flipped_label)),
    Mutant("class 1 from logit -0.5", "jax", "logreg", ("correct", 0),
           (("jaxtx.programs:loss_and_correct", "(logits > 0)", "(logits > -0.5)"),)),
)  # fmt: skip

MUTANTS = FORWARD_MUTANTS + TRAINING_MUTANTS

EQUIVALENT = (
    Mutant("queries and keys swapped", "jax", SELF, ("", 0),
           (("jaxtx.models.self_attention:scaled_dot_product", "query, key) /", "key, query) /"),),
           proof="Both are h, and h h^T is symmetric: the same scores."),
    Mutant("variance as E[x^2] - E[x]^2", "jax", MULTI, ("", 0),
           ((J_MULTI + "layer_norm", "use_fast_variance=False", "use_fast_variance=True"),),
           proof="The same number in exact arithmetic; only rounding differs, which the bounds allow."),
    Mutant("last step read for CLS", "torch", MULTI, ("", 0),
           ((T_MULTI + "MultiLayerTransformer.forward", "self.head(x[:, 0])", "self.head(x[:, -1])"),),
           proof="The last block returns one step, CLS: the first is the last."),
    Mutant("gradient of the key bias zero", "torch", SINGLE, ("", 0),
           ((T_EPOCH, "loss.backward()", "loss.backward(); member.model.attention.key.bias.grad.zero_()"),),
           proof="It adds q_i . b to all scores of query i, and softmax does not see that: the gradient is zero."),
)  # fmt: skip
