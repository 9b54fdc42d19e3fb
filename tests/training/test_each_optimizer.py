"""Each optimizer through whole trainings: on two devices, clipped, in parts, stopped, resumed."""

import pytest

from tests.training.compare import assert_same_run, last

FLAGS = ["--clip_norm=0.5", "--accumulate=2", "--max_steps=6", "--weight_decay=0.01"]
SLOTS = {"adagrad": {"sum"}, "rmsprop": {"square", "velocity"}, "lion": {"mean"}}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("adagrad", marks=pytest.mark.slow),
        pytest.param("rmsprop", marks=pytest.mark.slow),
        "lion",
    ],
)
def test_stopped_and_resumed_a_run_ends_bit_for_bit(train, stop, tmp_path, name):
    flags = [*FLAGS, f"--optimizer={name}", "--momentum=0.5"]
    train(tmp_path / "whole", *flags, mirrored=True)
    stop(tmp_path / "cut", 3, *flags, mirrored=True)
    train(tmp_path / "cut", *flags, mirrored=True)
    assert_same_run(tmp_path / "whole", tmp_path / "cut")
    tensors = last(tmp_path / "cut")[1]
    slots = {n.split("/")[1] for n in tensors if n.startswith("optimizer/")}
    assert slots == SLOTS[name]
