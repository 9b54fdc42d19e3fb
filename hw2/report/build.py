"""From run folders to a page: the wiring of the report."""

from __future__ import annotations

import dataclasses
import json
import os
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from rich.console import Console

from hw2 import __version__, ops
from hw2.config.settings import Config
from hw2.errors import DataError, Fault, RunError
from hw2.input import pipeline, split
from hw2.input.examples import Examples
from hw2.jobs import data as dataset
from hw2.jobs import model as trained
from hw2.jobs import spec
from hw2.machines import devices
from hw2.models import summary
from hw2.report import (
    calibration,
    convolution,
    curves,
    feature_maps,
    filters,
    gradcam,
    page,
    predictions,
    record,
    stages,
    thumbnail,
)
from hw2.report.predictions import Predictions, share
from hw2.report.record import Record
from hw2.runs import diagnosis
from hw2.runs import folder as run_folder
from hw2.runs.checkpoints import Checkpoint
from hw2.terminal import console

SAMPLE = 2000  # pictures for the figures beside the main one
MOST_PAIR_PICTURES = 6


@dataclasses.dataclass(frozen=True)
class Seen:
    """A run with its checkpoint, data and answers."""

    checkpoint: Checkpoint
    tensors: Mapping[str, np.ndarray]  # a running training may have removed the file since
    model: tf.Module
    examples: Examples
    indices: np.ndarray
    answers: Predictions
    data: str


@devices.check_device_errors()
def build(folders: Sequence[str], config: Config) -> None:
    """Writes the page, and prints one JSON line.

    Args:
      folders: Of the runs; with more than one the page compares them.
      config: Settings as for evaluation, and `output`.

    Raises:
      Fault: There is no run, or the page cannot be written. What only a part of the page needs
        and is not there is said on the page and on stderr instead.
    """
    started = time.perf_counter()
    out = console.stderr()
    paths = [_existing(Path(folder)) for folder in folders]
    records = [record.read(path) for path in paths]
    missing: list[str] = []
    seen = [_seen(one, config, out, missing) for one in records]
    labels = _labels(records)
    content: dict[str, Any] = {
        "version": __version__,
        "made": time.strftime("%Y-%m-%d %H:%M"),
        "title": labels[0] if len(paths) == 1 else " and ".join(labels),
        "comparison": None,
        "answers": None,
    }
    if len(paths) == 1:
        content |= _one(records[0], seen[0], config, out, missing)
    else:
        content |= {"comparison": _compared(records, labels, seen, config.top_k, missing)}
    content["missing"] = missing
    name = "report.html" if len(paths) == 1 else "comparison.html"
    path = Path(config.output or paths[0] / name)
    text = page.render(content)
    page.write(path, text)
    for words in missing:
        out.print(f"  note: {words}", style="dim")
    out.print(f"{path}: {len(text.encode('utf-8', 'replace')) / 1e6:.1f} MB")
    result: dict[str, Any] = {"report": str(path), "bytes": path.stat().st_size}
    if seen[0] and len(paths) == 1:
        result["top1"] = float(seen[0].answers.right.mean())
    result |= {"missing": missing, "seconds": round(time.perf_counter() - started, 1)}
    print(json.dumps(result), flush=True)


def _existing(path: Path) -> Path:
    if (path / run_folder.FLAGS).exists():
        return path
    raise RunError(
        f"no run in {path} - it has no {run_folder.FLAGS}; give the run folder of a training "
        "(its --log_path)"
    )


def _labels(records: Sequence[Record]) -> list[str]:
    """Names that differ: of the folders, or where these are the same the paths since they part."""
    names = [one.name for one in records]
    paths = [one.path.absolute() for one in records]
    if len(set(names)) == len(names) or len(set(paths)) == 1:
        return names
    return [os.path.relpath(path, os.path.commonpath(paths)) for path in paths]


def _seen(one: Record, config: Config, out: Console, missing: list[str]) -> Seen | None:
    """Reads checkpoint and data and asks the model; None with the reason where it cannot."""
    try:
        folder = run_folder.RunFolder(one.path)
        checkpoint, tensors = trained.choose(folder, config.checkpoint)
        same = checkpoint.state["identity"]
        model = spec.build_model(same, load_pretrained=False)
        trained.restore_weights(model, checkpoint, tensors, config.weights)
        examples, indices = _pictures(one, checkpoint, config, out)
        with ops.algorithm(config.conv_algorithm):
            ask = predictions.asker(model, trained.probabilities(checkpoint))
            answers = _ask(checkpoint, ask, examples, indices, config)
    except DataError as error:
        missing.append(
            f"{one.name}: nothing of the model on pictures: {error}; --train_data_path says where "
            "the training data are now, --test_data_path which others to take"
        )
        return None
    except Fault as fault:
        missing.append(f"{one.name}: nothing of the model on pictures: {fault}")
        return None
    if not np.isfinite(answers.probabilities).all():
        missing.append(f"{one.name}: some answers of the model are not finite numbers")
        return None
    data = dataset.absolute_path(config.test_data_path) or "validation part"
    return Seen(checkpoint, tensors, model, examples, indices, answers, data)


def _pictures(
    one: Record, checkpoint: Checkpoint, config: Config, out: Console
) -> tuple[Examples, np.ndarray]:
    accepted = config if config.test_data_path else _accepting(one, config)
    folder = run_folder.RunFolder(one.path)
    examples, indices = dataset.held_out(accepted, folder, checkpoint, out)
    return examples, _sample(indices, config.num_examples or len(indices))


def _accepting(one: Record, config: Config) -> Config:
    """The settings, accepting bad pictures where the training did: its split has none of them."""
    if one.flags.get("on_bad_file") != "skip":
        return config
    share_of_bad = float(one.flags.get("max_bad_fraction", config.max_bad_fraction))
    return dataclasses.replace(config, on_bad_file="skip", max_bad_fraction=share_of_bad)


def _sample(indices: np.ndarray, most: int) -> np.ndarray:
    """At most so many, the same every time, in their order."""
    if len(indices) <= most:
        return indices
    return np.sort(np.random.default_rng(0).permutation(indices)[:most])


def _ask(
    checkpoint: Checkpoint,
    ask: Callable[[tf.Tensor], tf.Tensor],
    examples: Examples,
    indices: np.ndarray,
    config: Config,
) -> Predictions:
    return predictions.predict(
        ask,
        examples,
        indices,
        spec.preprocessing(checkpoint.state["identity"]),
        batch_size=config.batch_size,
    )


def _one(
    one: Record, seen: Seen | None, config: Config, out: Console, missing: list[str]
) -> dict[str, Any]:
    """All that the page of one run shows."""
    content: dict[str, Any] = {
        "facts": _facts(one, seen),
        "again": shlex.join(
            [
                "python",
                "train.py",
                f"--flagfile={one.path / run_folder.FLAGS}",
                "--log_path=runs/again",
            ]
        ),
        "evaluate": shlex.join(["python", "eval.py", f"--checkpoint_dir={one.path}"]),
        "flags": one.flags,
        "curves": curves.of(one) if one.rows else [],
        "sayings": diagnosis.read(one.rows) if one.rows else [],
        "answers": None,
    }
    if not one.rows:
        missing.append("no curves: metrics.csv has no rows yet")
    if seen is None:
        return content
    found = seen.answers
    k = min(config.top_k, len(found.class_names))
    top1, topk = share(found.right), share(found.among(k))
    content |= {
        "answers": found,
        "data": seen.data,
        "k": k,
        "top1": top1,
        "topk": topk,
        "sides": _sides(one, seen, config, out, missing),
        "stages": _stages(seen, missing),
        "classes": predictions.by_class(found),
        "matrix": _matrix(found),
        "pairs": _pairs(seen),
        "worst": _cards(seen, predictions.worst(found)),
        "unsure": _cards(seen, predictions.least_sure(found)),
        "ece": calibration.error(found.confidence, found.right),
        "reliability": calibration.draw(found.confidence, found.right),
        "bins": calibration.table(found.confidence, found.right),
    }
    with ops.algorithm(config.conv_algorithm):
        content |= _inside(seen, missing)
    return content


def _facts(one: Record, seen: Seen | None) -> list[tuple[str, str]]:
    flags = one.flags
    end = f"{flags['epochs']} epochs" if int(flags.get("epochs", 0)) else flags.get("max_steps")
    facts = [
        ("trained on", flags.get("train_data_path", "?")),
        ("model", flags.get("model", "?")),
        ("classes", f"{len(one.class_names)}"),
        ("steps", f"{one.step:,}, to end at {end}"),
        ("batch", flags.get("batch_size", "?")),
        ("optimizer", f"{flags.get('optimizer')}, rate {flags.get('learning_rate')}"),
        ("picture", f"{flags.get('image_size')} pixels a side"),
    ]
    if one.best_step is not None:
        facts.append(("best step", f"{one.best_step:,}"))
    if seen:
        weights = sum(int(np.prod(v.shape)) for v in seen.model.trainable_variables)
        facts.append(("this page is of", f"step {seen.checkpoint.step:,}"))
        facts.append(("parameters", f"{weights:,}"))
        environment = seen.checkpoint.state["environment"]
        words = [f"{name} {value}" for name, value in environment.items() if value]
        facts.append(("trained with", ", ".join(words)[:300]))
    return facts


def _sides(
    one: Record, seen: Seen, config: Config, out: Console, missing: list[str]
) -> list[dict[str, Any]]:
    """Training beside validation, raw weights beside averaged ones, best beside last."""
    rows = [_side("best", config.weights, seen.data, seen.checkpoint.step, seen.answers)]
    if config.checkpoint == "last":
        rows[0]["which"] = "last"
    few = _sample(seen.indices, SAMPLE)
    asked = [("best", seen.checkpoint, seen.tensors, few, seen.data)]
    try:
        last, tensors = trained.choose(run_folder.RunFolder(one.path), "last")
        if last.step != seen.checkpoint.step:
            asked.append(("last", last, tensors, few, seen.data))
    except Fault as fault:
        missing.append(f"nothing of the last checkpoint: {fault}")
    if not config.test_data_path:
        training, _ = split.read(one.path / "split.csv", seen.examples)
        sample = _sample(training, SAMPLE)
        asked.append(("best", seen.checkpoint, seen.tensors, sample, "training part"))
    model = spec.build_model(seen.checkpoint.state["identity"], load_pretrained=False)
    ask = predictions.asker(model, trained.probabilities(seen.checkpoint))
    for which, checkpoint, tensors, indices, data in asked:
        for weights in ("ema", "raw"):
            main = (checkpoint.step, weights, data) == (
                seen.checkpoint.step,
                config.weights,
                seen.data,
            )
            if main and len(indices) == len(seen.indices):
                continue
            try:
                trained.restore_weights(model, checkpoint, tensors, weights)
                with ops.algorithm(config.conv_algorithm):
                    found = _ask(checkpoint, ask, seen.examples, indices, config)
            except Fault as fault:
                missing.append(f"no figures of {which}, {weights}, {data}: {fault}")
                continue
            rows.append(_side(which, weights, data, checkpoint.step, found))
    return rows


def _side(which: str, weights: str, data: str, step: int, found: Predictions) -> dict[str, Any]:
    return {
        "which": which,
        "weights": {"ema": "averaged", "raw": "raw"}[weights],
        "data": data,
        "step": step,
        "top1": share(found.right),
        "loss": found.loss,
    }


def _stages(seen: Seen, missing: list[str]) -> list[summary.Row]:
    shape = spec.image_shape(seen.checkpoint.state["identity"])
    try:
        return summary.summarize(seen.model, shape)
    except (ValueError, TypeError, AttributeError) as error:
        missing.append(f"no table of layers: {error}")
        return []


def _matrix(found: Predictions) -> list[dict[str, Any]]:
    """Rows of the confusion matrix, with the share of its class in each cell."""
    rows = []
    for name, counts in zip(found.class_names, found.confusion.tolist(), strict=True):
        total = sum(counts)
        cells = [(count, round(100 * count / total) if total else 0) for count in counts]
        rows.append({"name": name, "total": total, "cells": cells})
    return rows


def _pairs(seen: Seen) -> list[dict[str, Any]]:
    found = seen.answers
    return [
        {
            "label": found.class_names[label],
            "guess": found.class_names[guess],
            "count": len(rows),
            "of": int((found.labels == label).sum()),
            "pictures": _cards(seen, rows[:MOST_PAIR_PICTURES]),
        }
        for label, guess, rows in predictions.confused(found)
    ]


def _cards(seen: Seen, rows: Sequence[int] | np.ndarray) -> list[dict[str, Any]]:
    found, cards = seen.answers, []
    for row in rows:
        try:
            picture = thumbnail.of_example(seen.examples.load, int(seen.indices[row]))
        except DataError:  # it has gone since
            continue
        cards.append(
            {
                "name": found.names[row],
                "src": picture,
                "label": found.class_names[found.labels[row]],
                "guess": found.class_names[found.guesses[row]],
                "right": bool(found.right[row]),
                "best": [
                    (found.class_names[label], value, label == found.labels[row])
                    for label, value in found.best(row)
                ],
            }
        )
    return cards


def _inside(seen: Seen, missing: list[str]) -> dict[str, Any]:
    """Grad-CAM, filters, feature maps and the convolution itself."""
    content: dict[str, Any] = {
        "cams": [],
        "cam_stage": "",
        "filters": None,
        "maps": [],
        "convolution": [],
        "through": None,
    }
    chosen = _of_each_class(seen.answers)
    images = _images(seen, chosen)
    found = seen.answers
    first = images[:1]
    traced = stages.outputs(seen.model, first)
    target = gradcam.target(traced)
    if target is None:
        missing.append("no Grad-CAM: no stage of this model has maps of 5x5 or more")
    else:
        name, maps = traced[target]
        content["cam_stage"] = f"{name}, {maps.shape[1]}x{maps.shape[2]} positions"
        guesses = found.guesses[chosen].astype(np.int32)
        parts = [
            gradcam.heat(seen.model, images[n : n + 16], guesses[n : n + 16], target)
            for n in range(0, len(images), 16)
        ]
        for row, image, heat in zip(chosen, images.numpy(), np.concatenate(parts), strict=True):
            [card] = _cards(seen, [row]) or [None]
            if card:
                content["cams"].append(card | {"heat": gradcam.overlay(image, heat)})
    picture = _cards(seen, chosen[:1])
    content["through"] = picture[0] if picture else None
    content["maps"] = feature_maps.strips(traced)
    conv = stages.first_conv(seen.model)
    if conv is None:
        missing.append("no first-layer filters: the model does not begin with a Conv of hw2.layers")
        return content
    content["filters"] = filters.draw(conv[0], conv[1].w.numpy())
    pixels = seen.examples.load(int(seen.indices[chosen[0]]), 28)
    content["convolution"] = [
        convolution.draw(*conv, first[0].numpy()),
        convolution.example(pixels),
    ]
    return content


def _of_each_class(found: Predictions) -> np.ndarray:
    """A row of each class that has pictures: the right answer it is surest of, or a wrong one."""
    rows = []
    for label in np.unique(found.labels):
        own = np.flatnonzero(found.labels == label)
        order = np.lexsort((-found.confidence[own], ~found.right[own]))
        rows.append(int(own[order[0]]))
    return np.array(rows)


def _images(seen: Seen, rows: np.ndarray) -> tf.Tensor:
    """Pictures as the model sees them."""
    batches = pipeline.evaluation_batches(
        seen.examples,
        seen.indices[rows],
        spec.preprocessing(seen.checkpoint.state["identity"]),
        batch_size=len(rows),
        cache_mb=0,
    )
    with pipeline.naming_errors():
        [(images, _, _)] = list(batches)
    return images


def _compared(
    records: Sequence[Record],
    labels: Sequence[str],
    seen: Sequence[Seen | None],
    top_k: int,
    missing: list[str],
) -> dict[str, Any]:
    """A row for each run, their curves over one another, and McNemar for each pair."""
    rows = []
    for one, label, its in zip(records, labels, seen, strict=True):
        _, speeds = one.series("examples_per_second")
        row: dict[str, Any] = {
            "label": label,
            "model": one.flags.get("model", "?"),
            "data": one.flags.get("train_data_path", "?"),
            "step": one.step,
            "best_step": one.best_step,
            "speed": float(np.median(speeds)) if speeds else None,
            "top1": None,
        }
        if its:
            k = min(top_k, len(its.answers.class_names))
            row |= {
                "top1": share(its.answers.right),
                "topk": share(its.answers.among(k)),
                "k": k,
                "loss": its.answers.loss,
                "ece": calibration.error(its.answers.confidence, its.answers.right),
                "parameters": sum(int(np.prod(v.shape)) for v in its.model.trainable_variables),
            }
        rows.append(row)
    tests = []
    for a in range(len(seen)):
        for b in range(a + 1, len(seen)):
            result = None
            if seen[a] and seen[b]:
                result = predictions.mcnemar(seen[a].answers, seen[b].answers)
                if result is None:
                    missing.append(
                        f"no McNemar test of {labels[a]} and {labels[b]}: they have no pictures "
                        "in common, or other classes; give --test_data_path"
                    )
            if result:
                tests.append({"first": labels[a], "second": labels[b], **result})
    return {
        "rows": rows,
        "tests": tests,
        "curves": curves.together(records, labels),
        "differences": _differences([one.flags for one in records]),
    }


def _differences(flags: Sequence[Mapping[str, str]]) -> list[tuple[str, list[str]]]:
    """Settings that are not the same in all, with the value of each."""
    names = dict.fromkeys(name for one in flags for name in one)
    table = [(name, [one.get(name, "") for one in flags]) for name in names]
    return [(name, values) for name, values in table if len(set(values)) > 1]
