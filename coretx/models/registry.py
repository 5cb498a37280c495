"""The ladder: which models are trained, in which order, with which hyperparameters."""

from collections.abc import Iterable, Sequence

from coretx.errors import UsageError, choices
from coretx.models import architectures
from coretx.models.spec import ModelSpec, Optimizer


def build_models(names: Iterable[str] | None = None, *, extra: Sequence[ModelSpec] = ()) -> tuple[ModelSpec, ...]:
    """Return the specs of these names, in the order given; all of the ladder, then `extra`, where names is None.

    The hyperparameters are the original's. Raises UsageError that lists the valid names for one that is unknown.
    """
    ladder = (
        ModelSpec(
            "logreg",
            architectures.LogisticRegression(),
            "A weighted sum of all features is enough.",
            Optimizer(1.0, 1.0),
            view="linear",
        ),
        ModelSpec(
            "mlp",
            architectures.MLP(),
            "Features of different steps must be combined, at fixed places.",
            Optimizer(0.1, 0.1),
        ),
        ModelSpec(
            "temporal",
            architectures.Temporal(),
            "Each step can be judged alone, with the same eyes; the verdicts are added up.",
            Optimizer(1.0, 1.0),
            view="additive",
        ),
        ModelSpec(
            "self_attention",
            architectures.SelfAttention(),
            "Steps must be compared with each other; their order does not matter.",
            Optimizer(0.4, 0.2),
            view="order-blind",
        ),
        ModelSpec(
            "singlelayer_transformer",
            architectures.SingleLayerTransformer(),
            "One step asks, the others answer: separate queries, keys and values, and a sense of position.",
            Optimizer(0.04, 0.02),
        ),
        ModelSpec(
            "bahdanau_attention",
            architectures.BahdanauAttention(),
            "Steps compete for attention by their own content; their order does not matter.",
            Optimizer(0.5, 0.1),
            view="order-blind",
        ),
        ModelSpec(
            "multilayer_transformer",
            architectures.MultiLayerTransformer(),
            "Several heads, residual paths, LayerNorm and feed-forward blocks in depth.",
            Optimizer(0.004, 0.002),
        ),
    )
    by_name = {spec.name: spec for spec in (*ladder, *extra)}
    if len(by_name) < len(ladder) + len(extra):
        raise UsageError(
            f"a model's name must be its own; a plugin uses one of: {choices(spec.name for spec in ladder)}"
        )
    unknown = [name for name in names or () if name not in by_name]
    if unknown:
        raise UsageError(f"unknown model {unknown[0]!r}; choose from: {choices(by_name)}")
    return tuple(by_name.values()) if names is None else tuple(by_name[name] for name in names)
