"""A run as a file that classifies pictures without hw2.

    python -m hw2.export RUN --format=saved_model
    python -m hw2.export RUN --format=litert [--int8]
    python -m hw2.export RUN --format=onnx

The export is RUN/saved_model, RUN/model.tflite, RUN/model-int8.tflite or RUN/model.onnx, unless
--output names it, and is there only once it agrees with predict.py on 100 pictures; docs/export.md
says what goes in and out. --checkpoint, --weights and --test_data_path are as for eval.py.
"""

from hw2.commands import launch


def main() -> None:
    """Takes the run folder off the command line; the rest are flags."""
    folder = next(iter(launch.folders(__doc__, most=1)), "")

    def export(config) -> None:
        from hw2.export import build  # imports TensorFlow, so only once the flags are read

        build.export(folder, config)

    launch.run(export)


if __name__ == "__main__":
    main()
