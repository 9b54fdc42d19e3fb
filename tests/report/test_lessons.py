"""What the neighbours of a mistake teach, in words."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from hw2.input.examples import Examples
from hw2.input.files import decode
from hw2.report import neighbours
from hw2.report.neighbours import Neighbour


def near(labels, *, cosine=0.9, same=()):
    return [
        Neighbour(f"{n}.png", label, cosine, n in same) for n, label in enumerate(labels.split())
    ]


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (near("cat cat", same=[1]), "1.png looks nearly the same, and its label is cat: one of"),
        (near("cat dog", same=[1]), "1.png looks nearly the same, has the same label, and was"),
        (near("cat cat", cosine=0.5), "No training picture is much like it"),
        ([], "No training picture is much like it"),
        (near("cat cat owl"), "2 of 3 are labelled cat, none dog: its own label may be wrong"),
        (near("owl owl"), "None of 2 are labelled cat, none dog: its own label may be wrong"),
        (near("dog dog cat"), "1 of 3 are labelled cat, 2 dog, and yet the model answers cat"),
        (near("cat dog cat"), "2 of 3 are labelled cat, 1 dog: the classes overlap here"),
    ],
)
def test_lessons(found, words):
    assert neighbours.lesson("dog", "cat", found, 0.8).startswith(words)


def test_near_duplicates_are_found_among_neighbours():
    scans = (15 * load_digits().images[:3, :, :, None]).astype(np.uint8)
    scans = np.concatenate([scans, np.clip(scans[:1], 9, 250)])  # the first, a little changed

    def load(index, size):
        return decode.resize(scans[index], size)

    labels = np.array([0, 1, 2, 1], np.int32)
    examples = Examples(("a", "b", "c", "d"), labels, ("0", "1", "2"), 1, load)
    own = neighbours._hash(examples, 0)
    found = neighbours._shown(examples, np.array([3, 1]), np.array([0.99, 0.9]), own)
    assert [(one.name, one.label, one.same) for one, _ in found] == [
        ("d", "1", True),
        ("b", "1", False),
    ]
