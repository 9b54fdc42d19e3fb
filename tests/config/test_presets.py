"""Presets of augmentation, and the flags that refine them."""

import dataclasses
import re

import pytest

from hw2.config import presets, settings
from hw2.config.settings import Config
from hw2.errors import UsageError

S1 = Config()


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments):
    return settings.parse(["train.py", *arguments])


def test_every_preset_sets_every_random_change():
    changes = set(presets.OFF)
    for name, values in presets.PRESETS.items():
        assert changes <= values.keys() <= settings.FIELDS.keys()
        assert run(f"--augmentation={name}") == Config(**presets.values(name, 260))
    assert presets.CROPS.keys() == presets.PRESETS.keys()


def test_the_default_is_the_first_report():
    assert run("--augmentation=s1") == S1


def test_none_leaves_pictures_as_they_are():
    got = run("--augmentation=none", "--short_side=64")
    assert (got.crop_size, got.short_side) == (64, 64)
    assert {name: getattr(got, name) for name in presets.OFF} == presets.OFF


def test_the_second_and_the_third_report():
    birds = run("--augmentation=s2", "--short_side=100")
    assert (birds.flip, birds.flip_up_down, birds.shift, birds.fill) == (True, True, 0.125, 0.0)
    assert (birds.standardize, birds.crop_size, birds.brightness) == ("channel", 100, 0.0)
    grey = run("--augmentation=s3", "--short_side=32")
    assert (grey.flip, grey.standardize, grey.channels) == (True, "imagenet", 3)
    assert (grey.crop_size, grey.short_side) == (28, 32)


@pytest.mark.parametrize(
    ("lines", "line", "expected"),
    [
        ([], ["--augmentation=s2", "--noflip"], {"flip": False, "flip_up_down": True}),
        ([], ["--noflip", "--augmentation=s2"], {"flip": False, "flip_up_down": True}),
        (["--noflip", "--augmentation=s2"], [], {"flip": False, "flip_up_down": True}),
        (["--augmentation=s2"], ["--noflip"], {"flip": False, "flip_up_down": True}),
        (["--noflip", "--shift=0.3"], ["--augmentation=s2"], {"flip": True, "shift": 0.125}),
        (["--augmentation=s2", "--hue=0.1"], ["--augmentation=none"], {"shift": 0.0, "hue": 0.0}),
        ([], ["--augmentation=s2", "--augmentation=none"], {"shift": 0.0, "flip": False}),
        (["--short_side=20"], ["--augmentation=none"], {"crop_size": 20}),
        ([], ["--augmentation=none", "--crop_size=99"], {"crop_size": 99}),
        ([], ["--augmentation=strong", "--mixup=0"], {"mixup": 0.0, "cutmix": 1.0}),
    ],
)
def test_a_flag_beats_the_preset_and_the_command_line_the_file(folder, lines, line, expected):
    (folder / "f.cfg").write_text("\n".join(lines))
    got = run("--flagfile=f.cfg", *line)
    assert {name: getattr(got, name) for name in expected} == expected


def test_a_flagfile_that_was_written_runs_it_again(folder):
    first = run("--augmentation=strong", "--short_side=50", "--hue=0.1")
    (folder / "flags.cfg").write_text(settings.to_flagfile(first))
    assert "--augmentation=strong\n" in (folder / "flags.cfg").read_text()
    assert run("--flagfile=flags.cfg") == first
    again = run("--flagfile=flags.cfg", "--augmentation=s1")
    assert (again.hue, again.rand_augment, again.crop_size) == (0.0, 0, 38)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--augmentation=heavy"],
            "--augmentation must be none or light or s1 or s2 or s3 or strong, got 'heavy'",
        ),
        (
            ["--augmentation=s2", "--short_side=x"],
            "--short_side must be a whole number, got 'x'",
        ),
        (
            ["--standardize=given", "--mean=0.5"],
            "--mean and --deviation must come with --standardize=given, which needs them, got "
            "--standardize=given, --mean=0.5, --deviation=",
        ),
        (
            ["--mean=0.5", "--deviation=1"],
            "--mean and --deviation must come with --standardize=given, which needs them, got "
            "--standardize=image, --mean=0.5, --deviation=1",
        ),
        (
            ["--standardize=given", "--mean=a", "--deviation=1"],
            "--mean must be numbers as 0.5,0.4,0.4, got 'a'",
        ),
        (
            ["--standardize=given", "--mean=0", "--deviation=0.1,0"],
            "--deviation must be numbers above 0 as 0.2,0.2,0.2, got '0.1,0'",
        ),
        (["--channels=2"], "--channels must be 0, 1 or 3, got 2"),
        (["--rand_augment=15"], "--rand_augment must be in [0, 14], got 15"),
        (["--mixup=-1"], "--mixup must be at least 0, got -1.0"),
    ],
)
def test_refusals(arguments, message):
    words = re.escape(f"bad value in the command line - {message}; see --help")
    with pytest.raises(UsageError, match=f"^{words}$"):
        run(*arguments)


def test_a_config_made_in_python_takes_a_preset_as_a_dict():
    made = Config(**presets.values("light", 100), short_side=100)
    assert dataclasses.replace(made, seed=0) == run("--augmentation=light", "--short_side=100")
