"""Temperature scaling, beside its definition."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import expit, softmax

from hw2.training import calibration, metrics


def sampled(temperature, count=4000, classes=5, seed=0):
    """Logits, and labels that are drawn by the probabilities at a temperature."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 4, (count, classes)).astype(np.float32)
    chances = softmax(logits.astype(np.float64) / temperature, axis=1).cumsum(1)
    return logits, (rng.random((count, 1)) > chances).sum(1).clip(0, classes - 1)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_by_which_labels_were_drawn_is_found(temperature):
    logits, labels = sampled(temperature)
    found = calibration.fit(logits, labels)
    assert found == pytest.approx(temperature, rel=0.06)  # 4,000 draws
    around = [calibration.loss(logits, labels, found * factor) for factor in (0.95, 1, 1.05)]
    assert min(around) == around[1]


def test_a_model_that_is_too_sure_is_calibrated_on_images_that_were_not_fitted():
    logits, labels = sampled(3.0, count=8000)
    found = calibration.fit(logits[:4000], labels[:4000])
    errors = []
    for value in (1, found):
        probabilities = calibration.probabilities(logits[4000:], value)
        right = probabilities.argmax(1) == labels[4000:]
        errors.append(calibration.error(probabilities.max(1), right))
    assert errors[0] > 0.1
    assert errors[1] < 0.1 * errors[0]


def test_a_model_that_is_right_about_all_of_few_images_does_not_become_certain():
    logits = np.array([[4.0, 0, 0], [0, 5, 1], [1, 0, 6]], np.float32)
    found = calibration.fit(logits, np.arange(3))
    assert 0.5 < found < 5
    assert calibration.probabilities(logits, found).max() < 0.95  # 4 / 5 is Platt's label


def test_one_that_is_always_wrong_gets_the_largest_temperature():
    logits = np.eye(3, dtype=np.float32)[[1, 2, 0] * 30] * 9
    assert calibration.fit(logits, np.arange(90) % 3) == pytest.approx(calibration.LIMITS[1], 0.01)


def test_a_softmax_of_one_class_has_nothing_to_fit():
    assert calibration.fit(np.zeros([4, 1], np.float32), np.zeros(4, int)) == 1


def test_sigmoids():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, (6000, 1)).astype(np.float32)
    logits = np.concatenate([logits, -logits], 1)  # of two classes, one is the label
    labels = (rng.random(6000) > expit(logits[:, 0] / 2)).astype(int)
    assert calibration.fit(logits, labels, binary=True) == pytest.approx(2, rel=0.06)
    loss = calibration.loss(logits[:1], labels[:1], 2.0, binary=True)
    assert loss == pytest.approx(-np.log(expit(logits[0, labels[0]] / 2)), rel=1e-6)


def test_the_error_by_hand():
    confidence = np.array([0.85, 0.85, 0.85, 0.85, 0.35, 1.0])
    right = np.array([True, True, True, False, True, True])
    expected = (4 * abs(0.85 - 0.75) + abs(0.35 - 1) + 0) / 6
    assert calibration.error(confidence, right) == pytest.approx(expected)


class Answers(tf.Module):
    """A model whose logits are its images."""

    def __call__(self, images, *, training):
        return images[:, 0, 0, :]


def test_an_evaluation_hands_over_the_logits_of_all_devices(two_devices):
    rng = np.random.default_rng(0)
    logits, labels = rng.standard_normal((24, 1, 1, 4)).astype("f4"), np.arange(24, dtype="i4") % 4
    weights = (np.arange(24) < 21).astype("f4")
    rows = tf.data.Dataset.from_tensor_slices((logits, labels, weights)).batch(8)
    outputs = metrics.Outputs(), metrics.Outputs()
    one = metrics.scorer(Answers())(rows, 2, keep=outputs[0].add)
    with two_devices.scope():
        batches = two_devices.experimental_distribute_dataset(rows)
        two = metrics.scorer(Answers())(batches, 2, keep=outputs[1].add)
    assert one.top1 == two.top1
    for found in outputs:
        order = np.lexsort(found.logits.T)
        expected = np.lexsort(logits[:21, 0, 0].T)
        np.testing.assert_array_equal(found.logits[order], logits[:21, 0, 0][expected])
        np.testing.assert_array_equal(found.labels[order], labels[:21][expected])
