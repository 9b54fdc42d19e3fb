"""Known classes told from unknown pictures: by the largest probability, and in feature space.

`python benchmarks/unknown.py RUN [RUN...]` scores the pictures that each run held out, which are
known, and those of `--unknown_data`. Two scores are compared: the largest probability, and the
negative squared Mahalanobis distance of what enters the last layer to the nearest class
(`hw2.training.mahalanobis`), fitted to the pictures that the run was trained on. Half of the
held-out pictures, drawn by `--seed`, choose the threshold that accepts 95 % of them; the other half
and the unknown pictures are measured with it. AUROC and the share of unknown pictures accepted
where 95 % of the known ones are (FPR95) are of that other half too. Prints a line of JSON for
each run and score.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

import numpy as np
import tensorflow as tf

from hw2.config import settings
from hw2.config.settings import Config
from hw2.input import pipeline
from hw2.input.examples import Examples
from hw2.input.sources import unlabelled
from hw2.jobs import calibration as calibrations
from hw2.jobs import data
from hw2.jobs import model as trained
from hw2.jobs.spec import preprocessing
from hw2.layers.sequential import Sequential, flat
from hw2.runs import folder as run_folder
from hw2.runs.checkpoints import Checkpoint
from hw2.terminal import console
from hw2.training import calibration, mahalanobis, rejection

COVERAGE = 0.95  # of the known pictures that choose the threshold


def outputs(
    model: Sequential, examples: Examples, indices: np.ndarray, checkpoint: Checkpoint
) -> tuple[np.ndarray, np.ndarray]:
    """Computes the input of the last layer, `[N, D]`, and the logits, `[N, classes]`."""
    *before, (_, last) = flat(model)

    @tf.function(autograph=False)
    def both(images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        x = images
        for _, stage in before:
            x = stage(x, training=False)
        return x, last(x, training=False)

    features, logits = [], []
    for images, _, weights in pipeline.evaluation_batches(
        examples, indices, preprocessing(checkpoint.state["identity"]), batch_size=256, cache_mb=0
    ):
        present = np.asarray(weights) > 0
        x, y = (value.numpy()[present] for value in both(images))
        features.append(x)
        logits.append(y)
    return np.concatenate(features), np.concatenate(logits)


def unknown_examples(path: str, config: Config, checkpoint: Checkpoint) -> Examples:
    """Reads pictures of no class, by the rules of the run; a picture that is bad ends it."""
    class_names, scale = data.class_names_and_scale(checkpoint)
    rules = dataclasses.replace(data.rules(data.as_trained(config, checkpoint)), scale=scale)

    def failed(index: int, error: Exception) -> None:
        raise error

    return unlabelled.find_pictures(path, (), rules).forgiving(class_names, failed)


def measure(run: str, path: str, seed: int) -> None:
    """Prints the figures of one run."""
    config, out = settings.parse(["eval.py", f"--checkpoint_dir={run}"]), console.stderr()
    folder = run_folder.find(Path(run))
    checkpoint, tensors = trained.choose(folder, config.checkpoint)
    model = trained.load(checkpoint, tensors, config.weights)
    examples, train, held_out = data.of_run(config, folder, checkpoint, out)
    unknown = unknown_examples(path, config, checkpoint)

    seen, _ = outputs(model, examples, train, checkpoint)
    fitted = mahalanobis.fit(seen, np.asarray(examples.labels)[train])
    temperature = calibrations.temperature(calibrations.of(checkpoint, config.weights))
    binary = trained.is_binary(checkpoint)
    scores: dict[str, list[np.ndarray]] = {"largest probability": [], "Mahalanobis distance": []}
    for part, indices in ((examples, held_out), (unknown, np.arange(len(unknown.labels)))):
        features, logits = outputs(model, part, indices, checkpoint)
        sure = calibration.probabilities(logits, temperature, binary=binary).max(1)
        scores["largest probability"].append(sure)
        scores["Mahalanobis distance"].append(-mahalanobis.distance(features, fitted))

    order = np.random.default_rng(seed).permutation(len(held_out))
    choosing, measuring = order[: len(order) // 2], order[len(order) // 2 :]
    for name, (known, other) in scores.items():
        threshold = float(np.quantile(known[choosing], 1 - COVERAGE))
        known = known[measuring]
        figures = {
            "run": run,
            "score": name,
            "num_known": len(known),
            "num_unknown": len(other),
            "auroc": rejection.auroc(known, other),
            "fpr95": rejection.accepted_at_95(known, other),
            "threshold": threshold,
            "known_rejected": float(rejection.rejected(known, threshold).mean()),
            "unknown_accepted": float((~rejection.rejected(other, threshold)).mean()),
        }
        print(json.dumps(figures), flush=True)


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", nargs="+", help="a run folder that holds pictures out")
    parser.add_argument("--unknown_data", default="fashion_mnist", help="pictures of no class")
    parser.add_argument("--seed", type=int, default=0, help="of the halves")
    args = parser.parse_args()
    for run in args.run:
        measure(run, args.unknown_data, args.seed)


if __name__ == "__main__":
    main()
