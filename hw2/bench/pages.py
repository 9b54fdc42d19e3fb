"""The page of a comparison."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hw2.ops.verify import page

ABOUT = (
    "Each row is a convolution of the model, computed by one of the algorithms that are compared: "
    "the size of its input, its kernel and number of filters, and how many layers are like it. "
    "Errors of the result y and of both gradients are the largest difference from the definition "
    "in float64, over the largest value that the sums reach without cancelling. The time is the "
    "median of steps that compute all three. The memory is that of the tensors of a step that are "
    "alive at the same time, beside its inputs."
)
HEADS = ("layer", "equal layers", "algorithm", "y", "dx", "dw", "ms", "MB")


def render(title: str, results: Sequence[dict[str, Any]], sums: dict[str, dict[str, Any]]) -> str:
    """Returns the HTML of the page.

    Args:
      title: Of the page.
      results: Of `measure.measure`, one for each layer.
      sums: Of `measure.totals`.
    """
    rows: list[tuple[list[str], bool]] = []
    for result in [*results, {"layer": "all layers", "count": "", "peers": sums}]:
        rows += _rows(result)
    return page.page(title, ABOUT, page.of_table(HEADS, rows))


def _rows(result: dict[str, Any]) -> list[tuple[list[str], bool]]:
    """The rows of a layer, with bars to the largest of them."""
    most = {
        key: max((f.get(key) or 0 for f in result["peers"].values()), default=0)
        for key in ("ms", "mb")
    }
    rows: list[tuple[list[str], bool]] = []
    first = [result["layer"], str(result["count"])]
    for name, found in result["peers"].items():
        if "failed" in found:
            rows.append(([*first, name, found["failed"], "", "", "", ""], False))
        else:
            cells = [f"{error:.0e}" for error in found["errors"].values()]
            for key in ("ms", "mb"):
                value = found[key]
                text = "-" if value is None else f"{value:,.2f}"
                cells.append(page.bar((value or 0) / most[key] if most[key] else 0, text))
            rows.append(([*first, name, *cells], True))
        first = ["", ""]
    return rows
