"""From run folders to a page: the stages of a report."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hw2 import __version__
from hw2.config.settings import Config
from hw2.errors import RunError, UsageError
from hw2.machines import failures
from hw2.report import comparison, one_run, page, record, scored
from hw2.report.record import Record
from hw2.report.sets import SetPredictions
from hw2.runs.folder import FLAGS
from hw2.terminal import console

OF_SETS = ("mean_average_precision", "micro_f1", "macro_f1", "exact_match")  # of the JSON line


@failures.check_device_errors()
def build(folders: Sequence[str], config: Config) -> None:
    """Writes the page, and prints one JSON line.

    Args:
      folders: The run folders; with more than one the page compares them.
      config: The settings, as for evaluation, and `output`.

    Raises:
      Fault: There is no run, `tta` is not "none", or the page cannot be written. What only a part
        of the page needs and is missing is said on the page and on stderr instead.
    """
    if config.tta != "none":
        raise UsageError(
            f"--tta must be none for a report, got {config.tta}: the page looks into the network, "
            "which sees one picture; hw2 eval --tta measures it"
        )
    started = time.perf_counter()
    out = console.stderr()
    missing: list[str] = []

    # What the folders tell by themselves. A folder without a run ends the report here.
    paths = [_existing(Path(folder)) for folder in folders]
    records = [record.read(path) for path in paths]

    # What the models say of the held-out images. Where data or checkpoint are missing, the page
    # does without, and says so.
    runs = [scored.score(one, config, out, missing) for one in records]

    # The page: of one run, or a comparison of several.
    labels = _labels(records)
    content: dict[str, Any] = {
        "version": __version__,
        "made": time.strftime("%Y-%m-%d %H:%M"),
        "title": labels[0] if len(paths) == 1 else " and ".join(labels),
        "comparison": None,
        "answers": None,
        "sets": None,
    }
    if len(paths) == 1:
        content |= one_run.content(records[0], runs[0], config, out, missing)
    else:
        content["comparison"] = comparison.content(records, labels, runs, config.top_k, missing)
    text = page.render(content | {"missing": missing})

    # The file, and what came of it, for people and for programs.
    name = "report.html" if len(paths) == 1 else "comparison.html"
    path = Path(config.output or paths[0] / name)
    page.write(path, text)
    for words in missing:
        out.print(f"  note: {words}", style="dim")
    out.print(f"{path}: {len(text.encode('utf-8', 'replace')) / 1e6:.1f} MB")
    result: dict[str, Any] = {"report": str(path), "bytes": path.stat().st_size}
    answers = None
    if runs[0] and len(paths) == 1:
        answers = runs[0].answers
    if isinstance(answers, SetPredictions):
        result |= {name: getattr(answers.scores, name) for name in OF_SETS}
    elif answers:
        result["top1"] = float(answers.right.mean())
        result |= {name: getattr(answers, name) for name in ("balanced_accuracy", "macro_f1")}
    result |= {"missing": missing, "seconds": round(time.perf_counter() - started, 1)}
    print(json.dumps(result), flush=True)


def _existing(path: Path) -> Path:
    if (path / FLAGS).exists():
        return path
    raise RunError(
        f"no run in {path} - it has no {FLAGS}; give the run folder of a training (its --log_path)"
    )


def _labels(records: Sequence[Record]) -> list[str]:
    """Names the runs by their folders, or by paths if two folders have the same name."""
    names = [one.name for one in records]
    paths = [one.path.absolute() for one in records]
    if len(set(names)) == len(names) or len(set(paths)) == 1:
        return names
    return [os.path.relpath(path, os.path.commonpath(paths)) for path in paths]
