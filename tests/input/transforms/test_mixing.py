"""Mixup and cutmix: pairs, shares, labels, and the same on any number of machines."""

import re

import numpy as np
import pytest
import tensorflow as tf

from hw2.input import pipeline
from hw2.input.pipeline import Part
from hw2.input.transforms import mixing
from hw2.input.transforms.preprocess import Preprocessing
from tests.input.batches import assert_same, take

PLAIN = Preprocessing(8, 1, 8, 8, False, 0.0, 1.0, 1.0, standardize="none")
FUNCTIONS = {
    "mixup": lambda x, y, seed: mixing.mixup(x, y, seed, alpha=0.7),
    "cutmix": lambda x, y, seed: mixing.cutmix(x, y, seed, alpha=0.7),
    "both": lambda x, y, seed: mixing.mixed(x, y, seed, mixup_alpha=0.7, cutmix_alpha=0.7),
}
ROUNDING = 1e-6  # sums of two products in float32


def batch(count=6, side=10):
    """Pictures all of whose pixels are their number, each of a class of its own."""
    images = np.broadcast_to(np.arange(count)[:, None, None, None], [count, side, side, 2])
    return images.astype(np.float32), np.eye(count, dtype=np.float32)


def other(values):
    """The partners, by an index: 1, 0, 3, 2, ..."""
    return np.asarray(values)[np.arange(len(values)) ^ 1]


def test_mixup_is_a_weighted_mean_with_the_same_weights_on_labels():
    images, labels = batch()
    mixed, soft = (x.numpy() for x in mixing.mixup(images, labels, [3, 4], alpha=1.0))
    share = np.diag(soft)  # what a picture keeps of itself
    np.testing.assert_array_equal(share, other(share))
    assert len(np.unique(share)) == 3
    expected = share * np.arange(6) + (1 - share) * other(np.arange(6))
    np.testing.assert_allclose(mixed, expected[:, None, None, None] + 0 * mixed, atol=6 * ROUNDING)
    np.testing.assert_allclose(soft, share[:, None] * labels + (1 - share)[:, None] * other(labels))


def test_cutmix_puts_a_rectangle_of_the_other_and_labels_go_by_area():
    images, labels = batch()
    for seed in range(20):
        mixed, soft = (x.numpy() for x in mixing.cutmix(images, labels, [seed, 1], alpha=1.0))
        strange = mixed[..., 0] != images[..., 0]
        np.testing.assert_array_equal(mixed, np.where(strange[..., None], other(images), images))
        np.testing.assert_array_equal(strange, other(strange))  # one place for both of a pair
        for inside in strange:
            rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
            assert inside.sum() == len(rows) * len(columns)
            if len(rows):
                assert np.ptp(rows) == len(rows) - 1
                assert np.ptp(columns) == len(columns) - 1
        kept = 1 - strange.mean((1, 2))
        np.testing.assert_allclose(np.diag(soft), kept, atol=ROUNDING)
        np.testing.assert_allclose(soft.sum(1), 1, atol=ROUNDING)


@pytest.mark.parametrize("alpha", [0.1, 0.4, 1.0])
def test_shares_have_the_moments_of_a_beta_distribution(alpha):
    labels = tf.tile(tf.eye(2), [5000, 1])
    _, soft = mixing.mixup(tf.zeros([10000, 1, 1, 1]), labels, [0, 1], alpha=alpha)
    share = soft.numpy()[::2, 0]
    assert share.min() >= 0.5  # the larger one, of two that add up to 1
    variance = 1 / (4 * (2 * alpha + 1))
    assert np.square(share - 0.5).mean() == pytest.approx(variance, rel=0.05)


def test_cutmix_cuts_about_as_much_as_its_shares_say():
    count, side = 4000, 32
    images, labels = tf.zeros([count, side, side, 1]), tf.tile(tf.eye(2), [count // 2, 1])
    _, soft = mixing.cutmix(images, labels, [0, 1], alpha=1.0)
    # Of a stretch of s about a centre anywhere in [0, 1], s - s**2 / 4 lies within on average.
    s = np.sqrt((np.arange(10**5) + 0.5) / 10**5)
    expected = np.square(s - s**2 / 4).mean()
    cut = 1 - soft.numpy()[::2, 0]
    assert cut.mean() == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_seed_decides_eagerly_and_in_map(name):
    images, labels = batch()
    images += np.random.default_rng(0).random(images.shape, np.float32)
    seeds = tf.constant([[1, i] for i in range(12)], tf.int64)
    mapped = tf.data.Dataset.from_tensor_slices(seeds).map(
        lambda seed: FUNCTIONS[name](images, labels, seed)
    )
    seen = set()
    for seed, (x, y) in zip(seeds, mapped, strict=True):
        a, b = FUNCTIONS[name](images, labels, seed)
        np.testing.assert_allclose(x, a, atol=7 * ROUNDING)
        np.testing.assert_allclose(y, b, atol=ROUNDING)
        seen.add(y.numpy().tobytes())
    assert len(seen) > 6


def test_both_take_turns():
    images, labels = batch()
    kinds = []
    for seed in range(60):
        x, _ = FUNCTIONS["both"](images, labels, [seed, 0])
        levels = {float(v) for v in np.unique(x)}
        kinds.append(levels <= set(range(6)))  # cutmix makes no new level
    assert 15 < sum(kinds) < 45  # four deviations of 3.9


def test_off_changes_nothing():
    images, labels = batch()
    x, y = mixing.mixed(images, labels, [0, 0])
    assert x is images
    assert y is labels


@pytest.mark.parametrize(("count", "of"), [(3, None), (2, 5)])
def test_odd_rows_are_refused(count, of):
    images, labels = batch(count)
    words = re.escape(f"rows must be an even number, got {count} of {of}.")
    with pytest.raises(ValueError, match=words):
        mixing.mixed(images, labels, [0, 0], mixup_alpha=1.0, batch_size=of)


# In the pipeline.


def batches(numbered, count=6, **options):
    options = {"batch_size": 8, "seed": 3, "mixup": 0.5, "cutmix": 1.0, **options}
    dataset = pipeline.training_batches(numbered, range(20), PLAIN, **options)
    return take(dataset, count)


def test_labels_become_shares_of_every_class(numbered):
    dataset = pipeline.training_batches(
        numbered, range(20), PLAIN, batch_size=8, seed=3, mixup=0.5, cutmix=1.0
    )
    assert dataset.element_spec == (tf.TensorSpec([8, 8, 8, 1]), tf.TensorSpec([8, 4]))
    for images, labels in batches(numbered):
        np.testing.assert_allclose(labels.sum(1), 1, atol=ROUNDING)
        assert images.max() <= 19 / 255 + ROUNDING
    plain = batches(numbered, mixup=0.0, cutmix=0.0)
    for (mixed, soft), (images, labels) in zip(batches(numbered), plain, strict=True):
        pairs = mixed.reshape(4, 2, -1).sum((1, 2))  # what one gives the other takes
        np.testing.assert_allclose(pairs, images.reshape(4, 2, -1).sum((1, 2)), rtol=1e-5)
        whole = np.eye(4)[labels].reshape(4, 2, 4).sum(1)
        np.testing.assert_allclose(soft.reshape(4, 2, 4).sum(1), whole, atol=ROUNDING)


def test_resuming_at_any_step_and_any_number_of_threads_mixes_alike(numbered):
    whole = batches(numbered, 8)
    assert not np.array_equal(whole[0][1], whole[5][1])
    for start in (1, 7):
        assert_same(batches(numbered, 8 - start, start_step=start), whole[start:])
    assert_same(batches(numbered, 8, parallel_calls=4), whole)


@pytest.mark.parametrize(("machines", "devices"), [(2, 1), (2, 2)])
def test_machines_mix_their_rows_as_one_does(numbered, machines, devices):
    start = 3
    whole = batches(numbered, 4, start_step=start)
    parts = [
        batches(numbered, 4 * devices, start_step=start, part=Part(index, machines, devices))
        for index in range(machines)
    ]
    for step, (images, labels) in enumerate(whole):
        rows = [part[step * devices + device] for part in parts for device in range(devices)]
        np.testing.assert_array_equal(np.concatenate([x for x, _ in rows]), images)
        np.testing.assert_array_equal(np.concatenate([y for _, y in rows]), labels)
