from hw2.input.scanning import imbalance


def test_classes_of_very_different_sizes_are_told_of_with_the_flags():
    [words] = imbalance.notes(["cat", "dog", "none"], [6000, 60, 0])
    assert words.startswith("imbalance: cat has 6,000 images, 100 times the 60 of dog; ")
    assert {"--class_weights=balanced,", "--sampling=balanced"} <= set(words.split())
    assert imbalance.notes(["cat", "dog"], [99, 10]) == []
    assert len(imbalance.notes(["cat", "dog"], [100, 10])) == 1
    assert imbalance.notes(["cat"], [0]) == []
