"""The names of the 1,000 classes of ImageNet's challenge, in the order of all networks' logits.

`imagenet_classes.txt` has the first word of each class's synset in WordNet; where two classes share
it, another of its words, or one in brackets, tells them apart.

Source: Russakovsky et al., "ImageNet Large Scale Visual Recognition Challenge", 2014,
arxiv.org/abs/1409.0575. WordNet 3.0 Copyright 2006 by Princeton University. All rights reserved.
Its license permits use, copying, modification and distribution for any purpose, with this notice
and without any warranty; wordnet.princeton.edu/license-and-commercial-use.
"""

from __future__ import annotations

from pathlib import Path


def class_names() -> list[str]:
    """The names, by the number of the class."""
    return Path(__file__).with_name("imagenet_classes.txt").read_text("utf-8").splitlines()
