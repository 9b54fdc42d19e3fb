"""Classifies pictures by a trained model, and writes a file of answers.

    python predict.py --checkpoint_dir=RUN --data=FOLDER --output=answer.csv
    python predict.py --checkpoint_dir=RUN --data=test.npy --output=answer.csv --header=id,class

`--help` lists the flags. A bad picture is a row with its error, and exit code 3 unless
`--on_bad_file=skip`.
"""

from hw2.commands import launch


def main(config):
    from hw2.jobs import predict  # imports TensorFlow, so only once the flags are read

    predict.predict(config)


if __name__ == "__main__":
    launch.run(main)
