"""The nearest training pictures: by the definition of the cosine, and within bounds."""

import numpy as np
import pytest

from hw2.input import pipeline, source
from hw2.jobs import model as trained
from hw2.jobs import neighbours, spec
from hw2.jobs.extractor import extractor
from hw2.jobs.neighbours import Neighbours
from hw2.runs.folder import RunFolder


def test_they_are_those_of_the_largest_cosine():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 7)), rng.normal(size=(3, 7))
    known = Neighbours(np.arange(100, 140), neighbours._directions(x), 40)
    lengths = np.linalg.norm(y, axis=1)[:, None] * np.linalg.norm(x, axis=1)
    expected = y @ x.T / lengths
    found, cosines = known.nearest(y, 5)
    np.testing.assert_array_equal(found, 100 + np.argsort(-expected, 1)[:, :5])
    np.testing.assert_allclose(cosines, -np.sort(-expected, 1)[:, :5], atol=1e-6)
    assert known.nearest(y, 99)[0].shape == (3, 40)


def test_features_without_a_direction_are_like_none():
    x = np.array([[0, 0], [np.nan, 1], [1e30, 1e30], [1e-30, 0]])
    known = Neighbours(np.arange(4), neighbours._directions(x), 4)
    np.testing.assert_allclose(known.directions, [[0, 0], [0, 0], [0.5**0.5] * 2, [1, 0]])
    assert known.nearest(np.zeros([1, 2]), 1)[1] == 0


@pytest.fixture(scope="module")
def digits(digits_run):
    """The function of features, the data, and their preprocessing."""
    checkpoint, tensors = trained.choose(RunFolder(digits_run), "auto")
    extract = extractor(trained.load(checkpoint, tensors), checkpoint.path)
    return extract, source.read("digits", "train"), spec.preprocessing(checkpoint.state["identity"])


def test_a_picture_is_nearest_to_itself(digits):
    extract, examples, p = digits
    done = []
    indices = np.arange(5, 95)
    known = neighbours.of(
        extract, examples, indices, p, batch_size=64, report=lambda *counts: done.append(counts)
    )
    assert done == [(64, 90), (90, 90)]
    batches = pipeline.evaluation_batches(examples, [7, 50], p, batch_size=2)
    [(images, _, _)] = list(batches)
    found, cosines = known.nearest(extract(images)[0].numpy(), 2)
    assert found[:, 0].tolist() == [7, 50]
    np.testing.assert_allclose(cosines[:, 0], 1, atol=1e-5)
    assert (cosines[:, 1] < 1 - 1e-5).all()


def test_a_sample_is_taken_of_many_or_of_large_ones(digits, monkeypatch):
    extract, examples, p = digits
    indices = np.arange(200)
    few = neighbours.of(extract, examples, indices, p, batch_size=8, most=20)
    assert len(few.indices) == 20
    assert few.total == 200
    size = few.directions.shape[1]
    monkeypatch.setattr(neighbours, "MOST_BYTES", 4 * size * 11)
    again = neighbours.of(extract, examples, indices, p, batch_size=8, most=20)
    assert len(again.indices) == 11
