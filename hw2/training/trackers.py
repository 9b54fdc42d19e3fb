"""Trackers: MLflow and Weights & Biases, which keep the curves of many runs, by their libraries."""

from __future__ import annotations

import importlib.util
import json
import os
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hw2.errors import RunError, UsageError, writing
from hw2.runs import atomic

NAMES = ("none", "mlflow", "wandb")
FILE = "tracker.json"  # in the run folder: the tracker's own name of the run, to resume it
PROJECT = "hw2"  # where the environment names no other

Send = Callable[[int, Mapping[str, float]], object]


class Tracker:
    """Sends the figures of a run; if the tracker refuses some, it warns and sends no more."""

    def __init__(self, name: str, send: Send, close: Callable[[bool], object]):
        """Makes a tracker.

        Args:
          name: For the warning.
          send: Takes a step and values by name.
          close: Takes whether the training has come to its end.
        """
        self._name, self._send, self._close, self._open = name, send, close, True

    def scalars(self, step: int, values: Mapping[str, float | None]) -> None:
        """Sends values at one step, except those that are None."""
        found = {name: float(value) for name, value in values.items() if value is not None}
        self._try(lambda: self._send(step, found))

    def close(self, *, finished: bool) -> None:
        """Sends what is left, and says whether the training has come to its end."""
        self._try(lambda: self._close(finished))
        self._open = False

    def _try(self, action: Callable[[], object]) -> None:
        if not self._open:
            return
        try:
            action()
        except Exception as error:  # of any of the libraries that they send by
            warnings.warn(
                f"no more of this run in {self._name}: {_first_line(error)}", stacklevel=3
            )
            self._open = False


def check(name: str) -> None:
    """Refuses a tracker whose library is missing, before any work is done.

    Raises:
      UsageError: It is not installed.
    """
    if name != "none" and importlib.util.find_spec(name) is None:
        raise UsageError(
            f"--tracker={name} needs its library - pip install -e '.[{name}]' in hw2's folder"
        )


def opened(name: str, folder: Path, settings: Mapping[str, Any]) -> Tracker | None:
    """Begins a run in a tracker, or resumes the one that the run folder knows.

    Args:
      name: One of `NAMES`.
      folder: The run folder, whose last two names become the name of the run.
      settings: What the tracker shows beside the curves.

    Returns:
      None for "none".

    Raises:
      RunError: The tracker cannot be reached.
    """
    if name == "none":
        return None
    title = "/".join(folder.absolute().parts[-2:])
    known = _known(name, folder)
    try:
        begin = {"mlflow": _mlflow, "wandb": _wandb}[name]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # between their own libraries
            tracker, run = begin(known, title, folder, settings)
    except Exception as error:  # of any of the libraries that they connect by
        remedy = {
            "mlflow": "MLFLOW_TRACKING_URI names the server or the file",
            "wandb": "`wandb login` lets you in, and WANDB_MODE=offline keeps all here",
        }[name]
        raise RunError(
            f"no tracking by {name} - {_first_line(error)}; {remedy}, or leave out --tracker"
        ) from error
    with writing(folder / FILE):
        atomic.write(folder / FILE, json.dumps({"tracker": name, "run": run}).encode())
    return tracker


def _mlflow(
    known: str, title: str, folder: Path, settings: Mapping[str, Any]
) -> tuple[Tracker, str]:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param, RunStatus
    from mlflow.exceptions import MlflowException

    client = MlflowClient()
    try:
        run = client.get_run(known).info.run_id if known else ""
    except MlflowException:  # removed, or of another server
        run = ""
    if run:
        client.update_run(run, RunStatus.to_string(RunStatus.RUNNING))
    else:
        where = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
        experiment = client.get_experiment_by_name(where)
        number = experiment.experiment_id if experiment else client.create_experiment(where)
        run = client.create_run(number, run_name=title, tags={"folder": str(folder)}).info.run_id
        client.log_batch(run, params=[Param(key, str(value)) for key, value in settings.items()])

    def send(step: int, values: Mapping[str, float]) -> None:
        now = int(time.time() * 1000)  # in milliseconds
        client.log_batch(run, [Metric(key, value, now, step) for key, value in values.items()])

    def close(finished: bool) -> None:
        status = RunStatus.FINISHED if finished else RunStatus.KILLED
        client.set_terminated(run, RunStatus.to_string(status))

    return Tracker("mlflow", send, close), run


def _wandb(
    known: str, title: str, folder: Path, settings: Mapping[str, Any]
) -> tuple[Tracker, str]:
    import wandb

    run = wandb.init(
        project=os.environ.get("WANDB_PROJECT", PROJECT),
        name=title,
        dir=str(folder),
        config=dict(settings),
        id=known or None,
        resume="allow",
        settings=wandb.Settings(console="off", silent=True),
    )
    return Tracker(
        "wandb",
        lambda step, values: run.log(dict(values), step=step),
        lambda finished: run.finish(exit_code=0 if finished else 1),
    ), run.id


def _known(name: str, folder: Path) -> str:
    """The tracker's own name of a run that is resumed; "" for a new one."""
    try:
        found = json.loads((folder / FILE).read_text("utf-8"))
        return str(found["run"]) if found["tracker"] == name else ""
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]
