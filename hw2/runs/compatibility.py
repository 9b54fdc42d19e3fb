"""Whether a run may go on from a checkpoint, with this data and these settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hw2.errors import RunError
from hw2.runs.checkpoints import Checkpoint
from hw2.runs.folder import RunFolder

OTHER_IMAGES = "the pictures are others"  # in the history of a checkpoint


def check_same(
    found: Checkpoint, identity: Mapping[str, Any], folder: RunFolder, *, new_data: bool = False
) -> None:
    """Refuses to go on from a checkpoint with another training than made it.

    Args:
      found: Where to go on from.
      identity: What must not change within a run.
      folder: Of the run.
      new_data: Whether the pictures may have changed.

    Raises:
      RunError: With what has changed.
    """
    before = found.state["identity"]
    changed = [name for name in identity if before.get(name) != identity[name]]
    if new_data:
        changed = [name for name in changed if name != "split"]
    if changed:
        words = "; ".join(
            f"{n} was {_short(before.get(n))}, is {_short(identity[n])}" for n in changed
        )
        raise RunError(
            f"another training in {folder.path} - {words}; "
            "give --log_path a new folder, or the flags this run began with"
        )


def has_other_pictures(found: Checkpoint | None, identity: Mapping[str, Any]) -> bool:
    """Whether the split is not the one that the checkpoint was trained on."""
    return found is not None and found.state["identity"]["split"] != identity["split"]


def began(found: Checkpoint | None, identity: Mapping[str, Any]) -> int:
    """The step at which a run began to train on the pictures of its split; 0 for its first step."""
    if found is None:
        return 0
    if has_other_pictures(found, identity):
        return found.step
    return found.state.get("data_since", 0)


def restarts(state: Mapping[str, Any]) -> list[int]:
    """The steps at which a run continued on other images, in order, from a checkpoint's state."""
    history = state.get("history", [])
    return [start["step"] for start in history if OTHER_IMAGES in start["changes"]]


def check_classes(found: Checkpoint, class_names: Sequence[str], folder: RunFolder) -> None:
    """Refuses to go on from a checkpoint with other classes, or the same in another order.

    Raises:
      RunError: With what has changed.
    """
    before, now = list(found.state["identity"].get("class_names", [])), list(class_names)
    if before == now:
        return
    changes = [f"+{name}" for name in now if name not in before]
    changes += [f"-{name}" for name in before if name not in now]
    raise RunError(
        f"other classes in {found.path} - the checkpoint has {len(before)} classes "
        f"[{_few(before)}], the data has {len(now)} "
        f"[{_few(changes) if changes else 'in another order: ' + _few(now)}]; use "
        f"--init_from={folder.path} --new_head with another --log_path"
    )


def _few(names: Sequence[str], count: int = 5) -> str:
    return ", ".join(names[:count]) + (", ..." if len(names) > count else "")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
