"""Focal loss and class weights against their definitions, in float64."""

import numpy as np
import pytest
import tensorflow as tf

from hw2.training import losses

RNG = np.random.default_rng(0)
LOGITS = RNG.standard_normal((6, 5)) * 3
LABELS = RNG.integers(0, 5, 6)
SHARES = RNG.dirichlet(np.ones(5), 6)
WEIGHTS = [0.5, 2.0, 0.0, 1.0, 7.0]
EXACT = 1e-12  # float64, some tens of operations


def probabilities(logits):
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def focal(shares, logits, gamma):
    """The definition, (1 - p)^gamma times -log p, for each class by its share."""
    p = probabilities(logits)
    return -(shares * (1 - p) ** gamma * np.log(p)).sum(1)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0, 5.0])
def test_focal_loss_is_its_definition(gamma):
    for labels, shares in ((LABELS, np.eye(5)[LABELS]), (SHARES, SHARES)):
        ours = losses.focal(tf.constant(labels), tf.constant(LOGITS), gamma=gamma).numpy()
        np.testing.assert_allclose(ours, focal(shares, LOGITS, gamma), rtol=EXACT)


def test_focal_loss_with_gamma_0_is_cross_entropy_and_with_more_counts_easy_images_less():
    args = tf.constant(LABELS), tf.constant(LOGITS)
    np.testing.assert_allclose(
        losses.focal(*args, gamma=0), losses.cross_entropy(*args), rtol=EXACT
    )
    p = probabilities(LOGITS)[np.arange(6), LABELS]
    ratio = losses.focal(*args).numpy() / losses.cross_entropy(*args).numpy()
    np.testing.assert_allclose(ratio, (1 - p) ** 2, rtol=EXACT)


@pytest.mark.parametrize("gamma", [0.5, 2.0])
@pytest.mark.parametrize("labels", [LABELS, SHARES], ids=["labels", "shares"])
def test_its_gradient_is_that_of_the_definition(gamma, labels):
    x = tf.constant(LOGITS)
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = losses.focal(tf.constant(labels), x, gamma=gamma)
    ours = tape.gradient(loss, x).numpy()
    shares = np.eye(5)[labels] if labels.ndim == 1 else labels
    p = probabilities(LOGITS)
    # By hand: dF_c/dp_c of -(1-p)^g log p, and dp_c/dx_j = p_c (1[c=j] - p_j).
    slope = gamma * (1 - p) ** (gamma - 1) * np.log(p) - (1 - p) ** gamma / p
    inner = shares * slope * p
    expected = inner - inner.sum(1, keepdims=True) * p
    np.testing.assert_allclose(ours, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
def test_it_and_its_gradient_are_finite_where_a_model_is_certain(gamma):
    logits = tf.constant([[200.0, 0, 0], [0.0, 200, 0], [40.0, 0, 0]])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = losses.focal(tf.constant([0, 0, 0]), logits, gamma=gamma)
    np.testing.assert_allclose(loss, [0, 200, 0], atol=1e-15)
    gradient = tape.gradient(loss, logits).numpy()
    assert np.isfinite(gradient).all()
    np.testing.assert_allclose(gradient[1], [-1, 1, 0], rtol=1e-6)


@pytest.mark.parametrize("name", losses.LOSSES)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_weights_multiply_the_loss_of_each_example(name, smoothing):
    plain = losses.smoothed(losses.named(name), smoothing)
    loss = losses.weighted(plain, WEIGHTS)
    logits = tf.constant(LOGITS)
    for labels, weights in ((LABELS, np.array(WEIGHTS)[LABELS]), (SHARES, SHARES @ WEIGHTS)):
        ours = loss(tf.constant(labels), logits).numpy()
        expected = weights * plain(tf.constant(labels), logits).numpy()
        np.testing.assert_allclose(ours, expected, rtol=EXACT)
    assert losses.weighted(plain, None) is plain
