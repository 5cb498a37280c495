"""Records as JSON: numbers, text, arrays, dictionaries and dataclasses, with null for a number that is not finite."""

from typing import Any

import numpy as np
import orjson


def as_json(record: Any, *, indented: bool = False) -> bytes:
    """Return the record as JSON in UTF-8, on one line or, indented, one value a line; TypeError for other objects.

    >>> as_json({"loss": np.array([0.5, np.nan]), "epoch": 3})
    b'{"loss":[0.5,null],"epoch":3}'
    """
    option = orjson.OPT_SERIALIZE_NUMPY | (orjson.OPT_INDENT_2 if indented else 0)
    return orjson.dumps(record, default=_as_list, option=option)


def _as_list(value: Any) -> list[Any]:
    """Return an array that does not lie in one piece, or holds text, as a list: all others are taken as they are."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    raise TypeError(f"a record holds numbers, text and arrays, not {type(value).__name__}")
