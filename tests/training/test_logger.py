"""Rows of metrics.csv are whole, and none is lost to a disk that is full for a while."""

import contextlib
import csv
import io
import resource
import sys
import warnings

import pytest
from rich.console import Console

from hw2.errors import RunError
from hw2.training.logger import COLUMNS, Logger
from hw2.training.loop import Run


def logger(folder, **options):
    run = Run(0, 10)
    out = Console(file=io.StringIO())
    return run, Logger(folder, run, frequency=1, batch_size=4, out=out, **options)


def step(run, log):
    run.step += 1
    run.rate, run.seconds, run.metrics = 0.1, 0.5, {"loss": run.step / 3, "accuracy": 0.5}
    log(run)


def steps(folder):
    with (folder / "metrics.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == list(COLUMNS)
    assert {len(row) for row in rows} == {len(COLUMNS)}
    return [int(row[0]) for row in rows[1:]]


@contextlib.contextmanager
def room_for(count, folder):
    """Lets metrics.csv grow by so many bytes; within a test, for pytest too writes to a file."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = (folder / "metrics.csv").stat().st_size + count
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_rows_wait_for_room_and_none_is_torn(tmp_path):
    run, log = logger(tmp_path, stop_on_error=False)
    step(run, log)
    with room_for(10, tmp_path):
        for _ in range(2):
            with pytest.warns(UserWarning, match=r"csv - file too large; .* at its next row"):
                step(run, log)
            assert steps(tmp_path) == [1]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        step(run, log)
    assert steps(tmp_path) == [1, 2, 3, 4]


@pytest.mark.fault(165)
def test_a_process_without_stdout_logs_too(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)  # as in a daemon, or after `>&-`
    run, log = logger(tmp_path)
    with log:
        step(run, log)
    assert steps(tmp_path) == [1]


def test_or_the_training_stops(tmp_path):
    run, log = logger(tmp_path)
    step(run, log)
    with room_for(10, tmp_path), pytest.raises(RunError, match="file too large"):
        step(run, log)
    assert steps(tmp_path) == [1]


def test_a_torn_row_and_rows_past_the_checkpoint_are_dropped(tmp_path):
    run, log = logger(tmp_path)
    for _ in range(3):
        step(run, log)
    with (tmp_path / "metrics.csv").open("a") as file:
        file.write("4,0.1")
    run = Run(2, 10)
    Logger(tmp_path, run, frequency=1, batch_size=4, out=Console(file=io.StringIO()))
    assert steps(tmp_path) == [1, 2]
