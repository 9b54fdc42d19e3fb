"""Trainings of six steps, for what needs a run folder, good or bad."""

from hw2.config import settings
from hw2.jobs import train as experiment

FLAGS = ["--model=simple_cnn", "--max_steps=6", "--save_checkpoint_steps=2", "--log_frequency=2"]
FLAGS += ["--halve_after=1", "--notensorboard"]


def train(folder, *flags):
    """Trains into a folder; returns the folder."""
    experiment.train(settings.parse(["train.py", *FLAGS, *flags, f"--log_path={folder}"]))
    return folder
