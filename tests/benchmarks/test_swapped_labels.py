"""The benchmark of swapped labels: what it swaps, and how it judges."""

import numpy as np


def test_a_fraction_gets_another_class():
    import swapped_labels

    labels = np.arange(1000) % 10
    swapped = swapped_labels.swap(labels, 0.05, 10, seed=0)
    assert (swapped != labels).sum() == 50
    np.testing.assert_array_equal(swapped, swapped_labels.swap(labels, 0.05, 10, seed=0))
    assert len(set((swapped - labels)[swapped != labels] % 10)) == 9  # to every other class


def test_precision_and_recall_are_those_of_names(tmp_path):
    import swapped_labels

    (tmp_path / "swapped.txt").write_text("00001\tBag\n00002\tCoat\n00003\tShirt\n00004\tBag\n")
    suspects = tmp_path / "suspects.csv"
    suspects.write_text("name,given,class\n00001,Coat,Bag\n00002,Bag,Shirt\n00009,Bag,Coat\n")
    assert swapped_labels.judge(tmp_path, suspects) == {
        "suspects": 3,
        "swapped": 4,
        "precision": 2 / 3,
        "recall": 2 / 4,
        "true_class_suggested": 1 / 4,
    }
