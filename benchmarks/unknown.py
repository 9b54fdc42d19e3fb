"""Known classes told from unknown pictures: by the largest probability, and in feature space.

`python benchmarks/unknown.py RUN [RUN...]` scores the pictures that each run held out, which are
known, and those of `--unknown_data`. Two scores are compared, those of `--reject_by`: the largest
probability, and the Mahalanobis distance of what enters the last layer to the nearest class. Half
of the held-out pictures, drawn by `--seed`, choose the threshold that accepts 95 % of them; the
other half and the unknown pictures are measured with it. AUROC and the share of unknown pictures
accepted where 95 % of the known ones are (FPR95) are of that other half too. Prints a line of JSON
for each run and score. With `--figure=FILE.svg` it draws the ROC curves of the first run.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf

from hw2.config import settings
from hw2.config.settings import Config
from hw2.input.examples import Examples
from hw2.input.sources import unlabelled
from hw2.jobs import calibration as calibrations
from hw2.jobs import data, distance
from hw2.jobs import model as trained
from hw2.jobs.extractor import extractor
from hw2.runs import folder as run_folder
from hw2.runs.checkpoints import Checkpoint
from hw2.terminal import console
from hw2.training import calibration, mahalanobis, rejection

COVERAGE = 0.95  # of the known pictures that choose the threshold
Scores = dict[str, list[np.ndarray]]  # by name the confidences of known and of unknown pictures


def unknown_examples(path: str, config: Config, checkpoint: Checkpoint) -> Examples:
    """Reads pictures of no class, by the rules of the run; a picture that is bad ends it."""
    class_names, scale = data.class_names_and_scale(checkpoint)
    rules = dataclasses.replace(data.rules(data.as_trained(config, checkpoint)), scale=scale)

    def failed(index: int, error: Exception) -> None:
        raise error

    return unlabelled.find_pictures(path, (), rules).forgiving(class_names, failed)


def measure(run: str, path: str, seed: int) -> Scores:
    """Prints the figures of one run; returns the confidences that were measured."""
    config, out = settings.parse(["eval.py", f"--checkpoint_dir={run}"]), console.stderr()
    folder = run_folder.find(Path(run))
    checkpoint, tensors = trained.choose(folder, config.checkpoint)
    fitted = distance.of(config, checkpoint, tensors, out)
    compute = extractor(trained.load(checkpoint, tensors, config.weights), run)
    examples, _, held_out = data.of_run(config, folder, checkpoint, out)
    unknown = unknown_examples(path, config, checkpoint)

    temperature = calibrations.temperature(calibrations.of(checkpoint, config.weights))
    binary = trained.is_binary(checkpoint)
    scores: Scores = {"largest probability": [], "distance": []}
    for part, indices in ((examples, held_out), (unknown, np.arange(len(unknown.labels)))):
        batches = distance.of_examples(config, checkpoint, part, indices)
        features, logits = distance.outputs(compute, batches)
        sure = calibration.probabilities(logits, temperature, binary=binary).max(1)
        far = mahalanobis.distance(tf.constant(features), distance.gaussians(fitted))
        scores["largest probability"].append(sure)
        scores["distance"].append(-far.numpy())

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
        scores[name] = [known, other]
    return scores


def draw(scores: Scores, path: str) -> None:
    """Draws the ROC curve of each score."""
    mpl.rcParams |= {"svg.hashsalt": "hw2", "font.size": 9}
    figure, axes = plt.subplots(figsize=(4.2, 3.2), layout="constrained")
    for name, (known, unknown) in scores.items():
        axes.plot(
            *rejection.roc(known, unknown),
            label=f"{name}, AUROC {rejection.auroc(known, unknown):.3f}",
        )
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.01)
    axes.set_xlabel("share of the unknown pictures that are accepted")
    axes.set_ylabel("of the known ones")
    axes.legend(loc="lower right", frameon=False)
    axes.grid(alpha=0.3)
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", nargs="+", help="a run folder that holds pictures out")
    parser.add_argument("--unknown_data", default="fashion_mnist", help="pictures of no class")
    parser.add_argument("--seed", type=int, default=0, help="of the halves")
    parser.add_argument("--figure", default="", help="file of the ROC curves, .svg or .png")
    args = parser.parse_args()
    found = [measure(run, args.unknown_data, args.seed) for run in args.run]
    if args.figure:
        draw(found[0], args.figure)


if __name__ == "__main__":
    main()
