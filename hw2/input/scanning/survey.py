"""The result of a scan, before anything is decided about it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from hw2.input.scanning.listing import Listing

Report = Callable[[int, int], None]  # called with files done and files in all


@dataclasses.dataclass(frozen=True, eq=False)
class Survey:
    """The result of a scan.

    Attributes:
      listing: The files that were scanned.
      records: What was found about each file, `[N]` of dtype `manifest.RECORD`.
      bad: The message about each file that cannot be used, by its index.
      cached: Number of files that were not opened, because an earlier scan had seen them.
      seconds: Duration of the scan.
    """

    listing: Listing
    records: np.ndarray
    bad: dict[int, str]
    cached: int
    seconds: float
