"""What curves say: those of real trainings, and some drawn by hand."""

import csv
import math
import re
from pathlib import Path

import pytest

from hw2.config import settings
from hw2.errors import RunError
from hw2.runs import diagnosis

REAL = Path(__file__).with_name("curves")


def rows(train, validation, *, val_loss=None, loss=None, every=100):
    """A row half way and one at each evaluation."""
    made = []
    for i, (accuracy, top1) in enumerate(zip(train, validation, strict=True)):
        step = {"loss": loss[i] if loss else 2 - accuracy, "accuracy": accuracy}
        made.append({"step": every * i + every // 2, **step, "val_loss": "", "val_top1": ""})
        held_out = {"val_loss": val_loss[i] if val_loss else 1 - top1, "val_top1": top1}
        made.append({"step": every * (i + 1), **step, **held_out})
    return made


def verdict(*args, **options):
    return diagnosis.diagnose(rows(*args, **options))[0].split(":")[0]


@pytest.mark.parametrize("name", ["overfit", "not_learning", "rising", "healthy"])
def test_real_trainings_of_digits(name):
    """Of 36 pictures; at rate 1e-6; cut short after 60 steps; as in config.cfg."""
    words = diagnosis.diagnose_file(REAL / f"{name}.csv")
    assert words[0].split(":")[0] == {"rising": "still rising"}.get(name, name.replace("_", " "))


def test_verdicts_of_curves_drawn_by_hand():
    eight = [0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99]
    assert verdict(eight, [0.3, 0.5, 0.55, 0.6, 0.61, 0.61, 0.6, 0.6]) == "overfit"
    assert verdict(eight, [0.3, 0.5, 0.6, 0.7, 0.72, 0.7, 0.66, 0.6]) == "overfit"
    assert verdict(eight, [0.3, 0.48, 0.58, 0.67, 0.78, 0.86, 0.9, 0.93]) == "still rising"
    assert verdict(eight, [0.4, 0.6, 0.8, 0.9, 0.92, 0.921, 0.92, 0.922]) == "healthy"
    low = [0.3, 0.35, 0.38, 0.4, 0.41, 0.41, 0.412, 0.411]
    assert verdict(low, [0.28, 0.33, 0.37, 0.39, 0.4, 0.4, 0.401, 0.4]) == "underfit"
    assert verdict([0.1] * 8, [0.1, 0.11, 0.1, 0.09, 0.1, 0.1, 0.11, 0.11]) == "not learning"


def test_noise_is_not_taken_for_a_rise():
    noise = [0.9, 0.93, 0.9, 0.92, 0.91, 0.9, 0.93, 0.9, 0.91, 0.9, 0.92, 0.935]
    assert verdict([0.93] * 12, noise) == "healthy"


def test_a_loss_that_is_next_to_nothing_has_not_risen():
    flat = [0.99] * 8
    words = diagnosis.diagnose(rows(flat, flat, val_loss=[0.002] * 2 + [0.0015] + [0.0022] * 5))
    assert not [saying for saying in words if "validation loss has risen" in saying]
    words = diagnosis.diagnose(rows(flat, flat, val_loss=[0.2] * 2 + [0.15] + [0.22] * 5))
    assert [saying for saying in words if "validation loss has risen" in saying]


def test_figures_and_flags_are_those_of_the_curves():
    [first, *rest] = diagnosis.diagnose(
        rows([0.5, 0.8, 0.95, 1.0], [0.5, 0.7, 0.72, 0.66], val_loss=[1.5, 1.0, 1.2, 1.6])
    )
    assert "training is 0.34 above validation, which falls" in first
    assert "(training 1.000, validation 0.660)" in first
    assert any("has risen since step 200, from 1.000 to 1.600" in words for words in rest)
    assert any("the best top-1 was that of step 300 with 0.720" in words for words in rest)


@pytest.mark.fault(121)
def test_a_best_step_without_a_checkpoint_is_told():
    curves = rows([0.5, 0.8, 0.95, 1.0], [0.5, 0.7, 0.72, 0.66], val_loss=[1.5, 1.0, 1.2, 1.6])
    words = "the best top-1 was that of step 300 with 0.720"
    use = "eval.py and predict.py use"
    assert f"{words}; {use} step 200" in diagnosis.diagnose(curves, 200)
    assert f"{words}, and its checkpoint is kept: {use} it" in diagnosis.diagnose(curves, 300)
    assert words in diagnosis.diagnose(curves)  # nothing is known of checkpoints


def test_jumps_and_a_validation_above_training_are_told():
    jumping = [0.5, 0.7, 0.9, 0.75, 0.9, 0.7, 0.9, 0.8]
    words = diagnosis.diagnose(rows([0.7] * 8, jumping))
    assert any("jumps up and down" in sentence for sentence in words)
    assert any("validation is above training" in sentence for sentence in words)
    smooth = [0.5, 0.8, 0.6, 0.8, 0.6, 0.8] + [0.8 + i / 200 for i in range(24)]
    words = diagnosis.diagnose(rows([0.9] * 30, smooth))
    assert not any("jumps up and down" in sentence for sentence in words)


def test_few_evaluations_say_nothing_yet():
    assert diagnosis.diagnose([])[0].startswith("too short: 0 evaluations so far")
    assert diagnosis.diagnose(rows([0.5], [0.5]))[0].startswith("too short: 1 evaluation so far")
    assert verdict([0.5, 0.6, 0.7], [0.5, 0.6, 0.7]) == "still rising"


def test_training_is_the_mean_over_the_steps_since_the_last_evaluation():
    made = [
        {"step": "10", "loss": "4", "accuracy": "0.1", "val_loss": "", "val_top1": ""},
        {"step": "40", "loss": "2", "accuracy": "0.5", "val_loss": "1.5", "val_top1": "0.3"},
        {"step": "50", "loss": "1", "accuracy": "0.6", "val_loss": "1", "val_top1": "0.4"},
    ]
    first, second = diagnosis.points_of(made)
    assert first == diagnosis.Point(40, 2.5, pytest.approx(0.4), 1.5, 0.3)
    assert second == diagnosis.Point(50, 1, 0.6, 1, 0.4)
    assert math.isnan(diagnosis.points_of([{"step": 0, "val_top1": 0.1, "val_loss": 2}])[0].loss)


def test_every_flag_that_is_advised_exists():
    text = Path(diagnosis.__file__).read_text("utf-8")
    advised = {word for word in re.findall(r"--(\w+)", text)}
    assert len(advised) > 15
    assert advised <= settings.FIELDS.keys()


def test_a_run_folder_can_be_asked(tmp_path, command, capsys):
    (tmp_path / "metrics.csv").write_bytes((REAL / "overfit.csv").read_bytes())
    assert command("diagnose", tmp_path) == 0
    assert capsys.readouterr().out.startswith("overfit: training is 0.27 above validation")
    assert command("diagnose", tmp_path / "nowhere") == 4
    assert "no such file or directory; give the run folder" in capsys.readouterr().err
    (tmp_path / "metrics.csv").write_text("step,loss\nten,1\n")
    with pytest.raises(RunError, match=r"no curves in .*could not convert"):
        diagnosis.diagnose_file(tmp_path / "metrics.csv")


def test_training_ends_with_what_its_curves_say(train, tmp_path, capsys):
    train(tmp_path / "run", "--save_checkpoint_steps=6")
    err = capsys.readouterr().err
    [said, *_] = diagnosis.diagnose_file(tmp_path / "run" / "metrics.csv")
    assert f"the curves say {said}" in " ".join(err.split())  # as the table has broken it
    with (tmp_path / "run" / "metrics.csv").open() as file:
        assert len(diagnosis.points_of(csv.DictReader(file))) == 4
