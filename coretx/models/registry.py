"""The ladder: which models are trained, in which order, with which hyperparameters."""

from collections.abc import Iterable, Sequence

from coretx.errors import UsageError, choices
from coretx.models import architectures
from coretx.models.recipes import RECIPES
from coretx.models.spec import ModelSpec


def build_models(
    names: Iterable[str] | None = None, *, recipe: str = "original", extra: Sequence[ModelSpec] = ()
) -> tuple[ModelSpec, ...]:
    """Return the specs of these names, in the order given; all of the ladder, then `extra`, where names is None.

    The ladder's learning rates and weight decays are those of the recipe (see `coretx.models.recipes`); no later step
    changes them. Models in `extra` keep their own. Raises UsageError that lists the valid names for an unknown one.
    """
    if recipe not in RECIPES:
        raise UsageError(f"unknown recipe {recipe!r}; choose from: {choices(RECIPES)}")
    optimizers = RECIPES[recipe]
    ladder = (
        ModelSpec(
            "logreg",
            architectures.LogisticRegression(),
            "A weighted sum of all features is enough.",
            optimizers["logreg"],
            view="linear",
        ),
        ModelSpec(
            "mlp",
            architectures.MLP(),
            "Features of different steps must be combined, at fixed places.",
            optimizers["mlp"],
        ),
        ModelSpec(
            "temporal",
            architectures.Temporal(),
            "Each step can be judged alone, with the same eyes; the verdicts are added up.",
            optimizers["temporal"],
            view="additive",
        ),
        ModelSpec(
            "self_attention",
            architectures.SelfAttention(),
            "Steps must be compared with each other; their order does not matter.",
            optimizers["self_attention"],
            view="order-blind",
        ),
        ModelSpec(
            "singlelayer_transformer",
            architectures.SingleLayerTransformer(),
            "One step asks, the others answer: separate queries, keys and values, and a sense of position.",
            optimizers["singlelayer_transformer"],
        ),
        ModelSpec(
            "bahdanau_attention",
            architectures.BahdanauAttention(),
            "Steps compete for attention by their own content; their order does not matter.",
            optimizers["bahdanau_attention"],
            view="order-blind",
        ),
        ModelSpec(
            "multilayer_transformer",
            architectures.MultiLayerTransformer(),
            "Several heads, residual paths, LayerNorm and feed-forward blocks in depth.",
            optimizers["multilayer_transformer"],
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
