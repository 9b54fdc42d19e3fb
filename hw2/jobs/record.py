"""The settings and the environment of a run, which its checkpoints record."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from hw2.config import settings
from hw2.config.settings import Config
from hw2.jobs import settled
from hw2.jobs.spec import Spec
from hw2.machines import environment
from hw2.machines.environment import Environment
from hw2.runs import compatibility
from hw2.runs.checkpoints import Checkpoint

CLASS_WEIGHTS = "class_weights"  # in a checkpoint's state: by class; null where all count alike


def record_of_run(
    config: Config,
    found: Checkpoint | None,
    spec: Spec,
    runs_on: Environment,
    last_step: int,
    class_weights: Sequence[float] | None = None,
) -> dict[str, Any]:
    """Gathers what each checkpoint of a run records besides tensors and progress, as plain JSON.

    Warns if the settings or the environment differ from those of the checkpoint to resume.

    Args:
      config: The settings.
      found: The checkpoint to resume; None for a new run.
      spec: What must not change within a run.
      runs_on: Versions, threads and devices.
      last_step: The step where training ends.
      class_weights: Weights of the classes in the loss; None where all count alike.
    """
    values = {name: getattr(config, name) for name in settings.RECORDED}
    if config.schedule in ("cosine", "one_cycle"):
        values["last_step"] = last_step
    now = {"environment": runs_on, "settings": values}
    weights = class_weights and dict(zip(spec["class_names"], class_weights, strict=True))
    more = []
    if found and weights and found.state.get(CLASS_WEIGHTS) not in (None, weights):
        more = ["the class weights have changed"]  # of the file, or of the numbers of images
    usual = {name: settled.usual(config)[name] for name in ("momentum", "epsilon")}
    history = _history(found, now, usual, more) if found else []
    since = compatibility.began(found, spec)
    if compatibility.has_other_pictures(found, spec):
        history = [*history, {"step": since, "changes": ["the data has changed"]}]
    return {
        "identity": spec,
        "train_data_path": config.train_data_path,
        **now,
        CLASS_WEIGHTS: weights,
        "history": history,
        "data_since": since,
        settled.SGD_DECAY: settled.sgd_decay(found),
    }


def _history(
    found: Checkpoint,
    now: Mapping[str, Mapping[str, Any]],
    usual: Mapping[str, Any],
    more: Sequence[str],
) -> list[dict[str, Any]]:
    """Lists what has changed at each start of a run; warns if something has at this one.

    Args:
      found: The checkpoint to resume.
      now: "environment" and "settings".
      usual: What older checkpoints do not record, as it was in all of them.
      more: Other changes, in words.
    """
    # A checkpoint from before a flag existed was trained with the default of that flag; one that
    # is not of a cosine has no last step.
    defaults = {name: settings.FIELDS[name].default for name in settings.RECORDED}
    defaults |= {name: value for name, value in now["settings"].items() if name == "last_step"}
    defaults |= usual
    old = {**found.state, "settings": defaults | found.state["settings"]}
    changes = [words for part in now for words in environment.changes(old[part], now[part])]
    changes += more
    before = found.state.get("history", [])
    if not changes:
        return before
    warnings.warn(environment.warning(changes), stacklevel=2)
    return [*before, {"step": found.step, "changes": changes}]
