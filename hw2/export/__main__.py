"""A run as a file that classifies pictures without hw2.

    python -m hw2.export RUN --format=saved_model
    python -m hw2.export RUN --format=litert [--int8]

The export is RUN/saved_model, RUN/model.tflite or RUN/model-int8.tflite, unless --output names
it; docs/export.md says what goes in and out. --checkpoint and --weights are as for eval.py.
"""

from hw2 import command


def main() -> None:
    """Takes the run folder off the command line; the rest are flags."""
    folder = next(iter(command.folders(__doc__, most=1)), "")

    def build(config) -> None:
        from hw2.export import build  # imports TensorFlow, so only once the flags are read

        build.build(folder, config)

    command.run(build)


if __name__ == "__main__":
    main()
