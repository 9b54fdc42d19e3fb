"""Trains a model on several devices or machines, as `hw2 multi_gpu_train` does."""

from hw2.commands import main

if __name__ == "__main__":
    main.call("multi_gpu_train")
