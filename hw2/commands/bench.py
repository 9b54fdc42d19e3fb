"""Compares convolutions on every layer of a model.

    hw2 bench mymodule:conv2d --model=resnet18
    hw2 bench --product=mymodule:matmul --model=simple_cnn --image_size=32
    hw2 bench im2col direct --model=resnet18 --batch=8 --output=layers.html --json

Words are MODULE:FUNCTION, a convolution of yours, or names of algorithms; auto is what a training
takes, and is chosen by a clock where that was not done before. --product is your product of
matrices within im2col. im2col and tf.nn are always beside them. A row is a convolution of the
model, its number of equal layers before it, and one of those who compute it:

y, dx, dw   largest error of the result and of both gradients, over the largest value that the sums
            reach without cancelling, for one picture
ms          median time of the result with both gradients
MB          the tensors of that step which are alive at the same time, at most: what it needs
            beside its inputs, without what an operation allocates for itself

Exits with 1 if one of them fails on a layer.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from hw2.commands.command import Command, Own
from hw2.config.fields import setting
from hw2.config.rules import at_least, one_of
from hw2.config.settings import Config
from hw2.errors import UsageError, writing

HEAD = f"{'layer':40}{'by':24}{'y':>9}{'dx':>9}{'dw':>9}{'ms':>10}{'MB':>9}"
DTYPES = ("float32", "bfloat16", "float16", "float64")


def _bench(config: Config, own_flags: Own) -> int:
    """Prints the table, or JSON, and writes the page."""
    from hw2 import ops  # imports TensorFlow
    from hw2.bench import layers, measure, pages
    from hw2.jobs import answers
    from hw2.models import MODELS
    from hw2.ops import own, timing

    if "auto" not in own_flags.rest:  # else it takes what a training takes
        os.environ[timing.VARIABLE] = "rule"
    for name in own_flags.rest:
        if own.is_own(name):
            own.convolution(name)  # which refuses what it cannot find
        elif name not in ("auto", *ops.ALGORITHMS):
            names = ", ".join(["auto", *ops.ALGORITHMS])
            raise UsageError(f"no algorithm {name} - it must be MODULE:FUNCTION, or one of {names}")
    if own_flags.output:
        answers.check(own_flags.output, overwrite=config.overwrite)
    if own_flags.model not in MODELS:
        raise UsageError(f"no model {own_flags.model} - it must be one of {', '.join(MODELS)}")
    peers = [measure.Peer(name) for name in own_flags.rest]
    if own_flags.product:
        own.product(own_flags.product)
        peers.append(measure.Peer("im2col", own_flags.product))
    peers += [peer for peer in map(measure.Peer, ("im2col", measure.NATIVE)) if peer not in peers]
    shape = (own_flags.image_size, own_flags.image_size, own_flags.channels)
    if not own_flags.json:
        print(HEAD)
    results = []
    for layer in layers.convolutions(MODELS[own_flags.model], shape, own_flags.num_classes):
        results.append(
            measure.measure(
                layer, peers, batch=own_flags.batch, rounds=own_flags.rounds, dtype=own_flags.dtype
            )
        )
        if not own_flags.json:
            print(*_lines(results[-1]), sep="\n", flush=True)
    sums = measure.totals(results)
    if own_flags.json:
        about = {
            name: getattr(own_flags, name) for name in ("model", "image_size", "batch", "dtype")
        }
        print(json.dumps(about | {"layers": results, "totals": sums}, indent=1))
    else:
        print(*_lines({"layer": "all layers", "count": "", "peers": sums}), sep="\n")
    if own_flags.output:
        with writing(own_flags.output, "give another --output"):
            title = (
                f"Convolutions of {own_flags.model}, {own_flags.batch} x {shape[0]} x {shape[1]}"
            )
            Path(own_flags.output).write_text(pages.render(title, results, sums), "utf-8")
    return int(any("failed" in f for r in results for f in r["peers"].values()))


def _lines(result: dict[str, Any]) -> list[str]:
    """The rows of a layer."""
    lines = []
    count = f"{result['count']} x " if result["count"] else ""
    first = count + result["layer"]
    for name, found in result["peers"].items():
        if "failed" in found:
            lines.append(f"{first:40}{name:24}{found['failed']}")
        else:
            errors = "".join(f"{error:9.0e}" for error in found["errors"].values())
            mb = "-" if found["mb"] is None else f"{found['mb']:.2f}"
            lines.append(f"{first:40}{name:24}{errors}{found['ms']:10.2f}{mb:>9}")
        first = ""
    return lines


COMMAND = Command(
    __doc__,
    _bench,
    many=True,
    flags={
        "model": setting("simple_cnn", "whose layers"),
        "image_size": setting(224, "side of the pictures", at_least(1)),
        "channels": setting(3, "of the pictures", at_least(1)),
        "num_classes": setting(1000, "length of the logits", at_least(1)),
        "batch": setting(1, "number of pictures that are timed", at_least(1)),
        "rounds": setting(5, "timed steps of each, of which the median counts", at_least(1)),
        "dtype": setting("float32", ", ".join(DTYPES), one_of(*DTYPES)),
        "product": setting("", "MODULE:FUNCTION, your product in im2col"),
        "output": setting("", "also an HTML page, a new file unless --overwrite", path=()),
        "json": setting(False, "print JSON instead of the table"),
    },
    reads=("debug", "overwrite"),
)
