"""Whether some classes have far fewer images than others, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hw2.input.files.names import shown

RATIO = 10  # of the largest class to the smallest: below it, plain training mostly does well


def notes(
    class_names: Sequence[str], counts: Sequence[int] | np.ndarray, *, several: bool = False
) -> list[str]:
    """Warns if the largest class has at least `RATIO` times the images of the smallest.

    Args:
      class_names: One for each class.
      counts: How many images each class has; classes without any do not count.
      several: Whether an image may have several classes.
    """
    counts = np.asarray(counts)
    there = np.flatnonzero(counts)
    if not len(there):
        return []
    most, least = there[counts[there].argmax()], there[counts[there].argmin()]
    ratio = int(counts[most]) / int(counts[least])
    if ratio < RATIO:
        return []
    ways = "--class_weights=balanced, --sampling=balanced or --loss=focal make rare classes count"
    if several:
        ways = "--class_weights=balanced makes rare classes count"
    return [
        f"imbalance: {shown(class_names[most])} has {counts[most]:,} images, {ratio:,.0f} times "
        f"the {counts[least]:,} of {shown(class_names[least])}; {ways} more, and "
        "--best_by=macro_f1 chooses the checkpoint by all classes alike"
    ]
