"""The ladder: the models to train, in order, with their hyperparameters."""

from collections.abc import Iterable, Sequence

from coretx.errors import UsageError, choices
from coretx.models import architectures
from coretx.models.recipes import RECIPES
from coretx.models.spec import ModelSpec

LADDER = (
    ("logreg", architectures.LogisticRegression(), "linear", "A weighted sum of all features is enough."),
    ("mlp", architectures.MLP(), "full", "Features of different steps must be combined, at fixed places."),
    (
        *("temporal", architectures.Temporal(), "additive"),
        "Each step can be judged alone, with the same eyes; the verdicts are added up.",
    ),
    (
        *("self_attention", architectures.SelfAttention(), "order-blind"),
        "Steps must be compared with each other; their order does not matter.",
    ),
    (
        *("singlelayer_transformer", architectures.SingleLayerTransformer(), "full"),
        "One step asks, the others answer: separate queries, keys and values, and a sense of position.",
    ),
    (
        *("bahdanau_attention", architectures.BahdanauAttention(), "order-blind"),
        "Steps compete for attention by their own content; their order does not matter.",
    ),
    (
        *("multilayer_transformer", architectures.MultiLayerTransformer(), "full"),
        "Several heads, residual paths, LayerNorm and feed-forward blocks in depth.",
    ),
)
"""Name, architecture, view and claim of each rung."""


def build_models(
    names: Iterable[str] | None = None, *, recipe: str = "original", extra: Sequence[ModelSpec] = ()
) -> tuple[ModelSpec, ...]:
    """Return the specs of these names in order; the whole ladder, then `extra`, if names is None.

    The recipe gives the ladder's learning rates and weight decays (see `coretx.models.recipes`); models in `extra` keep
    their own. Raises UsageError that lists the valid names for an unknown one.
    """
    if recipe not in RECIPES:
        raise UsageError(f"unknown recipe {recipe!r}; choose from: {choices(RECIPES)}")
    ladder = [ModelSpec(name, form, claim, RECIPES[recipe][name], view=view) for name, form, view, claim in LADDER]
    by_name = {spec.name: spec for spec in (*ladder, *extra)}
    if len(by_name) < len(ladder) + len(extra):
        raise UsageError(
            f"a model's name must be its own; a plugin uses one of: {choices(spec.name for spec in ladder)}"
        )
    unknown = [name for name in names or () if name not in by_name]
    if unknown:
        raise UsageError(f"unknown model {unknown[0]!r}; choose from: {choices(by_name)}")
    return tuple(by_name.values()) if names is None else tuple(by_name[name] for name in names)
