"""Measures a trained model: top-1 and top-k accuracy.

    python eval.py --flagfile=config.cfg
    python eval.py --flagfile=config.cfg --norun_once    # again, at each new checkpoint

`--help` lists the flags; `--test_data_path` chooses the data, `--checkpoint_dir` the weights.
"""

from hw2.commands import launch


def main(config):
    from hw2.jobs import evaluate  # imports TensorFlow, so only once the flags are read

    evaluate.evaluate(config)


if __name__ == "__main__":
    launch.run(main)
