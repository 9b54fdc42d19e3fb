"""A frozen network under a new last layer, on the solar cells: features are computed only once.

`python benchmarks/frozen_head.py data/cells ANSWERS` takes the folder that `elpv_protocol.py make`
made, and the weights that `hw2 weights efficientnet_lite0` fetched. For each fold it trains a
logistic regression on the means over all positions, its strength chosen by cross-validation within
the 1,968 cells, and writes `ANSWERS/foldN.csv` for `elpv_protocol.py score`.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
import tensorflow as tf
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from hw2.input.files import decode
from hw2.input.transforms import preprocess
from hw2.input.transforms.preprocess import Preprocessing
from hw2.jobs import model as trained
from hw2.jobs import pretrained

BATCH = 32
SIDE = 300  # of the photographs
STRENGTHS = 10.0 ** np.arange(-5, -1)


def features(paths: list[Path], name: str) -> np.ndarray:
    """What the last layer sees of each picture, `[N, channels]`."""
    checkpoint, tensors = pretrained.checkpoint(name)
    model = trained.load(checkpoint, tensors)
    options = checkpoint.state["identity"]["preprocessing"]
    sizes = {"image_size": SIDE, "short_side": SIDE, "crop_size": SIDE}
    p = Preprocessing(**options | sizes)
    stages = list(model.stages.items())
    last = [stage for stage, _ in stages].index("mean")

    @tf.function(autograph=False, reduce_retracing=True)
    def see(x: tf.Tensor) -> tf.Tensor:
        for _, stage in stages[: last + 1]:
            x = stage(x)
        return x

    found = []
    for start in range(0, len(paths), BATCH):
        pictures = [decode.picture(path, SIDE) for path in paths[start : start + BATCH]]
        images = [preprocess.evaluation(tf.constant(picture), p) for picture in pictures]
        found.append(see(tf.stack(images)).numpy())
    return np.concatenate(found)


def rows(path: Path) -> tuple[list[str], list[str]]:
    """Files and classes of a list."""
    with path.open(newline="", encoding="utf-8") as file:
        found = [(row["file"], row["class"]) for row in csv.DictReader(file)]
    return [name for name, _ in found], [label for _, label in found]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("answers", type=Path)
    parser.add_argument("--model", default="efficientnet_lite0")
    given = parser.parse_args()
    names = sorted(f"images/{path.name}" for path in (given.folder / "images").iterdir())
    seen = features([given.folder / name for name in names], given.model)
    of = dict(zip(names, seen, strict=True))
    given.answers.mkdir(parents=True, exist_ok=True)
    for test in sorted(given.folder.glob("fold*_test.csv")):
        files, labels = rows(test.with_name(test.name.replace("_test", "_train")))
        plain = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
        head = GridSearchCV(plain, {"logisticregression__C": STRENGTHS}, cv=5)
        head.fit(np.stack([of[name] for name in files]), labels)
        asked, _ = rows(test)
        found = head.predict(np.stack([of[name] for name in asked]))
        with (given.answers / f"{test.stem[:5]}.csv").open("w", newline="") as file:
            lines = csv.writer(file, lineterminator="\n")
            lines.writerow(["name", "class"])
            lines.writerows(zip(asked, found, strict=True))
        print(f"{test.stem[:5]}: {head.best_params_}", flush=True)


if __name__ == "__main__":
    main()
