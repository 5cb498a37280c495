"""Recipes: the learning rates and weight decays of the ladder."""

from collections.abc import Mapping

from coretx.models.spec import Optimizer

ORIGINAL: Mapping[str, Optimizer] = {
    "logreg": Optimizer(1.0, 1.0),
    "mlp": Optimizer(0.1, 0.1),
    "temporal": Optimizer(1.0, 1.0),
    "self_attention": Optimizer(0.4, 0.2),
    "singlelayer_transformer": Optimizer(0.04, 0.02),
    "bahdanau_attention": Optimizer(0.5, 0.1),
    "multilayer_transformer": Optimizer(0.004, 0.002),
}
"""The values of the original."""
TUNED: Mapping[str, Optimizer] = {
    "logreg": Optimizer(0.037, 0.037, weight_decay=0.1),
    "mlp": Optimizer(0.0333, 0.0333, weight_decay=0.1),
    "temporal": Optimizer(0.111, 0.111, weight_decay=0.01),
    "self_attention": Optimizer(0.1332, 0.0666, weight_decay=0.01),
    "singlelayer_transformer": Optimizer(0.01332, 0.00666, weight_decay=0.01),
    "bahdanau_attention": Optimizer(0.1665, 0.0333, weight_decay=0.01),
    "multilayer_transformer": Optimizer(0.012, 0.006, weight_decay=0.1),
}
"""The lowest validation loss, one recipe for all tasks; `python -m benchmarks.tuning` prints these lines."""
RECIPES: Mapping[str, Mapping[str, Optimizer]] = {"original": ORIGINAL, "tuned": TUNED}
