"""Lists the models and what they cost.

    python -m hw2.models
    python -m hw2.models --num_classes=10 --image_size=32 --model simple_cnn resnet18 --json
    python -m hw2.models --model resnet50 --layers

Parameters are those that training changes. Multiply-adds are those of convolutions and matrix
products, for one picture. Layers are convolutions and matrices. Patches are the matrices that
im2col lays out for one picture, in float32; where convolution is by im2col, training keeps them
for the gradient. Nothing is run and no weights are made: sizes are read off the graph of each
model.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from hw2.terminal import console, noise


def main(arguments: list[str] | None = None) -> int:
    """Prints one line for each model, or its layers, and returns the exit code."""
    noise.quiet_tensorflow()
    from hw2.models import MODELS, summary  # import TensorFlow, so only now

    parser = _parser(list(MODELS))
    options = parser.parse_args(arguments)
    for name in ("num_classes", "image_size", "channels"):
        if getattr(options, name) < 1:
            parser.error(f"--{name} must be at least 1, got {getattr(options, name)}")
    shape = (options.image_size, options.image_size, options.channels)
    results = []
    lines = not options.json and not options.layers
    if lines:
        print(f"{'model':20}{'parameters':>13}{'multiply-adds':>16}{'layers':>8}{'patches':>12}")
    for name in options.model or MODELS:
        if options.layers:
            out = console.stdout()
            out.print(name)
            out.print(summary.describe(MODELS[name], shape, options.num_classes))
            continue
        found = summary.measure(MODELS[name], shape, options.num_classes)
        results.append({"model": name} | found)
        if lines:
            _, parameters, products, layers, patches = results[-1].values()
            print(
                f"{name:20}{parameters:13,}{products:16,}{layers:8}{patches / 1e6:9,.1f} MB",
                flush=True,
            )
    if options.json:
        print(json.dumps(results, indent=1))
    return 0


def _parser(names: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m hw2.models",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--num_classes", type=int, default=1000, help="length of the logits")
    parser.add_argument("--image_size", type=int, default=224, help="side of the pictures")
    parser.add_argument("--channels", type=int, default=3, help="of the pictures")
    parser.add_argument("--model", nargs="+", choices=names, metavar="NAME", help="default: all")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON instead of the table")
    form.add_argument("--layers", action="store_true", help="print the layers of each")
    return parser


if __name__ == "__main__":
    sys.exit(main())
