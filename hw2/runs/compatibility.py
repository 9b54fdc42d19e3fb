"""Whether a run can resume from a checkpoint with the present data and settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hw2.errors import RunError
from hw2.runs.checkpoints import Checkpoint
from hw2.runs.folder import RunFolder

# What older runs do not record, and how they were.
USUAL = {"fit": "crop", "group_by": "", "cutout": 0, "several_labels": False}


def check_same(
    found: Checkpoint, identity: Mapping[str, Any], folder: RunFolder, *, new_data: bool = False
) -> None:
    """Refuses to resume from the checkpoint of a different training.

    Args:
      found: The checkpoint to resume from.
      identity: What must not change within a run.
      folder: The run folder.
      new_data: Whether the images may have changed.

    Raises:
      RunError: Something has changed; the message says what.
    """
    before = found.state["identity"]
    names = [n for n in identity if n != "scale" or n in before]  # older runs do not have it
    was = USUAL | _flat({name: before.get(name, USUAL.get(name)) for name in names})
    now = _flat({name: identity[name] for name in names})
    changed = [name for name in {**now, **was} if was.get(name) != now.get(name)]
    if new_data:
        changed = [name for name in changed if name != "split"]
    if changed:
        words = "; ".join(f"{n} was {_short(was.get(n))}, is {_short(now.get(n))}" for n in changed)
        raise RunError(
            f"another training in {folder.path} - {words}; "
            "give a new --log_path, or the flags that this run started with"
        )


def has_other_pictures(found: Checkpoint | None, identity: Mapping[str, Any]) -> bool:
    """Whether the checkpoint was trained on other images than the present split has."""
    return found is not None and found.state["identity"]["split"] != identity["split"]


def began(found: Checkpoint | None, identity: Mapping[str, Any]) -> int:
    """Returns the step at which the run began to train on its present images; 0 for its start."""
    if found is None:
        return 0
    if has_other_pictures(found, identity):
        return found.step
    return found.state.get("data_since", 0)


def check_classes(found: Checkpoint, class_names: Sequence[str], folder: RunFolder) -> None:
    """Refuses to resume from a checkpoint with other classes, or with the same in another order.

    Raises:
      RunError: The classes have changed; the message says how.
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


def _flat(identity: Mapping[str, Any]) -> dict[str, Any]:
    """The values by name, with those of the preprocessing and the model's options among them."""
    flat: dict[str, Any] = {}
    for name, value in identity.items():
        if name == "scale":  # that of arrays; an augmentation has the same name
            flat["scale of the arrays"] = value
        else:
            flat.update(value if isinstance(value, dict) else {name: value})
    return flat


def _few(names: Sequence[str], count: int = 5) -> str:
    return ", ".join(names[:count]) + (", ..." if len(names) > count else "")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
