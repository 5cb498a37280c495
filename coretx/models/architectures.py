"""The architectures of the ladder, as data. An engine maps each type to the class that computes it.

Notation: x is [time, feature], h_t the hidden vector of step t, W and b a learned linear map. Every model ends in one
logit; class 1 when it is above 0.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class LogisticRegression:
    """logit = W vec(x) + b: linear in every feature of every step."""


@dataclass(frozen=True)
class MLP:
    """logit = W2 tanh(W1 vec(x) + b1) + b2: one hidden layer over the flattened input."""

    width: int = 16


@dataclass(frozen=True)
class Temporal:
    """z_t = mean over channels of tanh(W x_t + b); logit = v z + c: additive over positions, no step meets another."""

    width: int = 16


@dataclass(frozen=True)
class SelfAttention:
    """h = tanh(W x + b); mix = softmax(h h^T / sqrt(width)) h; logit from the mean over t of tanh(U mix_t + c).

    No separate queries, keys or values, and no positions: blind to order.
    """

    width: int = 16


@dataclass(frozen=True)
class SingleLayerTransformer:
    """One attention head read at a CLS step (Vaswani et al., "Attention Is All You Need", 2017, sections 3.2 and 3.5).

    A CLS vector is prepended and sinusoids times `position_scale` are added in input space; then embed, one head of
    q-k-v attention, tanh(W .) and the CLS step. No residual path, no LayerNorm, no feed-forward block.
    """

    width: int = 16
    position_scale: float = 0.1


@dataclass(frozen=True)
class BahdanauAttention:
    """h = tanh(W x + b); a = softmax over t of the channel mean of h_t; logit from sum_t a_t tanh(U h_t + c).

    After Bahdanau, Cho and Bengio, "Neural Machine Translation by Jointly Learning to Align and Translate", 2015, but
    without their learned score: the original keeps an unused scorer (17 parameters), which is left out here. No
    positions: blind to order.
    """

    width: int = 16


@dataclass(frozen=True)
class MultiLayerTransformer:
    """Pre-norm transformer blocks read at a CLS step (Vaswani et al., 2017; pre-norm: Xiong et al., 2020).

    Embed, prepend CLS, add sinusoids times `position_scale`; `depth` blocks of LayerNorm, attention with `heads` heads
    and no output projection, residual; LayerNorm, linear, exact GELU, linear, residual. No final LayerNorm.
    """

    width: int = 32
    depth: int = 2
    heads: int = 4
    feedforward: int = 128
    position_scale: float = 0.1
