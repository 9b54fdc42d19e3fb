"""One page about a run, or about several beside one another.

    python -m hw2.report RUN
    python -m hw2.report RUN --test_data_path=FOLDER --output=page.html
    python -m hw2.report RUN1 RUN2

The page is RUN/report.html, or for several runs comparison.html in the first, unless --output
names it. It is about the best checkpoint and the pictures held out; --checkpoint, --weights,
--test_data_path, --num_examples, --top_k and --batch_size are as for eval.py.
"""

from hw2.commands import launch


def main() -> None:
    """Takes the run folders off the command line; the rest are flags."""
    folders = launch.folders(__doc__)

    def build(config) -> None:
        from hw2.report import build  # imports TensorFlow, so only once the flags are read

        build.build(folders, config)

    launch.run(build)


if __name__ == "__main__":
    main()
