"""The page of a run that is whole, begun, or has lost its data."""

import csv
import html
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hw2.config import settings
from hw2.errors import RunError, UsageError
from hw2.jobs import evaluate
from hw2.report import curves, record
from hw2.report.page import shortened

ROOT = Path(__file__).parents[2]


def test_it_is_whole_and_has_the_figures_of_eval(report, digits_run, capsys):
    page, result = report(digits_run, flags=["--batch_size=64"])
    text = page.read_text()
    assert "digits &amp; &lt;more&gt;" in text
    assert "<more>" not in text
    assert 'id="neighbours"' in text
    for word in ('src="http', 'href="http', "url(http", "@import"):
        assert word not in text
    evaluate.evaluate(settings.parse(["eval.py", f"--checkpoint_dir={digits_run}"]))
    scores = capsys.readouterr().out
    assert f'"top1": {result["top1"]}' in scores


def test_without_a_checkpoint_there_are_curves(report, digits_run, tmp_path):
    begun = tmp_path / "begun"
    shutil.copytree(digits_run, begun, ignore=shutil.ignore_patterns("checkpoints"))
    page, result = report(begun)
    assert "no checkpoint in" in result["missing"][0]
    text = page.read_text()
    assert "no checkpoint in" in text
    assert 'id="curves"' in text
    assert 'id="confusion"' not in text


def test_names_that_begin_alike_are_cut_in_their_middle():
    names = ["symbols - alphabets - asl", "symbols - alphabets - english - upper"]
    assert [shortened(name) for name in names] == [names[0], "symbols …- english - upper"]
    assert len(shortened(names[1])) == 26


def test_before_the_first_row_it_is_a_page_too(report, digits_run, tmp_path):
    begun = tmp_path / "begun"
    begun.mkdir()
    shutil.copy(digits_run / "flags.cfg", begun)
    _, result = report(begun)
    assert any("no curves" in words for words in result["missing"])


def test_data_that_are_gone_are_named_with_the_remedy(report, run_of_65):
    _, result = report(run_of_65, flags=["--train_data_path=/nowhere"])
    [words] = result["missing"]
    assert "/nowhere" in words
    assert "--train_data_path says where" in words


def test_rejection_by_distance_beside_that_by_probability(report, digits_run, tmp_path):
    np.save(tmp_path / "noise.npy", np.random.default_rng(0).integers(0, 256, (30, 8, 8), np.uint8))
    flags = ["--reject_by=distance", "--reject_below=coverage:0.9"]
    page, result = report(digits_run, flags=[*flags, f"--unknown_data={tmp_path / 'noise.npy'}"])
    assert result["missing"] == []
    text = page.read_text("utf-8")
    assert "distance to the nearest class, in feature space" in text
    found = re.search(r"AUROC: distance (\d\.\d+), probability (\d\.\d+)\. The threshold", text)
    assert float(found[1]) > 0.9
    assert re.search(r"Distance to the nearest class of known and unknown pictures: medians", text)


def test_views_of_the_test_are_refused(report, digits_run):
    with pytest.raises(UsageError, match="--tta must be none for a report, got flip"):
        report(digits_run, flags=["--tta=flip"])


def test_no_run_is_an_error(report, tmp_path):
    with pytest.raises(RunError, match=r"no run in .*; give the run folder of a training"):
        report(tmp_path)


def test_a_comparison_has_mcnemar(report, digits_run, run_of_65):
    page, result = report(digits_run, digits_run)
    assert "McNemar" in page.read_text()
    assert result["missing"] == []
    _, result = report(digits_run, run_of_65)
    assert "no McNemar test" in result["missing"][0]


def test_curves_have_room_beside_long_names(digits_run):
    one = record.read(digits_run)
    found = curves.together([one, one], ["a" * 300, "b" * 300])
    assert all("a" * 13 + "…" + "a" * 26 in drawing.body for drawing in found)
    assert all("a" * 300 in drawing.alt for drawing in found)


@pytest.mark.parametrize("name", ["x\\q", r"a\1b", "a$#$", "_old", "a\udcffb"])
def test_names_of_runs_are_drawn_as_they_are(digits_run, name):
    one = record.read(digits_run)
    shown = html.escape(name.encode("utf-8", "replace").decode())
    for drawing in curves.together([one, one], [name, "other"]):
        head, _, body = drawing.body.partition(">")
        assert f"{html.escape(name)} ends at" in head
        assert f"\u200b{shown}<" in body


def test_runs_of_the_same_name_are_called_by_their_folders(report, digits_run, tmp_path):
    again = tmp_path / digits_run.name
    shutil.copytree(digits_run, again)
    page, _ = report(digits_run, again)
    text = page.read_text()
    title = html.unescape(text.partition("<title>")[2].partition("</title>")[0])
    assert title.count(digits_run.name) == 2
    assert f"{tmp_path.name}/{digits_run.name}" in title
    assert str(digits_run) not in title


def test_rows_that_a_training_is_writing_are_left_out(digits_run, tmp_path):
    whole = record.read(digits_run)
    assert whole.step == 6
    copy = tmp_path / "torn"
    shutil.copytree(digits_run, copy)
    with (copy / "metrics.csv").open("a") as file:
        file.write("8,0.1,0.")
    assert record.read(copy).step == 6


def test_what_is_damaged_is_left_out_or_named(report, digits_run, tmp_path):
    copy = tmp_path / "damaged"
    shutil.copytree(digits_run, copy, ignore=shutil.ignore_patterns("checkpoints"))
    with (copy / "metrics.csv").open("ab") as file:
        file.write(b"8,\xff,0.5\n" + b'"' + b"1" * 200_000 + b'"\n')  # no number; too long for csv
    text = (copy / "flags.cfg").read_text("utf-8")
    (copy / "flags.cfg").write_text(re.sub("(?m)^--epochs=.*", "--epochs=x", text), "utf-8")
    page, _ = report(copy)
    assert "6, to end at x epochs" in page.read_text("utf-8")
    (copy / "flags.cfg").write_text(
        re.sub("(?m)^--halve_after=.*", "--halve_after=", text), "utf-8"
    )
    words = r"damaged setting in .*damaged/flags.cfg - --halve_after must be a whole number, got ''"
    with pytest.raises(RunError, match=words):
        report(copy)


def test_halvings_are_where_the_rate_fell(digits_run):
    one = record.read(digits_run)
    with (digits_run / "metrics.csv").open(newline="") as file:
        rates = {int(row["step"]): float(row["learning_rate"]) for row in csv.DictReader(file)}
    fell = [a for a, b in zip(list(rates), list(rates)[1:], strict=False) if rates[b] < rates[a]]
    assert [step for step in one.halvings if step < one.step] == fell


def test_the_command_line():
    done = subprocess.run(
        [sys.executable, "-m", "hw2", "report"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr == "error: no run folder given - give one, such as runs/digits\n"
