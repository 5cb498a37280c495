"""Which side of a task's space a problem lies on: the side it is trained, validated or tested on, whatever the seed.

Problems are put in a fixed order, that of a hash of their key under the task's name, the same on every machine. Where
they can be listed, each stratum gives its first 60 % to train, the next 20 % to val and the rest to test; elsewhere
the hash itself, read as a number, is cut at 60 % and 80 %.
"""

import hashlib
from typing import Literal

import numpy as np
from jaxtyping import Int, Shaped

Side = Literal["train", "val", "test"]
SIDES: tuple[Side, ...] = ("train", "val", "test")
CUTS = (0.6, 0.8)
"""Where val and test begin, as shares of a stratum."""


def by_rank(task: str, keys: Shaped[np.ndarray, " key"], strata: Int[np.ndarray, " key"]) -> Int[np.ndarray, " key"]:
    """Return the side of each of these distinct keys: 60, 20 and 20 % of every stratum, to within one key.

    >>> np.bincount(by_rank("t", np.arange(10), np.zeros(10, int))).tolist()
    [6, 2, 2]
    """
    hashes = hash_keys(task, keys)
    side = np.empty(len(keys), int)
    for stratum in np.unique(strata):
        members = np.flatnonzero(strata == stratum)
        order = members[np.argsort(hashes[members], kind="stable")]
        cuts = [round(cut * len(order)) for cut in CUTS]
        for place, part in enumerate(np.split(order, cuts)):
            side[part] = place
    return side


def by_threshold(task: str, keys: Shaped[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """Return the side of each key where problems are too many to list: 60, 20 and 20 % of them on average."""
    return np.searchsorted(np.array(CUTS) * 2.0**64, hash_keys(task, keys).astype(np.float64), side="right")


def hash_keys(task: str, keys: Shaped[np.ndarray, " n"]) -> Shaped[np.ndarray, " n"]:
    """Return 64 bits for each key under the task's name, as uint64: BLAKE2b (RFC 7693), alike on every machine."""
    copy = hashlib.blake2b(digest_size=8, key=task.encode()).copy
    digests = []
    for key in keys.tolist():
        one = copy()
        one.update(key if isinstance(key, bytes) else str(key).encode())
        digests.append(one.digest())
    return np.frombuffer(b"".join(digests), ">u8").astype(np.uint64)
