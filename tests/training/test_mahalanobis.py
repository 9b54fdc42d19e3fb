"""Distances to the classes: by hand, by the definition, and on digits as the known classes."""

import numpy as np
import pytest
import tensorflow as tf
from sklearn.covariance import LedoitWolf
from sklearn.datasets import load_digits

from hw2.training import mahalanobis, rejection
from hw2.training.mahalanobis import Gaussians
from hw2.training.rejection import FARTHEST

FLOAT32 = 1e-4  # of a distance: a hundred rounding errors, since small ones are differences


def test_the_distance_by_hand():
    whitening = np.diag([1.0, 2.0])  # the second feature has a deviation of 1/2
    fitted = Gaussians(np.array([5.0, 0.0]), whitening, np.array([[-5.0, 0.0], [5.0, 0.0]]))
    features = tf.constant([[0.0, 0.0], [3.0, 0.0], [9.0, 2.0]])
    found = mahalanobis.distance(features, fitted)
    np.testing.assert_allclose(found, [0, 3, 17**0.5], rtol=1e-6)  # 17 = 1 + (2 * 2) ** 2


def test_distances_are_those_of_the_definition():
    rng = np.random.default_rng(0)
    labels = np.repeat([4, 0, 2], [30, 40, 50])  # classes 1 and 3 have no images
    features = rng.standard_normal([120, 5]).astype(np.float32) + labels[:, None]
    fitted = mahalanobis.fit(features, labels)
    means = np.stack([features[labels == n].mean(0, dtype=np.float64) for n in (0, 2, 4)])
    spread = features - means[np.searchsorted([0, 2, 4], labels)]
    precision = np.linalg.inv(LedoitWolf(assume_centered=True).fit(spread).covariance_)
    images = 3 * rng.standard_normal([50, 5])
    away = images[:, None] - means  # [50, 3, 5]
    expected = np.sqrt(np.einsum("ncd,de,nce->nc", away, precision, away).min(1))
    for dtype in ("float32", "float64"):
        found = mahalanobis.distance(tf.constant(images, dtype), fitted)
        assert found.dtype == dtype
        np.testing.assert_allclose(found, expected, rtol=FLOAT32)


def test_fewer_images_than_features_and_features_that_are_always_0_work():
    features = np.zeros([6, 20], np.float32)
    features[:, :3] = np.random.default_rng(0).standard_normal([6, 3])
    fitted = mahalanobis.fit(features, np.arange(6) % 2)
    found = mahalanobis.distance(tf.constant(features), fitted).numpy()
    assert np.isfinite(found).all()
    assert (found > 0).all()


def test_features_that_overflow_are_far():
    fitted = Gaussians(np.zeros(2), np.eye(2), np.ones([3, 2]))
    found = mahalanobis.distance(tf.constant([[1e30, 1e30], [np.inf, 0], [1, 2]]), fitted)
    np.testing.assert_allclose(found, [FARTHEST**0.5, FARTHEST**0.5, 1], rtol=1e-6)


def test_three_digits_are_told_from_the_others():
    pictures, labels = load_digits(return_X_y=True)
    known, unknown = pictures[labels < 3], pictures[labels >= 3]
    train, held_out = known[::2], known[1::2]
    fitted = mahalanobis.fit(train, labels[labels < 3][::2])
    found = [-mahalanobis.distance(tf.constant(part), fitted) for part in (held_out, unknown)]
    assert rejection.auroc(*found) > 0.95


@pytest.mark.parametrize(
    ("features", "labels", "said"),
    [
        (np.zeros([4, 2, 2]), np.zeros(4, int), r"\[N, D\].*got \[4, 2, 2\] and \[4\]"),
        (np.zeros([4, 2]), np.zeros(3, int), r"got \[4, 2\] and \[3\]"),
        (np.zeros([1, 2]), np.zeros(1, int), "N at least 2"),
        (np.full([4, 2], np.nan), np.zeros(4, int), "must be finite"),
        (np.ones([4, 2]), np.zeros(4, int), "must differ within a class"),
    ],
)
def test_what_cannot_be_fitted_is_refused(features, labels, said):
    with pytest.raises(ValueError, match=said):
        mahalanobis.fit(features, labels)
