"""Writes a run's model as a file that classifies pictures without hw2.

    python -m hw2.export RUN --format=saved_model
    python -m hw2.export RUN --format=litert --int8 --output=model.tflite
    python -m hw2.export RUN --format=onnx

  --format=saved_model   bytes of JPEG, PNG, GIF, BMP and WebP files in
           litert        RGB pixels in, for the LiteRT runtime of phones and small machines
           onnx          RGB pixels in, for ONNX Runtime and others; pip install 'hw2[onnx]'
  --int8                 litert with weights and sums of 8 bits; says what accuracy that costs

Names of classes and probabilities come out. The file is in RUN/export unless --output names it,
and is there only once it agrees with predict.py on 100 pictures. --checkpoint, --weights,
--test_data_path and --overwrite are as for eval.py and predict.py.
"""

from __future__ import annotations

import argparse
import sys

from hw2 import command

FORMATS = ("saved_model", "litert", "onnx")


def main() -> None:
    """Takes the run folder and the flags of export off the command line; the rest are flags."""
    parser = argparse.ArgumentParser("python -m hw2.export", add_help=False, allow_abbrev=False)
    parser.add_argument("--format", choices=FORMATS, default=FORMATS[0])
    parser.add_argument("--int8", action="store_true")
    own, rest = parser.parse_known_args(sys.argv[1:])
    asks = any(word.lstrip("-").startswith("help") for word in rest)
    if asks:
        print(__doc__)
    elif not rest or rest[0].startswith("-"):
        print(f"error: no run folder given - {__doc__.splitlines()[2].strip()}", file=sys.stderr)
        sys.exit(1)
    elif own.int8 and own.format != "litert":
        print(f"error: --int8 must go with --format=litert, got {own.format}", file=sys.stderr)
        sys.exit(1)
    folder = "" if asks else rest.pop(0)

    def export(config) -> None:
        from hw2.export import build  # imports TensorFlow, so only once the flags are read

        build.export(folder, config, form=own.format, int8=own.int8)

    command.run(export, argv=[sys.argv[0], *rest])


if __name__ == "__main__":
    main()
