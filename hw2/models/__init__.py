"""Networks by name: `MODELS`, a dict that is imported on first use.

`python -m hw2.models` therefore starts before TensorFlow is imported, and can hide the lines that
TensorFlow writes as it starts.
"""

from collections.abc import Callable
from typing import Any


def __getattr__(name: str) -> dict[str, Callable[..., Any]]:
    if name != "MODELS":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from hw2.models.names import MODELS

    return MODELS
