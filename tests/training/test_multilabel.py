"""Scores and losses of several labels an image, beside scikit-learn and plain sums."""

import numpy as np
import pytest
import tensorflow as tf
from sklearn import metrics as theirs

from hw2.training import losses, multilabel

TOLERANCE = 1e-5  # float32 against float64


@pytest.fixture(scope="module")
def drawn():
    """Labels of 300 images and answers that know something of them; the last class has none."""
    rng = np.random.default_rng(0)
    labels = (rng.random([300, 5]) < [0.5, 0.2, 0.1, 0.05, 0]).astype(np.float32)
    logits = (2 * labels - 1 + rng.standard_normal([300, 5])).astype(np.float32)
    return labels, logits, (1 / (1 + np.exp(-logits.astype(np.float64))))


def test_scores_are_those_of_scikit_learn(drawn):
    labels, _, p = drawn
    cuts = [0.3, 0.5, 0.6, 0.5, 0.9]
    found = multilabel.scores(labels, p, 0.25, cuts)
    given = p >= cuts
    expected = theirs.average_precision_score(labels[:, :4], p[:, :4], average="macro")
    assert found.mean_average_precision == pytest.approx(expected)
    assert found.micro_f1 == pytest.approx(theirs.f1_score(labels, given, average="micro"))
    named = [n for n in range(5) if labels[:, n].any() or given[:, n].any()]
    one_by_one = [theirs.f1_score(labels[:, n], given[:, n], zero_division=0) for n in named]
    assert found.macro_f1 == pytest.approx(np.mean(one_by_one))
    assert found.exact_match == pytest.approx(theirs.accuracy_score(labels, given))
    half = theirs.jaccard_score(labels, p >= 0.5, average="samples", zero_division=1)
    assert found.accuracy == pytest.approx(half)
    assert found.by_class[4].average_precision is None
    assert found.by_class[1].precision == pytest.approx(
        theirs.precision_score(labels[:, 1], given[:, 1])
    )
    assert (found.loss, found.num_examples, found.thresholds) == (0.25, 300, tuple(cuts))


def test_thresholds_have_the_best_f1_of_all(drawn):
    labels, _, p = (values[:60] for values in drawn)
    cuts = multilabel.thresholds(labels, p)
    for n in range(4):
        best = max(theirs.f1_score(labels[:, n], p[:, n] >= cut) for cut in np.unique(p[:, n]))
        assert theirs.f1_score(labels[:, n], p[:, n] >= cuts[n]) == pytest.approx(best)
        assert not (p[:, n] == cuts[n]).any()  # half-way between two
    assert cuts[4] == multilabel.USUAL


def test_worked_thresholds():
    labels = np.array([[1, 0], [1, 0], [0, 0], [0, 0]])
    p = np.array([[0.9, 0.1], [0.5, 0.2], [0.3, 0.3], [0.1, 0.4]])
    assert multilabel.thresholds(labels, p).tolist() == [0.4, 0.5]
    everyone = multilabel.thresholds(np.ones([4, 1]), p[:, :1])
    assert everyone.tolist() == [0.05]


def test_no_label_at_all_and_answers_that_are_not_finite():
    found = multilabel.scores(np.zeros([2, 3]), np.full([2, 3], 0.1), 0.1)
    assert found.mean_average_precision is None
    assert np.isnan(found.by("mean_average_precision"))
    assert (found.micro_f1, found.macro_f1, found.exact_match, found.accuracy) == (0, 0, 1, 1)
    assert "no mAP" in found.words
    broken = multilabel.scores(np.ones([2, 2]), np.array([[np.nan, 1], [1, 1]]), np.nan)
    assert broken.accuracy == 0.5
    with pytest.raises(ValueError, match="at least one picture, got none"):
        multilabel.scores(np.zeros([0, 2]), np.zeros([0, 2]), 0.0)


def test_accuracy_in_a_step_is_that_of_the_scores(drawn):
    labels, logits, p = drawn
    found = multilabel.accuracy(tf.constant(labels), tf.constant(logits)).numpy()
    expected = multilabel.scores(labels, p, 0.0).accuracy
    assert found.mean() == pytest.approx(expected, abs=TOLERANCE)


def test_by():
    scores = multilabel.MultilabelScores(0.5, 0.4, 0.3, 0.2, 0.1, 0.6, 9, (0.5,))
    names = ("mean_average_precision", "micro_f1", "macro_f1", "loss")
    assert [scores.by(name) for name in names] == [0.5, 0.4, 0.3, -0.6]
    assert scores.main == ("mAP", 0.5)


def oracle(labels, logits, *, gamma=0.0, smoothing=0.0, weights=1.0):
    """The loss by its definition, in float64."""
    p = 1 / (1 + np.exp(-logits.astype(np.float64)))
    y = labels * (1 - smoothing) + smoothing / 2
    has, has_not = -((1 - p) ** gamma) * np.log(p), -(p**gamma) * np.log(1 - p)
    return (np.asarray(weights) * y * has + (1 - y) * has_not).mean(1)


@pytest.mark.parametrize(
    ("name", "options", "plain"),
    [
        ("binary", {}, {}),
        ("binary", {"smoothing": 0.1}, {"smoothing": 0.1}),
        ("binary", {"weights": [1, 2, 3, 4, 5]}, {"weights": [1, 2, 3, 4, 5]}),
        ("focal", {"focal_gamma": 2.0}, {"gamma": 2.0}),
        ("focal", {"focal_gamma": 0.0}, {}),
    ],
)
def test_losses(drawn, name, options, plain):
    labels, logits, _ = drawn
    loss = losses.multilabel(name, **options)
    found = loss(tf.constant(labels), tf.constant(logits)).numpy()
    np.testing.assert_allclose(found, oracle(labels, logits, **plain), rtol=1e-4)
    extreme = tf.Variable([[100.0, -100.0, 0.0, 100.0, -100.0]])
    with tf.GradientTape() as tape:
        value = loss(tf.constant([[1.0, 0, 1, 0, 1]]), extreme)
    assert np.isfinite(tape.gradient(value, extreme).numpy()).all()


def test_keras_has_the_same_smoothing(drawn):
    labels, logits, _ = drawn
    expected = tf.keras.losses.binary_crossentropy(
        labels, logits, from_logits=True, label_smoothing=0.2
    )
    found = losses.multilabel("binary", smoothing=0.2)(tf.constant(labels), tf.constant(logits))
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_a_loss_of_shares_that_sum_to_one_is_refused():
    with pytest.raises(ValueError, match="binary or focal for several labels an image, got 'kl'"):
        losses.multilabel("kl")


def test_every_image_counts_once_on_two_devices(drawn, two_devices):
    labels, logits, p = drawn
    rows = 8
    padded = -(-len(labels) // rows) * rows - len(labels)
    columns = [np.pad(x, [(0, padded), (0, 0)]) for x in (logits, labels)]
    weights = np.pad(np.ones(len(labels), np.float32), (0, padded))
    data = tf.data.Dataset.from_tensor_slices((*columns, weights)).batch(rows, drop_remainder=True)
    expected = multilabel.scores(labels, p, float(oracle(labels, logits).mean()))
    with two_devices.scope():
        score = multilabel.scorer(lambda x, training: x, losses.multilabel("binary"))
        found = score(two_devices.experimental_distribute_dataset(data))
    assert found.num_examples == expected.num_examples
    for name in ("mean_average_precision", "micro_f1", "macro_f1", "exact_match", "loss"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name), abs=TOLERANCE)
