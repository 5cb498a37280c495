"""A grid's members, stacked, parted over devices or looped, beside each of them alone: everything that either tells."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from coretx.evaluation.scores import predict
from coretx.models.spec import Optimizer
from coretx.tasks.sampling import Dataset
from coretx.training.backend import Backend, ModelAccess
from coretx.training.batches import batch_order
from coretx.training.loop import Population, epoch_metrics, learning_rates, restore_best, start, train_chunk
from parity_tests.cases import Case
from parity_tests.differences import Difference, relative_gap, size
from parity_tests.populations import member_of

RATES, DECAYS, MEMBERS = (1.0, 0.1, 0.01), (0.01, 0.5), 2
"""Shares of the case's learning rate, decays, and members of each point: 12 in all."""

CHUNKS = (range(11), range(11, 14))
"""The second is shorter than the first, and the JAX engine trains it by the same program."""

Told = Mapping[str, np.ndarray]
"""Quantity -> values, [member, ...]."""


@dataclass(frozen=True)
class Grid:
    """Every rate with every decay, of one case."""

    case: Case

    @property
    def optimizers(self) -> tuple[Optimizer, ...]:
        """The optimizer of each point; the rate falls to half of itself over the epochs."""
        base = replace(self.case.spec.optimizer, epochs=CHUNKS[-1].stop)
        begin = base.learning_rate_start
        return tuple(
            replace(base, learning_rate_start=begin * rate, learning_rate_end=begin * rate / 2, weight_decay=decay)
            for rate, decay in product(RATES, DECAYS)
        )

    @property
    def splits(self) -> dict[str, Dataset]:
        """A test split, and one for the choice whose labels are noise: its best epochs differ between members."""
        noise = np.random.default_rng(3).integers(2, size=self.case.n).astype(np.float32)
        return {"val": Dataset(self.case.test.x, noise), "test": self.case.test}

    def together(self, backend: Backend, strategy: str | None) -> Told:
        """Return what all members tell that train as one population."""
        case = self.case
        population = Population(case.spec, case.seed, case.task.name, MEMBERS, case.dtype, self.optimizers)
        access = backend.open(case.spec, case.shape, population.size, case.dtype, strategy)
        start(access, population)
        return self._told(access, [train_chunk(access, population, case.data, self.splits, part) for part in CHUNKS])

    def alone(self, backend: Backend, place: int) -> Told:
        """Return what the member at this place tells by itself: its weights, batches, rates and decay by its number."""
        case, optimizer, member = self.case, self.optimizers[place // MEMBERS], place % MEMBERS
        access = member_of(case, backend, member)
        names = {"seed": case.seed, "task": case.task.name, "model": case.spec.name, "member": member}
        history = []
        for epochs in CHUNKS:
            rows, weights = batch_order(case.n, optimizer.batch_size, epochs, **names)
            rates = learning_rates(optimizer, epochs)[None]
            decay = np.array([optimizer.weight_decay])
            sums = access.train(
                case.data,
                self.splits,
                rows=rows[None],
                weights=weights[None],
                learning_rate=rates,
                weight_decay=decay,
                keep_best="val",
            )
            history.append(epoch_metrics(sums) | {"learning_rate": rates})
        return self._told(access, history)

    def _told(self, access: ModelAccess, history: list[dict[str, np.ndarray]]) -> Told:
        """Return the history, the state, what every pass says of it, and the answers of the best epoch's weights."""
        x, y = self.case.test.x[:16], self.case.test.y[:16]
        found = {f"history/{name}": np.concatenate([part[name] for part in history], axis=1) for name in history[0]}
        found |= access.state() | {"logits": access.logits(x)}
        found |= {f"forward/{name}": values for name, values in access.intermediates(x).items()}
        found |= {f"gradient/{name}": v for name, v in access.gradients(x, y, np.ones(len(x), np.float32)).items()}
        slopes, weights = zip(*(access.explain(x, member) for member in range(access.members)), strict=True)
        found["explained"] = np.stack(slopes)
        found |= {f"explained/{name}": np.stack([member[name] for member in weights]) for name in weights[0]}
        chosen = restore_best(access)
        assert chosen is not None
        answers = {f"chosen/{split}": each.logits for split, each in predict(access, self.splits).items()}
        return found | answers | {"chosen": chosen}


COUNTS = ("step", "epoch", "best_epoch", "chosen", "history/accuracy", "history/learning_rate")
"""Quantities that must be equal: a name, or the beginning of one before `_`."""


def first_member_apart(together: Told, grid: Grid, backend: Backend, bound: float) -> Difference | None:
    """Return the first quantity of any member that differs from the member's alone by more than the bound.

    `step` is the member's place. Key biases have no gradient and walk at random, and take the attention scores with
    them: neither is compared.
    """
    walks = any(name.endswith(KEY_BIAS) for name in together)
    for place in range(len(grid.optimizers) * MEMBERS):
        alone = grid.alone(backend, place)
        for name in [*together, *sorted(alone.keys() - together.keys())]:
            if name.endswith(KEY_BIAS) or (walks and SCORES.search(name)):
                continue
            missing = name not in together or name not in alone
            error = np.inf if missing else relative_gap(together[name][place], alone[name][0], scale(name, alone))
            allowed = 0.0 if name in COUNTS or name.startswith(tuple(f"{count}_" for count in COUNTS)) else bound
            if not error <= allowed:
                return Difference(name, place, error, allowed)
    return None


KEY_BIAS, SCORES = "attention.key.bias", re.compile(r"attn_logits|attention\.logits$")


def scale(name: str, told: Told) -> float | None:
    """Return what a quantity's gap is a share of: the mean of attention scores cancels, so of the largest score."""
    return size(told[name.replace("_mean", "_maxabs")]) if "attn_logits_mean" in name else None
