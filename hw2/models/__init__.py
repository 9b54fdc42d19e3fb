"""Networks by name: `MODELS`, a dict that is imported on first use.

So `import hw2.models` alone does not import TensorFlow.
"""

from collections.abc import Callable
from typing import Any


def __getattr__(name: str) -> dict[str, Callable[..., Any]]:
    if name != "MODELS":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from hw2.models.names import MODELS

    return MODELS
