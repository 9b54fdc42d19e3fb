"""Classifies pictures with a trained model: `python predict.py --help` is `hw2 predict --help`."""

from hw2.commands import main

if __name__ == "__main__":
    main.call("predict")
