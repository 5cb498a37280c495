"""Batch orders of all members: those of each member alone, from whatever epoch on."""

import numpy as np
import pytest

from coretx.training.batches import batch_order, batch_orders

NAME = {"seed": 3, "task": "t", "model": "m"}


def orders(epochs, members=3, n=20):
    return batch_orders(n, 8, epochs, members=members, **NAME)[0]


@pytest.mark.parametrize("chunk", [1, 7, 10, 25])
def test_orders_depend_on_no_chunk_and_on_no_first_epoch(chunk):
    chunks = [orders(range(first, min(first + chunk, 60))) for first in range(0, 60, chunk)]
    np.testing.assert_array_equal(np.concatenate(chunks, axis=1), orders(range(60)))


@pytest.mark.parametrize("members", [1, 2, 5])
def test_members_draw_what_each_draws_alone(members):
    found = batch_orders(20, 8, range(4), members=members, **NAME)
    alone = [batch_order(20, 8, range(4), member=member, **NAME) for member in range(members)]
    for together, parts in zip(found, zip(*alone, strict=True), strict=True):
        assert together.dtype == parts[0].dtype
        np.testing.assert_array_equal(together, np.stack(parts))


def test_epochs_and_members_are_independent():
    """Of 5 x 2000 permutations of 6 rows, each of the 720 comes as often as chance has it."""
    found = orders(range(2000), members=5, n=6).reshape(10_000, 6)
    counts = np.unique(found, axis=0, return_counts=True)[1]
    assert len(counts) == 720
    assert abs(((counts - 10_000 / 720) ** 2 / (10_000 / 720)).sum() - 719) < 4 * np.sqrt(2 * 719)


def test_each_place_of_an_order_is_independent_of_that_in_the_epoch_before():
    found = orders(range(4000), members=2, n=4).reshape(2, 4000, 4)
    pairs = found[:, :-1, 0] * 4 + found[:, 1:, 0]
    counts = np.bincount(pairs.ravel(), minlength=16)
    assert ((counts - pairs.size / 16) ** 2 / (pairs.size / 16)).sum() < 15 + 4 * np.sqrt(30)
