"""Writes a trained model as a file that runs without hw2.

    hw2 export RUN --format=saved_model
    hw2 export RUN --format=litert [--int8]
    hw2 export RUN --format=onnx

RUN, or --checkpoint_dir, is the run folder of a training. The file is RUN/saved_model,
RUN/model.tflite, RUN/model-int8.tflite or RUN/model.onnx, unless --output names another. It is
kept only if it agrees with `hw2 predict` on 100 pictures; docs/export.md describes its inputs and
outputs. --checkpoint, --weights and --test_data_path mean what they do for `hw2 eval`.
"""

from __future__ import annotations

from hw2.commands.command import Command, Own, run_folder
from hw2.config.settings import Config


def _export(config: Config, own: Own) -> None:
    from hw2.export import build  # imports TensorFlow, so only once the flags are read

    build.export(run_folder(config), config)


COMMAND = Command(__doc__, _export, words=("checkpoint_dir",), check=run_folder)
