"""Rules of what a source of images may hold, and what happens when it breaks them."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

from hw2.input.files.levels import Scale

NEAR_DUPLICATES = "near_duplicates"  # as group_by
COLUMN = "column:"
MAX_PIXELS = 100_000_000  # 300 MB as RGB


@dataclasses.dataclass(frozen=True)
class Rules:
    """Limits and options for reading a source.

    Attributes:
      on_bad_file: "error" lists the bad files and stops; "skip" leaves them out, with a note.
      max_bad_fraction: Fraction of the images that may be skipped, or be in several classes.
      max_pixels: Larger images are refused by their header, before memory is allocated.
      min_size: Images with a shorter side are refused.
      allow_empty_class: Whether a class without images is accepted, and keeps its number.
      allow_outside_links: Whether links may lead out of the folder.
      skip_conflicts: Whether images that are in several classes are left out, with a note.
      skip_empty_class: Whether a class without images is left out, with a note.
      allow_same_folders: Whether all classes may hold folders of the same names.
      group_by: What says which images belong together. A list may have the column that it names.
      levels: The value of white in arrays, if the user says it; 0 if not.
      scale: The scale of the training data, if it came from an array.
      decode: Whether the scan decodes every image; otherwise it checks the header only, and
        hashes the content.
      cache_folder: Where manifests are kept between starts; None to keep none.

    Raises:
      ValueError: A field is out of range.
    """

    on_bad_file: str = "error"
    max_bad_fraction: float = 0.01
    max_pixels: int = MAX_PIXELS
    min_size: int = 1
    allow_empty_class: bool = False
    allow_outside_links: bool = False
    skip_conflicts: bool = False
    skip_empty_class: bool = False
    allow_same_folders: bool = False
    group_by: str = ""
    levels: float = 0.0
    scale: Scale | None = None
    decode: bool = True
    cache_folder: str | None = None

    def __post_init__(self) -> None:
        if self.on_bad_file not in ("error", "skip"):
            raise ValueError(f"on_bad_file must be error or skip, got {self.on_bad_file!r}.")
        if not 0 <= self.max_bad_fraction <= 1:
            raise ValueError(f"max_bad_fraction must be in [0, 1], got {self.max_bad_fraction}.")
        if self.levels < 0:
            raise ValueError(f"levels must be at least 0, got {self.levels}.")
        if self.max_pixels < 1 or self.min_size < 1:
            raise ValueError(
                "max_pixels and min_size must be at least 1, got "
                f"{self.max_pixels} and {self.min_size}."
            )


def group_column(group_by: str) -> str:
    """The column of a list that says which images belong together; "" where no column does."""
    return group_by.removeprefix(COLUMN).strip().lower() if group_by.startswith(COLUMN) else ""


def among(settings: Mapping[str, Any]) -> Rules:
    """Makes the rules of the settings that are rules, with the user's cache folder."""
    names = {field.name for field in dataclasses.fields(Rules)} & settings.keys()
    return Rules(**{name: settings[name] for name in names}, cache_folder=default_cache_folder())


def default_cache_folder() -> str | None:
    """Returns `$XDG_CACHE_HOME/hw2` or `~/.cache/hw2`; None if there is no home folder.

    Source: the XDG Base Directory Specification.
    """
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(home, "hw2") if os.path.isabs(home) else None
