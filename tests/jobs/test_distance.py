"""Rejection by distance: fitted where it is first asked for, and the same in every command."""

import csv
import dataclasses
import json
import shutil

import numpy as np
import pytest
import tensorflow as tf
from sklearn.covariance import LedoitWolf

from hw2.config import settings
from hw2.errors import DataError, RunError, UsageError
from hw2.jobs import distance, evaluate, extractor, predict, tta
from hw2.jobs import model as trained
from hw2.runs import distance as stored
from hw2.runs.folder import RunFolder
from hw2.terminal import console

pytestmark = pytest.mark.usefixtures("known")
BY = "--reject_by=distance"


@pytest.fixture(scope="module")
def run(digits_of_tiny, tmp_path_factory):
    """A copy, in which the tests may fit distances."""
    return shutil.copytree(digits_of_tiny, tmp_path_factory.mktemp("far") / "run")


def config(run, *flags):
    return settings.parse(["eval.py", f"--checkpoint_dir={run}", *flags])


def evaluated(run, capsys, *flags):
    capsys.readouterr()
    evaluate.evaluate(config(run, BY, *flags))
    out, err = capsys.readouterr()
    return json.loads(out.splitlines()[-1]), err


def predicted(run, output, *flags):
    predict.predict(config(run, BY, "--data=digits", f"--output={output}", *flags))
    with open(output, newline="") as lines:
        return list(csv.DictReader(lines))


def test_evaluation_fits_and_keeps_distances_and_chooses_a_threshold(run, no_digits, capsys):
    flags = ["--reject_below=coverage:0.9", f"--unknown_data={no_digits}"]
    result, err = evaluated(run, capsys, *flags)
    found = stored.read(RunFolder(run))
    checkpoint, _ = trained.choose(RunFolder(run), "best")
    assert found.fits(checkpoint, "ema", "none")
    assert (found.num_fitted, found.num_examples) == (1438, 359)
    assert "distances of 64 features, fitted to 1,438 training pictures" in err
    assert "farther than" in err
    assert "unknown pictures by distance: AUROC" in err
    assert (result["reject_by"], "reject_below" in result) == ("distance", False)
    rows = [row for row in found.curve if row[1] >= 0.9 * 359]
    assert result["reject_above"] == -rows[0][0]
    assert result["rejected"] == pytest.approx(1 - rows[0][1] / 359)
    assert result["accepted_top1"] == pytest.approx(1 - rows[0][2] / rows[0][1])
    assert result["auroc"] > 0.95  # by the largest probability this model takes noise for a digit
    assert result["unknown_accepted"] < 0.1
    before = (run / "distance.npz").stat().st_mtime_ns
    again, err = evaluated(run, capsys, *flags)
    assert "fitted" not in err
    assert (run / "distance.npz").stat().st_mtime_ns == before
    assert [again[name] for name in ("auroc", "rejected")] == [result["auroc"], result["rejected"]]
    result, _ = evaluated(run, capsys, "--reject_below=coverage:1")
    assert result["rejected"] == 0


def test_prediction_writes_distances_of_the_definition_and_rejects_the_far_ones(
    run, tmp_path, capsys
):
    rows = predicted(run, tmp_path / "a.csv", "--reject_below=coverage:0.9")
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (result["reject_by"], result["num_examples"]) == ("distance", 1797)
    found = np.array([float(row["distance"]) for row in rows])
    far = found > result["reject_above"]
    assert [not row["class"] for row in rows] == far.tolist()
    assert 0 < far.sum() == result["num_rejected"] < 300

    # The definition, in float64.
    checkpoint, tensors = trained.choose(RunFolder(run), "best")
    compute = extractor.extractor(trained.load(checkpoint, tensors), run)
    settings = config(run)
    examples, training, _ = distance.data.of_run(
        settings, RunFolder(run), checkpoint, console.stderr()
    )
    everything = np.arange(len(examples))
    batches = distance.of_examples(settings, checkpoint, examples, everything)
    features = distance.outputs(compute, batches)[0].astype(np.float64)
    labels = np.asarray(examples.labels)
    seen, of = features[training], labels[training]
    means = np.stack([seen[of == label].mean(0) for label in range(10)])
    covariance = LedoitWolf(assume_centered=True).fit(seen - means[of]).covariance_
    away = features[:, None] - means
    squares = np.einsum("ncd,de,nce->nc", away, np.linalg.inv(covariance), away)
    np.testing.assert_allclose(found, np.sqrt(squares.min(1)), rtol=1e-3)

    path = tmp_path / "b.jsonl"
    predict.predict(
        config(run, BY, "--data=digits", f"--output={path}", "--reject_below=coverage:0.9")
    )
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    np.testing.assert_allclose([line["distance"] for line in lines], found, atol=1e-3)
    assert [line["rejected"] for line in lines] == far.tolist()


def test_other_weights_and_views_have_distances_of_their_own(run, tmp_path, capsys):
    copy = shutil.copytree(run, tmp_path / "run")
    evaluated(copy, capsys, "--weights=raw")
    assert stored.read(RunFolder(copy)).weights == "raw"
    (copy / "distance.npz").unlink()
    result, _ = evaluated(copy, capsys, "--tta=flip", "--reject_below=coverage:0.9")
    assert stored.read(RunFolder(copy)).tta == "flip"
    assert 0.05 < result["rejected"] <= 0.1


def test_features_of_both_views_are_averaged(run):
    checkpoint, tensors = trained.choose(RunFolder(run), "best")
    model = trained.load(checkpoint, tensors)
    images = tf.constant(np.random.default_rng(0).standard_normal((3, 8, 8, 1)), tf.float32)
    plain, both = extractor.extractor(model, run), extractor.extractor(tta.Flips(model), run)
    features, logits = both(images)
    expected = (plain(images)[0] + plain(images[:, :, ::-1])[0]) / 2
    np.testing.assert_allclose(features, expected, atol=1e-5)
    np.testing.assert_allclose(logits, tta.Flips(model)(images), atol=1e-5)


def test_without_the_training_data_what_is_stored_serves(run, tmp_path, capsys):
    data = np.zeros([3, 8, 8, 1], np.uint8)
    np.save(tmp_path / "three.npy", data)
    flags = [f"--data={tmp_path / 'three.npy'}", f"--output={tmp_path / 'a.csv'}", "--overwrite"]
    gone = f"--train_data_path={tmp_path / 'gone'}"
    predict.predict(config(run, BY, gone, *flags))
    copy = shutil.copytree(run, tmp_path / "run", ignore=shutil.ignore_patterns("distance.npz"))
    with pytest.raises(DataError, match=r"no data in .*gone .* give --train_data_path"):
        predict.predict(config(copy, BY, gone, *flags))


def test_what_cannot_be_is_refused(run, tmp_path):
    with pytest.raises(UsageError, match=r"--reject_below must be error:0.01 or coverage:0.9 with"):
        config(run, BY, "--reject_below=0.9")
    with pytest.raises(UsageError, match=r"--reject_by must be probability or distance"):
        config(run, "--reject_by=energy")
    with pytest.raises(UsageError, match=r"--reject_by must be probability with --model=sq"):
        predict.predict(settings.parse(["predict.py", "--model=squeezenet", BY, "--data=digits"]))
    checkpoint, tensors = trained.choose(RunFolder(run), "best")
    raw = config(run, "--weights=raw")
    identity = checkpoint.state["identity"] | {"overfit_batches": 1}
    overfit = dataclasses.replace(checkpoint, state=checkpoint.state | {"identity": identity})
    with pytest.raises(RunError, match=r"no distances of .* trained with --overfit_batches"):
        distance.of(raw, overfit, tensors, console.stderr())


def test_a_model_with_too_many_features_is_refused(run, monkeypatch):
    checkpoint, tensors = trained.choose(RunFolder(run), "best")
    monkeypatch.setattr(distance, "LARGEST", 63)
    with pytest.raises(RunError, match="is given 64 features, and at most 63 can be"):
        distance.of(config(run, "--weights=raw"), checkpoint, tensors, console.stderr())


def test_the_training_images_of_a_large_set_are_drawn_evenly():
    labels = np.repeat([0, 1, 2], [1000, 50, 3])
    indices = np.arange(0, len(labels), 1)
    found = distance.evenly(labels, indices, 60)
    assert np.bincount(labels[found]).tolist() in ([29, 28, 3], [28, 29, 3])
    assert len(set(found.tolist())) == 60
    assert (np.diff(found) > 0).all()
    assert distance.evenly(labels, indices, 2000) is indices
