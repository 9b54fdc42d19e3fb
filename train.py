"""Trains a model on one device: `python train.py --help` is `hw2 train --help`."""

from hw2.commands import main

if __name__ == "__main__":
    main.call("train")
