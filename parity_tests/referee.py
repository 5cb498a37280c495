"""The third opinion: every model's forward pass and AdamW in NumPy, written from the equations, not from an engine.

Plain float64, one row of x at a time or all at once, whichever is nearer to the equation. `coretx.models.architectures`
states the models.
"""

from collections.abc import Callable, Mapping
from math import erf

import numpy as np
from jaxtyping import Float

from coretx.models import architectures
from coretx.models.spec import Optimizer

Tensors = Mapping[str, np.ndarray]
Notes = dict[str, np.ndarray]
Forward = Callable[..., tuple[np.ndarray, Notes]]


def linear(p: Tensors, name: str, x: np.ndarray) -> np.ndarray:
    """Return x W^T + b."""
    return x @ p[f"{name}.weight"].T + p[f"{name}.bias"]


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return e^l / sum e^l over the last axis."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def layer_norm(p: Tensors, name: str, x: np.ndarray) -> np.ndarray:
    """Return (x - mean) / sqrt(variance + 1e-5) g + b; the variance divides by n (Ba et al., 2016)."""
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = (centred**2).mean(axis=-1, keepdims=True)
    return centred / np.sqrt(variance + 1e-5) * p[f"{name}.weight"] + p[f"{name}.bias"]


def gelu(x: np.ndarray) -> np.ndarray:
    """Return x Phi(x), Phi the normal distribution function (Hendrycks and Gimpel, 2016)."""
    return x * (1 + np.vectorize(erf)(x / np.sqrt(2))) / 2


def positions(time: int, width: int) -> np.ndarray:
    """Return sin(t / 10000^(2i / width)) in channel 2i and the cosine of the same angle in channel 2i + 1."""
    code = np.zeros((time, width))
    for t in range(time):
        for channel in range(width):
            angle = t / 10000 ** ((channel - channel % 2) / width)
            code[t, channel] = np.cos(angle) if channel % 2 else np.sin(angle)
    return code


def with_cls(cls: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return x with cls before its first step."""
    return np.concatenate([np.tile(cls, (len(x), 1, 1)), x], axis=1)


def attend(p: Tensors, scope: str, heads: int, queries: np.ndarray, keys: np.ndarray, notes: Notes) -> np.ndarray:
    """Return softmax(q k^T / sqrt(head_dim)) v, head after head, each on its own run of channels."""
    query, key, value = (
        linear(p, f"{scope}attention.{part}", x) for part, x in (("query", queries), ("key", keys), ("value", keys))
    )
    head_dim = query.shape[-1] // heads
    logits, weights, mixed = [], [], []
    for head in range(heads):
        span = slice(head * head_dim, (head + 1) * head_dim)
        logits.append(query[..., span] @ key[..., span].swapaxes(1, 2) / np.sqrt(head_dim))
        weights.append(softmax(logits[-1]))
        mixed.append(weights[-1] @ value[..., span])
    notes[f"{scope}attention.logits"] = np.stack(logits, axis=1)
    notes[f"{scope}attention.weights"] = np.stack(weights, axis=1)
    return np.concatenate(mixed, axis=-1)


def logistic_regression(architecture, p: Tensors, x: np.ndarray, notes: Notes) -> np.ndarray:
    """Return W vec(x) + b."""
    return linear(p, "head", x.reshape(len(x), -1))


def mlp(architecture, p: Tensors, x: np.ndarray, notes: Notes) -> np.ndarray:
    """Return W2 tanh(W1 vec(x) + b1) + b2."""
    notes["hidden"] = np.tanh(linear(p, "hidden", x.reshape(len(x), -1)))
    return linear(p, "head", notes["hidden"])


def temporal(architecture, p: Tensors, x: np.ndarray, notes: Notes) -> np.ndarray:
    """Return v z + c with z_t the mean over channels of tanh(W x_t + b)."""
    notes["hidden"] = np.tanh(linear(p, "embed", x))
    notes["verdicts"] = notes["hidden"].mean(axis=-1)
    return linear(p, "head", notes["verdicts"])


def self_attention(architecture, p: Tensors, x: np.ndarray, notes: Notes) -> np.ndarray:
    """Return the logit of the mean over t of tanh(U mix_t + c), mix = softmax(h h^T / sqrt(width)) h."""
    h = notes["hidden"] = np.tanh(linear(p, "embed", x))
    logits = h @ h.swapaxes(1, 2) / np.sqrt(architecture.width)
    notes["attention.logits"], notes["attention.weights"] = logits[:, None], softmax(logits)[:, None]
    notes["attended"] = softmax(logits) @ h
    notes["mixed"] = np.tanh(linear(p, "mix", notes["attended"]))
    return linear(p, "head", notes["mixed"].mean(axis=1))


def singlelayer_transformer(architecture, p: Tensors, x: np.ndarray, notes: Notes) -> np.ndarray:
    """Return the logit of tanh(W a_0), a the attention of the embedded steps, CLS and positions added before."""
    x = with_cls(p["cls"], x)
    h = notes["hidden"] = linear(p, "embed", x + architecture.position_scale * positions(*x.shape[1:]))
    notes["attended"] = attend(p, "", 1, h, h, notes)
    notes["mixed"] = np.tanh(linear(p, "mix", notes["attended"][:, 0]))
    return linear(p, "head", notes["mixed"])


def bahdanau_attention(architecture, p: Tensors, x: np.ndarray, notes: Notes) -> np.ndarray:
    """Return the logit of sum_t a_t tanh(U h_t + c), a the softmax over t of the channel mean of h_t."""
    h = notes["hidden"] = np.tanh(linear(p, "embed", x))
    score = h.mean(axis=-1)
    notes["attention.logits"], notes["attention.weights"] = score[:, None, None], softmax(score)[:, None, None]
    notes["mixed"] = np.tanh(linear(p, "mix", h))
    notes["attended"] = (softmax(score)[..., None] * notes["mixed"]).sum(axis=1)
    return linear(p, "head", notes["attended"])


def multilayer_transformer(architecture, p: Tensors, x: np.ndarray, notes: Notes) -> np.ndarray:
    """Return the logit of the CLS step after `depth` pre-norm blocks.

    Every step asks in every block; of the last block, where only CLS is read, the other steps' notes are left out.
    """
    x = with_cls(p["cls"], linear(p, "embed", x))
    x = notes["hidden"] = x + architecture.position_scale * positions(*x.shape[1:])
    for i in range(architecture.depth):
        scope = f"blocks.{i}."
        normed = layer_norm(p, f"{scope}attention_norm", x)
        x = notes[f"{scope}attended"] = x + attend(p, scope, architecture.heads, normed, normed, notes)
        inner = gelu(linear(p, f"{scope}expand", layer_norm(p, f"{scope}feedforward_norm", x)))
        x = notes[f"{scope}output"] = x + linear(p, f"{scope}contract", inner)
    for name in ("attention.logits", "attention.weights"):
        notes[scope + name] = notes[scope + name][:, :, :1]
    for name in ("attended", "output"):
        notes[scope + name] = notes[scope + name][:, :1]
    return linear(p, "head", x[:, 0])


FORWARD: Mapping[type, Callable[..., np.ndarray]] = {
    architectures.LogisticRegression: logistic_regression,
    architectures.MLP: mlp,
    architectures.Temporal: temporal,
    architectures.SelfAttention: self_attention,
    architectures.SingleLayerTransformer: singlelayer_transformer,
    architectures.BahdanauAttention: bahdanau_attention,
    architectures.MultiLayerTransformer: multilayer_transformer,
}


def forward(architecture, p: Tensors, x: np.ndarray) -> tuple[Float[np.ndarray, " n"], Notes]:
    """Return the logit of every row and the intermediates, for one member's parameters."""
    notes: Notes = {}
    logits = FORWARD[type(architecture)](architecture, p, x.astype(np.float64), notes)
    return logits[:, 0], notes


def loss(architecture, p: Tensors, x: np.ndarray, y: np.ndarray, weight: np.ndarray) -> float:
    """Return the weighted mean of the binary cross-entropy: -log of the probability given to the label."""
    logits, _ = forward(architecture, p, x)
    losses = np.log1p(np.exp(-np.abs(logits))) + np.maximum(logits, 0) - logits * y
    return float((weight * losses).sum() / weight.sum())


STENCIL = {-2: 1 / 12, -1: -2 / 3, 1: 2 / 3, 2: -1 / 12}
"""Weights of the central difference whose error is h^4 f'''''/30."""


def slope(function: Callable[[float], float], h: float = 2e-3) -> float:
    """Return the derivative at 0 by finite differences.

    >>> bool(abs(slope(np.exp) - 1) < 1e-11)
    True
    """
    return sum(weight * function(place * h) for place, weight in STENCIL.items()) / h


def adamw(
    p: np.ndarray, m: np.ndarray, v: np.ndarray, gradient: np.ndarray, t: int, rate: float, settings: Optimizer
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return parameter and moments after step t = 1, 2, ... (Loshchilov and Hutter, 2019, algorithm 2).

    Decay is the rate times weight_decay times the parameter before the step, as in torch and optax: the paper's
    schedule multiplier with the rate in it.
    """
    m = settings.b1 * m + (1 - settings.b1) * gradient
    v = settings.b2 * v + (1 - settings.b2) * gradient**2
    unbiased_m, unbiased_v = m / (1 - settings.b1**t), v / (1 - settings.b2**t)
    step = unbiased_m / (np.sqrt(unbiased_v) + settings.eps)
    return p - rate * (step + settings.weight_decay * p), m, v
