"""Fixed position codes, shared by the engines."""

from functools import cache

import numpy as np
from jaxtyping import Float


@cache
def sinusoids(time: int, width: int) -> Float[np.ndarray, "time width"]:
    """Return sinusoidal positions in float64: even channels sine, odd cosine, base 10000.

    Vaswani et al., "Attention Is All You Need", 2017, section 3.5. An odd width ends in a sine.

    >>> sinusoids(2, 2).round(3)
    array([[0.   , 1.   ],
           [0.841, 0.54 ]])
    """
    channel = np.arange(width)
    angle = np.arange(time)[:, None] / 10000 ** (2 * (channel // 2) / width)
    return np.where(channel % 2 == 0, np.sin(angle), np.cos(angle))
