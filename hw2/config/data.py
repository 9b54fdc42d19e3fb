"""The settings of the data: where it is, its split, and what is done to its pictures."""

import dataclasses

from hw2.config.choices import DATA_SETS, FITS, PRESETS, STANDARDS
from hw2.config.fields import one_command, recorded, setting
from hw2.config.rules import (
    BYTE,
    CHANNELS,
    DECAY,
    DEGREES,
    DEVIATIONS,
    FOURTEEN,
    FRACTION,
    GROUPS,
    HALF,
    NUMBERS,
    SHARE,
    TEN,
    at_least,
    one_of,
)


@dataclasses.dataclass(frozen=True)
class Data:
    """The settings of the data: where it is, its split, and what is done to its pictures."""

    train_data_path: str = setting(
        "", "class folders, or the name of a data set", group="Data", path=DATA_SETS
    )
    test_data_path: str = setting("", "scored by eval.py, and after training", path=DATA_SETS)
    validation_fraction: float = setting(0.2, "fraction of the training data to hold out", FRACTION)
    group_by: str = setting("", "keep together: regular expression, column:NAME", GROUPS)
    split_file: str = setting("", "file of name,part instead of drawing", path=())
    image_size: int = setting(100, "side of the model's input, in pixels", at_least(1))
    short_side: int = setting(260, "images are first resized to this shorter side", at_least(1))
    fit: str = setting("crop", "crop, pad or stretch to a square", one_of(*FITS))
    crop_size: int = setting(200, "smallest random crop; short_side: central crop", at_least(1))
    flip: bool = setting(True, "random left-right flips; --noflip for none")
    brightness: float = setting(63.0, "largest random change, of 255 levels", BYTE)
    contrast_min: float = setting(0.2, "lowest random contrast", at_least(0))
    contrast_max: float = setting(1.8, "highest random contrast", at_least(0))
    saturation_min: float = setting(1.0, "lowest random saturation", at_least(0))
    saturation_max: float = setting(1.0, "highest random saturation", at_least(0))
    hue: float = setting(0.0, "largest random change, in turns of the circle", HALF)
    flip_up_down: bool = setting(False, "random up-down flips")
    shift: float = setting(0.0, "largest random shift, as fraction of the side", SHARE)
    rotation: float = setting(0.0, "largest random rotation, in degrees", DEGREES)
    scale: float = setting(0.0, "largest random change of the size", DECAY)
    fill: float = setting(0.0, "grey level of what is beyond the image", BYTE)
    salt_and_pepper: float = setting(0.0, "fraction of pixels set to white or black", SHARE)
    rand_augment: int = setting(0, "RandAugment operations on each image", FOURTEEN)
    rand_augment_magnitude: float = setting(9.0, "their magnitude, up to 10", TEN)
    erasing: float = setting(0.0, "probability that a rectangle is erased", SHARE)
    cutout: int = setting(0, "side of a square that is erased, in pixels", at_least(0))
    standardize: str = setting("image", ", ".join(STANDARDS), one_of(*STANDARDS))
    cache_mb: int = setting(1024, "memory for decoded images, in MB", at_least(0))
    on_bad_file: str = setting("error", "error or skip", one_of("error", "skip"))
    max_bad_fraction: float = setting(0.01, "largest fraction of images to skip", SHARE)
    max_pixels: int = setting(100_000_000, "images with more pixels are bad", at_least(1))
    min_size: int = setting(1, "images with a shorter side are bad", at_least(1))
    allow_empty_class: bool = setting(False, "a class without images keeps its number")
    skip_conflicts: bool = setting(False, "leave out images that are in several classes")
    skip_empty_class: bool = setting(False, "leave out classes without images")
    allow_same_folders: bool = setting(False, "all classes may hold folders of the same names")
    levels: float = setting(0.0, "white in arrays, such as 1023; 0: found", at_least(0))
    allow_outside_links: bool = setting(False, "follow links that leave the data's folder")
    allow_leak: bool = setting(False, "allow test images that were trained on")
    augmentation: str = setting("s1", f"preset: {', '.join(PRESETS)}", one_of(*PRESETS))
    channels: int = setting(0, "of the model's input, 1 or 3; 0: as the data", CHANNELS)
    mean: str = setting("", "for standardize=given, as 0.5,0.4,0.4", NUMBERS)
    deviation: str = setting("", "standard deviation, likewise", DEVIATIONS)
    mixup: float = recorded(0.0, "alpha of mixup, such as 0.2; 0 for none", at_least(0))
    cutmix: float = recorded(0.0, "alpha of CutMix, such as 1; 0 for none", at_least(0))
    disk_cache: str = setting("", "folder for decoded images; empty for none", path=())
    accept_new_data: bool = one_command(False, "resume although the images have changed")
