"""A run that was begun before the change of layout is resumed, evaluated, described and exported.

The expected figures are those of commit a8426b4, for the folder that tests/jobs/old_run.py makes.
"""

import csv
import hashlib
import json
import platform
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import load_file
from sklearn.datasets import load_digits

from tests.jobs import old_run

ROOT = Path(__file__).parents[2]
LAST = 10

# After five more steps by the old code, with TensorFlow 2.21.0 and NumPy 2.4.6 on the CPU below.
CPU = {"vendor_id": "AuthenticAMD", "cpu family": "26", "model": "2", "stepping": "1"}
CPU |= {"model name": "AMD EPYC", "cache size": "1024 KB"}
INSTRUCTIONS = {"fma", "avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16"}
SHA256 = "7f31b4611fcb09ed6e8f1d78a2c5e8ad34b8cae94460b61ce1b8192371333658"
BIASES = {
    "model/stages/conv1/b": "-0.01504438 -0.05526469 0.03041509 0.005958293 0.04643374 "
    "0.01575707 -0.03504435 0.04872821 -0.02353568 0.01684112",
    "ema/stages/conv1/b": "-0.01197023 -0.05464371 0.03644735 0.007191026 0.04657838 "
    "0.01190999 -0.03205869 0.04708986 -0.02169142 0.01201663",
    "model/stages/linear/b": "-0.01114941 -0.004252418 0.04129682 -0.02882451 0.0119051 "
    "-0.003326955 -0.01040875 0.0339043 0.03388003 -0.07238136",
    "ema/stages/linear/b": "-0.01408557 -0.002112788 0.04147709 -0.02711634 0.0163551 "
    "-0.007761727 -0.01352513 0.03327198 0.02752955 -0.06856582",
    "optimizer/mean/stages/linear/b": "-0.01908408 0.02084809 0.001143765 0.02222196 0.044244 "
    "-0.04179277 -0.04405892 0.002607277 -0.05393726 0.05487252",
    "optimizer/square/stages/linear/b": "0.0001565171 0.0003116511 0.0001598864 0.0002586955 "
    "0.0001958846 0.0001801755 0.0002829678 0.0001809835 0.0002615655 0.0005792358",
}
ROWS = {  # of metrics.csv: loss, accuracy, val_loss, val_top1
    6: ("5.459418296813965", "0.25", "", ""),
    8: ("3.5134801864624023", "0.0625", "", ""),
    10: ("2.660915732383728", "0.25", "2.495436668395996", "0.08333333333333333"),
}
BEST = {"step": 5, "top1": 53 / 360, "topk": 217 / 360, "loss": 4.797790866427952}
RAW = {"step": 10, "top1": 39 / 360, "topk": 200 / 360, "loss": 2.6249390496148}
EXPORTED = [0.66921842, 0.17192386, 0.14686652]  # of its three best classes, for the first digit

# Where the CPU is another one, sums are rounded in another order: 1e-7 a step and layer, and Adam
# divides by the root of a sum of squares, so that errors grow by a hundred at most.
TOLERANCE = 1e-4
PICTURE = 1.001 / 360  # one picture may have two classes whose scores are that close


def is_the_cpu() -> bool:
    """Whether this machine is of the kind on which the old code's bits were noted."""
    file = Path("/proc/cpuinfo")
    if platform.machine() != "x86_64" or not file.exists():
        return False
    lines = file.read_text().split("\n\n")[0].splitlines()
    found = {name.strip(): value.strip() for name, _, value in (x.partition(":") for x in lines)}
    return (
        all(found.get(name) == value for name, value in CPU.items())
        and set(found["flags"].split()) >= INSTRUCTIONS
        and (version("tensorflow"), version("numpy")) == ("2.21.0", "2.4.6")
    )


def go_on(folder, steps, *flags):
    words = ["train", f"--flagfile={folder / 'flags.cfg'}", f"--log_path={folder}", *flags]
    done = subprocess.run(
        [sys.executable, "-m", "hw2", *words, f"--max_steps={steps}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert f"reached step {steps}" in done.stdout
    return done.stderr


def step(folder, number):
    return folder / "checkpoints" / f"step-{number:08d}"


def tensors(folder):
    return (step(folder, LAST) / "tensors.safetensors").read_bytes()


@pytest.fixture(scope="module")
def resumed(tmp_path_factory):
    """The run after five more steps."""
    folder = tmp_path_factory.mktemp("old") / "run"
    old_run.write(folder)
    go_on(folder, LAST)
    return folder


@pytest.fixture
def begun(tmp_path):
    """The run as the old code left it."""
    folder = tmp_path / "run"
    old_run.write(folder)
    return folder


def test_the_folder_is_as_its_description_says(begun):
    state = json.loads((step(begun, 5) / "state.json").read_text())
    split = hashlib.sha256((begun / "split.csv").read_bytes()).hexdigest()
    assert state["identity"]["split"] == split
    assert (state["format"], state["step"]) == (1, old_run.STEP)
    assert "conv_choices" not in state


def test_it_is_resumed_with_the_bits_of_the_algorithms_that_it_began_with(resumed, begun):
    go_on(begun, LAST, "--conv_algorithm=tensorflow_ops", "--save_checkpoint_steps=7")
    assert tensors(begun) == tensors(resumed)
    assert json.loads((step(resumed, LAST) / "state.json").read_text())["conv_choices"] is None
    shutil.rmtree(step(begun, LAST))  # as if it had been stopped after step 7
    go_on(begun, LAST)
    assert tensors(begun) == tensors(resumed)


@pytest.mark.skipif(not is_the_cpu(), reason="the old code's bits are those of another CPU")
def test_it_is_resumed_with_the_bits_of_the_old_code(resumed):
    assert hashlib.sha256(tensors(resumed)).hexdigest() == SHA256


def test_it_is_resumed_with_the_values_of_the_old_code(resumed):
    found = load_file(step(resumed, LAST) / "tensors.safetensors")
    assert found.keys() == old_run.tensors().keys()
    for name, words in BIASES.items():
        expected = np.array(words.split(), float)
        assert abs(found[name] - expected).max() <= TOLERANCE * abs(expected).max(), name


def test_the_curves_continue(resumed):
    with (resumed / "metrics.csv").open(newline="") as file:
        rows = {int(row["step"]): row for row in csv.DictReader(file)}
    assert [number for number in rows if number <= old_run.STEP] == [2, 4, 5]
    assert rows.keys() >= ROWS.keys()
    for number, expected in ROWS.items():
        found = [rows[number][name] for name in ("loss", "accuracy", "val_loss", "val_top1")]
        if is_the_cpu():
            assert found == list(expected), number
        for value, noted in zip(found, expected, strict=True):
            assert bool(value) == bool(noted), number
            assert float(value or 0) == pytest.approx(float(noted or 0), rel=TOLERANCE, abs=PICTURE)


@pytest.mark.parametrize(
    ("flags", "expected"),
    [((), BEST), (("--weights=raw", "--checkpoint=last"), RAW)],
    ids=["best", "raw"],
)
def test_it_is_evaluated_as_by_the_old_code(command, capsys, resumed, flags, expected):
    assert command("eval", resumed, *flags) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["num_examples"] == 360
    if is_the_cpu():
        assert {name: found[name] for name in expected} == expected
    assert found["step"] == expected["step"]
    assert found["loss"] == pytest.approx(expected["loss"], rel=TOLERANCE)
    for name in ("top1", "topk"):
        assert found[name] == pytest.approx(expected[name], abs=PICTURE)


def test_the_report_has_the_figure_of_the_old_code(command, capsys, begun):
    assert command("report", begun) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["top1"] == pytest.approx(BEST["top1"], abs=PICTURE)
    assert found["missing"] == []
    assert (begun / "report.html").stat().st_size > 10_000


def test_its_export_answers_as_that_of_the_old_code(command, capsys, begun):
    assert command("export", begun, "--format=saved_model") == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (found["step"], found["same_top1"]) == (old_run.STEP, 1.0)
    zero = np.rint(load_digits().images[0] * (255 / 16)).astype(np.uint8)
    grey = tf.constant(np.stack([zero] * 3, 2))  # [8, 8, 3]
    answer = tf.saved_model.load(begun / "saved_model").signatures["pixels"](picture=grey)
    assert [name.decode() for name in answer["class_names"].numpy()[0, :3]] == ["9", "4", "3"]
    np.testing.assert_allclose(answer["probabilities"][0, :3], EXPORTED, rtol=TOLERANCE)
