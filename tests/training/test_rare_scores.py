"""Balanced accuracy and macro F1 are scikit-learn's."""

import warnings

import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import balanced_accuracy_score, f1_score

from hw2.training import metrics
from hw2.training.metrics import Scores


@pytest.mark.parametrize("seed", range(5))
def test_they_are_scikit_learns(seed):
    rng = np.random.default_rng(seed)
    classes = 7
    labels = rng.choice([0, 1, 2, 4], 60)  # 3 is only guessed, 5 and 6 are neither
    guesses = np.where(rng.random(60) < 0.5, labels, rng.choice([0, 1, 3], 60))
    right, count, guessed = (
        np.bincount(chosen, minlength=classes).astype(float)
        for chosen in (labels[labels == guesses], labels, guesses)
    )
    recall, f1 = metrics.recall_and_f1(right, count, guessed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that there are guesses of other classes
        assert recall == pytest.approx(balanced_accuracy_score(labels, guesses), rel=1e-12)
    assert f1 == pytest.approx(f1_score(labels, guesses, average="macro"), rel=1e-12)


class Answers(tf.Module):
    """A model whose logits are its images."""

    def __call__(self, images, *, training):
        return images[:, 0, 0, :]


def test_an_evaluation_has_them_without_what_fills_the_last_batch(two_devices):
    rng = np.random.default_rng(0)
    logits, labels = rng.standard_normal((24, 1, 1, 4)).astype("f4"), rng.integers(0, 4, 24)
    logits[3] = np.nan  # no guess at all
    weights = (np.arange(24) < 21).astype("f4")
    rows = tf.data.Dataset.from_tensor_slices((logits, labels.astype("i4"), weights)).batch(8)
    with two_devices.scope():
        found = metrics.scorer(Answers())(two_devices.experimental_distribute_dataset(rows), 2)
    kept = np.flatnonzero(weights)
    guesses = np.where(np.arange(24) == 3, 4, logits[:, 0, 0].argmax(1))[kept]
    truth = labels[kept]
    assert found.balanced_accuracy == pytest.approx(
        np.mean([(guesses[truth == c] == c).mean() for c in range(4)])
    )
    expected = f1_score(truth, guesses, labels=range(4), average="macro")
    assert found.macro_f1 == pytest.approx(expected)


def test_scores_to_choose_by():
    older = {"top1": 0.5, "topk": 0.9, "k": 5, "loss": 1.25, "num_examples": 10}
    found = Scores(**older, balanced_accuracy=0.4, macro_f1=0.3)
    names = ("top1", "balanced_accuracy", "macro_f1", "loss")
    assert [found.by(name) for name in names] == [0.5, 0.4, 0.3, -1.25]
    assert np.isnan(Scores(**older).by("macro_f1"))
