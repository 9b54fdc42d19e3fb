"""Augmentation by name: the flags that `--augmentation=NAME` stands for.

A preset sets every random change, so that one takes the place of another whole. Those of a report
set its standardization too.
"""

from collections.abc import Mapping
from typing import Any

OFF = {  # every random change but the crop
    "flip": False,
    "flip_up_down": False,
    "brightness": 0.0,
    "contrast_min": 1.0,
    "contrast_max": 1.0,
    "saturation_min": 1.0,
    "saturation_max": 1.0,
    "hue": 0.0,
    "shift": 0.0,
    "rotation": 0.0,
    "scale": 0.0,
    "fill": 0.0,
    "salt_and_pepper": 0.0,
    "rand_augment": 0,
    "rand_augment_magnitude": 9.0,
    "erasing": 0.0,
    "cutout": 0,
    "mixup": 0.0,
    "cutmix": 0.0,
}
PRESETS: Mapping[str, Mapping[str, Any]] = {
    "none": OFF,
    "light": OFF
    | {
        "flip": True,
        "brightness": 32.0,
        "contrast_min": 0.8,
        "contrast_max": 1.2,
        "saturation_min": 0.8,
        "saturation_max": 1.2,
    },
    # Those of the reports: inception on colour photographs, birds, small grey images.
    "s1": OFF
    | {
        "flip": True,
        "brightness": 63.0,
        "contrast_min": 0.2,
        "contrast_max": 1.8,
        "standardize": "image",
        "channels": 0,
    },
    "s2": OFF
    | {"flip": True, "flip_up_down": True, "shift": 0.125, "standardize": "channel", "channels": 0},
    "s3": OFF | {"flip": True, "standardize": "imagenet", "channels": 3},
    # Close to that of "ResNet strikes back", 2021, arxiv.org/abs/2110.00476, procedure A2.
    "strong": OFF
    | {
        "flip": True,
        "rand_augment": 2,
        "rand_augment_magnitude": 7.0,
        "erasing": 0.25,
        "mixup": 0.1,
        "cutmix": 1.0,
    },
}
CROPS = {  # sides of the smallest crop, of the short side
    "none": 1.0,
    "light": 7 / 8,
    "s1": 200 / 260,
    "s2": 1.0,
    "s3": 7 / 8,  # 28 of 32, as small pictures are mostly padded and cropped
    "strong": 0.6,
}


def values(name: str, short_side: int) -> dict[str, Any]:
    """The flags of a preset, its name and the smallest crop for a short side included."""
    crop = max(1, round(CROPS[name] * short_side))
    return {"augmentation": name, **PRESETS[name], "crop_size": crop}
