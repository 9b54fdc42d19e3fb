"""Writes the exercises into a folder."""

from __future__ import annotations

from pathlib import Path

from hw2.errors import UsageError, writing
from hw2.exercises.course import EXERCISES

_TEXTS = Path(__file__).parent / "texts"
FIRST = "README.md"


def lay_out(folder: Path) -> list[Path]:
    """Writes the files that are not there yet; a student's work is never overwritten.

    Returns:
      The files that were written.

    Raises:
      UsageError: The name is that of a file.
      RunError: The disk refuses.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file - give a folder for the exercises")
    written = []
    with writing(folder, "choose another folder"):
        folder.mkdir(parents=True, exist_ok=True)
        for name in (FIRST, *(exercise.file for exercise in EXERCISES)):
            path = folder / name
            if not path.exists():
                path.write_text((_TEXTS / f"{name}.txt").read_text("utf-8"), "utf-8")
                written.append(path)
    return written
