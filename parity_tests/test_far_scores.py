"""Attention whose scores are far apart between rows of one batch: each softmax is taken from its own largest score."""

import jax
import numpy as np
import pytest
import torch

import jaxtx.layers
import torchtx.layers
from parity_tests import referee
from parity_tests.bounds import FORWARD, GRADIENT
from parity_tests.differences import relative_gap
from parity_tests.faults import FAR_SCORE_MUTANTS
from parity_tests.mutants import planted
from parity_tests.test_mutants import label

APART = {"float32": 200, "float64": 2000}
"""Scores of one batch so far apart that no exponent of this kind holds both."""

NAMES = ("weights", "attended", "by query", "by key", "by value")


def arrays(dtype):
    """Return queries, keys, values, [batch, step, head, head_dim], and the slopes by what they give.

    Scores of neighbouring queries of a row are APART, and so are those of neighbouring rows. All numbers are eighths
    and head_dim is 4: scores are exact in float32 too, and rounding needs no wider bound than elsewhere.
    """
    rng = np.random.default_rng(0)
    query, key, value, slope = rng.integers(-8, 9, (4, 3, 5, 2, 4)) / 8
    place = np.arange(3)[:, None] + np.arange(5) % 2
    query[..., 3], key[..., 3] = (2 * APART[dtype] * (place - 1.0))[..., None], 1.0
    return [array.astype(dtype) for array in (query, key, value, slope)]


def in_numpy(query, key, value, slope):
    """Return the weights, what they give, and its gradients by hand, in float64."""
    logits = np.einsum("bqhd,bkhd->bhqk", query, key) / 2
    weights = referee.softmax(logits)
    by_weight = np.einsum("bqhd,bkhd->bhqk", slope, value)
    by_logit = weights * (by_weight - (weights * by_weight).sum(axis=-1, keepdims=True)) / 2
    return (
        weights,
        np.einsum("bhqk,bkhd->bqhd", weights, value),
        np.einsum("bhqk,bkhd->bqhd", by_logit, key),
        np.einsum("bhqk,bqhd->bkhd", by_logit, query),
        np.einsum("bhqk,bqhd->bkhd", weights, slope),
    )


def in_jax(query, key, value, slope):
    """Return the same of the JAX engine's attention."""

    def attend(*inputs):
        notes = {}
        return jaxtx.layers.scaled_dot_product(*inputs, notes.__setitem__), notes["attention.weights"]

    @jax.jit
    def both(slope, *inputs):
        attended, back, weights = jax.vjp(attend, *inputs, has_aux=True)
        return weights, attended, *back(slope)

    with jax.enable_x64(query.dtype == np.float64):
        return [np.asarray(each) for each in both(slope, query, key, value)]


def in_torch(query, key, value, slope):
    """Return the same of the torch engine's attention."""
    notes, inputs = {}, [torch.from_numpy(each).requires_grad_() for each in (query, key, value)]
    attended = torchtx.layers.scaled_dot_product(*inputs, notes.__setitem__)
    gradients = torch.autograd.grad(attended, inputs, torch.from_numpy(slope))
    return [each.numpy(force=True) for each in (notes["attention.weights"], attended, *gradients)]


ATTENTION = {"jax": in_jax, "torch": in_torch}


def first_apart(engine, dtype):
    """Return the first quantity that is not the referee's, or None."""
    given = arrays(dtype)
    wanted = in_numpy(*(array.astype(np.float64) for array in given))
    for name, found, exact in zip(NAMES, ATTENTION[engine](*given), wanted, strict=True):
        assert found.dtype == dtype
        bound = GRADIENT[dtype] if name.startswith("by") else FORWARD[dtype]
        if not relative_gap(found, exact) <= bound:
            return name
    return None


@pytest.mark.parametrize("dtype", APART)
def test_attention_to_scores_that_are_far_apart_is_the_referees(engine, dtype):
    assert first_apart(engine, dtype) is None


@pytest.mark.parametrize("mutant", FAR_SCORE_MUTANTS, ids=label)
def test_softmax_over_the_batchs_largest_score_is_found(mutant):
    with planted(mutant) as calls:
        assert first_apart(mutant.engine, "float32") == mutant.first[0]
    assert calls.count > 0
