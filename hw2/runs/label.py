"""A file beside the checkpoints whose name tells the epoch and the scores of the best one."""

from __future__ import annotations

import warnings
from pathlib import Path

from hw2.runs import atomic, disk


def best(
    folder: Path, step: int, *, epoch: float, loss: float, score: float, name: str = "top1"
) -> None:
    """Writes `best-epoch-E-loss-L-top1-T.json`, and removes the one of an earlier best.

    It is for people, who see it in a listing of the folder; the program does not read it.

    Args:
      folder: Where checkpoints are kept.
      step: The best step; nothing is written unless it has a checkpoint.
      epoch: How many epochs that is.
      loss: Mean loss on the held-out images.
      score: Their top-1 accuracy, or another score.
      name: What the score is called in the name of the file.
    """
    checkpoint = f"step-{step:08d}"
    path = folder / f"best-epoch-{epoch:.2f}-loss-{loss:.4f}-{name}-{score:.4f}.json"
    if path.exists() or not (folder / checkpoint).is_dir():
        return
    content = {"checkpoint": checkpoint, "step": step, "epoch": epoch, "val_loss": loss}
    content[f"val_{name}"] = score
    try:
        atomic.write(path, disk.json_bytes(content))
        for other in folder.glob("best-epoch-*.json"):
            if other != path:
                other.unlink()
    except OSError as error:
        warnings.warn(f"no {path}: {error.strerror}", stacklevel=2)
