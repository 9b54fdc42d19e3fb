"""Evaluates a trained model: `python eval.py --help` is `hw2 eval --help`."""

from hw2.commands import main

if __name__ == "__main__":
    main.call("eval")
