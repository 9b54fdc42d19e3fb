import re

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from hw2.errors import DataError
from hw2.input import pipeline
from hw2.input.sources import arrays, builtin, folder
from hw2.input.transforms.preprocess import Preprocessing
from tests.input.batches import assert_same, take

PLAIN = Preprocessing(8, 1, 8, 8, False, 0.0, 1.0, 1.0)
STANDARD = 1e-4  # mean and deviation of 1728 values in float32
RANDOM = Preprocessing(6, 1, 10, 7, True, 63.0, 0.2, 1.8)


@pytest.fixture
def bare(monkeypatch):
    """Leaves standardization out, so that pixels tell which picture they are of."""
    monkeypatch.setattr(tf.image, "per_image_standardization", lambda image: image)


def shown_pictures(batches):
    return np.concatenate([batch[0][:, 0, 0, 0] for batch in batches]).astype(int)


# Training.


@pytest.mark.parametrize("batch_size", [1, 3, 7, 20, 33])
@pytest.mark.fault(62)
def test_every_epoch_has_every_picture_once(bare, numbered, batch_size):
    indices = np.arange(3, 20)  # 17 pictures
    dataset = pipeline.training_batches(numbered, indices, PLAIN, batch_size=batch_size, seed=1)
    batches = take(dataset, -(-3 * 17 // batch_size))
    epochs = shown_pictures(batches)[: 3 * 17].reshape(3, 17)
    np.testing.assert_array_equal(np.sort(epochs, axis=1), np.tile(indices, [3, 1]))
    assert not np.array_equal(epochs[0], epochs[1])
    labels = np.concatenate([labels for _, labels in batches])[: 3 * 17]
    np.testing.assert_array_equal(labels, epochs.ravel() % 4)


@pytest.mark.parametrize("batch_size", [4, 50])
def test_resuming_at_any_step_gives_the_same_bytes(numbered, batch_size):
    def batches(start, count):
        dataset = pipeline.training_batches(
            numbered, range(20), RANDOM, batch_size=batch_size, seed=5, start_step=start
        )
        return take(dataset, count)

    whole = batches(0, 12)
    for start in (1, 4, 5, 9):
        assert_same(batches(start, 3), whole[start : start + 3])


def test_a_far_step_is_reached_at_once(numbered):
    dataset = pipeline.training_batches(
        numbered, range(20), RANDOM, batch_size=8, seed=5, start_step=10**12
    )
    assert np.isfinite(take(dataset, 1)[0][0]).all()


def test_threads_and_memory_change_nothing(numbered):
    def batches(**options):
        options = {"batch_size": 6, "seed": 2, **options}
        return take(pipeline.training_batches(numbered, range(20), RANDOM, **options), 8)

    first = batches()
    assert_same(first, batches(parallel_calls=1))
    assert_same(first, batches(parallel_calls=7))
    assert_same(first, batches(cache_mb=0))


def test_the_seed_and_the_position_decide_how_a_picture_is_changed():
    images = np.random.default_rng(0).integers(0, 256, [1, 10, 10, 1], np.uint8)
    one = arrays.examples(images, np.zeros(1, int), ["a", "b"])

    def batch(seed):
        dataset = pipeline.training_batches(one, [0], RANDOM, batch_size=8, seed=seed)
        return take(dataset, 1)[0][0]

    first = batch(0)
    assert len(np.unique(first.round(3), axis=0)) > 4
    assert np.abs(first - batch(1)).max() > 0.1


def test_shapes_are_static(numbered):
    dataset = pipeline.training_batches(numbered, [1, 2], RANDOM, batch_size=5, seed=0)
    assert dataset.cardinality() == tf.data.INFINITE_CARDINALITY
    assert dataset.element_spec == (tf.TensorSpec([5, 6, 6, 1]), tf.TensorSpec([5], tf.int32))
    dataset = pipeline.evaluation_batches(numbered, [1, 2], RANDOM, batch_size=5)
    assert dataset.element_spec == (
        tf.TensorSpec([5, 6, 6, 1]),
        tf.TensorSpec([5], tf.int32),
        tf.TensorSpec([5]),
    )


# Evaluation.


@pytest.mark.parametrize(("count", "batch_size"), [(20, 4), (17, 5), (3, 8), (16, 16), (17, 40)])
def test_evaluation_sees_every_picture_once(bare, numbered, count, batch_size):
    indices = np.arange(20)[::-1][:count]
    dataset = pipeline.evaluation_batches(numbered, indices, PLAIN, batch_size=batch_size)
    for _ in range(2):  # a dataset can be gone through again
        batches = take(dataset, -1)
        assert len(batches) == dataset.cardinality() == -(-count // batch_size)
        _, labels, weights = (np.concatenate(column) for column in zip(*batches, strict=True))
        assert weights.tolist() == [1] * count + [0] * (-count % batch_size)
        np.testing.assert_array_equal(shown_pictures(batches)[:count], indices)
        np.testing.assert_array_equal(labels[:count], indices % 4)
        assert not labels[count:].any()


# Real pictures.


@pytest.mark.parametrize("part", ["training", "evaluation"])
def test_pictures_of_any_shape(stamps, part):
    examples = folder.read_folder(stamps)
    p = Preprocessing(24, 3, 48, 40, True, 63.0, 0.2, 1.8)
    chosen = np.arange(0, len(examples), 20)
    if part == "training":
        dataset = pipeline.training_batches(examples, chosen, p, batch_size=16, seed=0)
    else:
        dataset = pipeline.evaluation_batches(examples, chosen, p, batch_size=16)
    with pipeline.naming_errors():
        for images, labels, *_ in take(dataset, 2):
            np.testing.assert_allclose(images.mean((1, 2, 3)), 0, atol=STANDARD)
            np.testing.assert_allclose(images.std((1, 2, 3)), 1, atol=STANDARD)
            assert labels.max() < len(examples.class_names)


def test_digits_learnt_by_their_mean_picture():
    """Labels belong to the pictures they come with: the nearest class mean is mostly right."""
    examples = builtin.load("digits", "train")
    (images, labels), *_ = take(
        pipeline.training_batches(examples, range(1797), PLAIN, batch_size=1797, seed=0), 1
    )
    images = images.reshape(1797, 64)
    means = np.stack([images[labels == digit].mean(0) for digit in range(10)])
    nearest = np.square(images[:, None] - means).sum(-1).argmin(1)
    assert (nearest == labels).mean() > 0.85


# Errors.


@pytest.fixture
def spoilt(tmp_path):
    """Examples of which the second broke after the scan, and its path."""
    for name in "ab":
        (tmp_path / name).mkdir()
        image = Image.new("RGB", (9, 9), {"a": "red", "b": "blue"}[name])
        image.save(tmp_path / name / "\N{CAT FACE} é.png")
    examples = folder.read_folder(tmp_path)
    path = tmp_path / "b" / "\N{CAT FACE} é.png"
    path.write_bytes(path.read_bytes()[:-20])
    return examples, path


COLOR = Preprocessing(8, 3, 8, 8, True, 0.0, 1.0, 1.0)


@pytest.mark.fault(19)
def test_a_bad_file_is_named(spoilt):
    examples, path = spoilt
    for dataset in (
        pipeline.training_batches(examples, [0, 1], COLOR, batch_size=2, seed=0),
        pipeline.evaluation_batches(examples, [0, 1], COLOR, batch_size=2),
    ):
        with pytest.raises(DataError) as caught, pipeline.naming_errors():
            take(dataset, 1)
        assert str(caught.value).startswith(f"bad picture in {path} - ")


def test_other_errors_pass():
    with pytest.raises(tf.errors.InvalidArgumentError, match="mine"), pipeline.naming_errors():
        raise tf.errors.InvalidArgumentError(None, None, "mine")


@pytest.mark.parametrize("indices", [[], [20], [-1, 3]])
def test_indices_out_of_range(numbered, indices):
    words = re.escape("indices must be in [0, 20), at least one of them, got [")
    with pytest.raises(ValueError, match=words):
        pipeline.training_batches(numbered, indices, PLAIN, batch_size=2, seed=0)
    with pytest.raises(ValueError, match=words):
        pipeline.evaluation_batches(numbered, indices, PLAIN, batch_size=2)


def test_numbers_out_of_range(numbered):
    with pytest.raises(ValueError, match=r"batch_size must be at least 1, got 0\."):
        pipeline.evaluation_batches(numbered, [1], PLAIN, batch_size=0)
    words = r"seed and start_step must be at least 0, got 0 and -1\."
    with pytest.raises(ValueError, match=words):
        pipeline.training_batches(numbered, [1], PLAIN, batch_size=1, seed=0, start_step=-1)


# Two devices.


@pytest.fixture
def strategy():
    devices = tf.config.list_logical_devices("CPU")
    if len(devices) < 2:
        pytest.skip("needs two logical devices, which tests/conftest.py makes")
    return tf.distribute.MirroredStrategy([device.name for device in devices[:2]])


def gathered(strategy, dataset, count):
    """Batches of both devices, put together again."""
    iterator = iter(strategy.experimental_distribute_dataset(dataset))
    columns = (
        [strategy.experimental_local_results(c) for c in next(iterator)] for _ in range(count)
    )
    return [[np.concatenate([part.numpy() for part in c]) for c in batch] for batch in columns]


@pytest.mark.fault(62)
def test_two_devices_share_the_batches_of_one(numbered, strategy):
    training = pipeline.training_batches(numbered, range(17), RANDOM, batch_size=6, seed=0)
    assert_same(gathered(strategy, training, 8), take(training, 8))
    evaluation = pipeline.evaluation_batches(numbered, range(17), RANDOM, batch_size=6)
    assert_same(gathered(strategy, evaluation, 3), take(evaluation, -1))


def test_a_bad_file_is_named_from_inside_a_loop_on_two_devices(spoilt, strategy):
    examples, path = spoilt
    dataset = pipeline.training_batches(examples, [0, 1], COLOR, batch_size=2, seed=0)
    iterator = iter(strategy.experimental_distribute_dataset(dataset))

    @tf.function
    def steps():
        for _ in tf.range(3):
            strategy.run(lambda images, labels: tf.reduce_sum(images), next(iterator))

    with pytest.raises(DataError, match="bad picture in ") as caught, pipeline.naming_errors():
        steps()
    assert str(path) in str(caught.value)
