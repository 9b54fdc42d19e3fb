"""Paths as users write them, in every flag alike."""

from pathlib import Path

import pytest

from hw2.commands import report
from hw2.config import paths, settings
from hw2.config.settings import Config
from hw2.errors import UsageError
from hw2.input.sources import builtin, npy
from hw2.models import pretrained
from hw2.models.weights import fetch


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


@pytest.mark.fault(91)
@pytest.mark.parametrize("name", settings.PATHS)
def test_every_path_begins_at_home(home, name):
    expected = f"{home}/run"
    assert getattr(settings.parse(["train.py", f"--{name}=~/run"]), name) == expected
    assert getattr(Config(**{name: "~/run"}), name) == expected
    Path("flags.cfg").write_text(f"--{name}=~/run\n")
    assert getattr(settings.parse(["train.py", "--flagfile=flags.cfg"]), name) == expected


@pytest.mark.fault(91)
def test_every_flag_that_is_a_path_is_known_as_one():
    texts = {n for n, f in settings.FIELDS.items() if isinstance(f.default, str)}
    words = ("folder", "file of", "images to classify", "trained weights", "scored by")
    named = {n for n in texts if any(w in settings.FIELDS[n].metadata["text"] for w in words)}
    assert set(settings.PATHS) == (named - {"section"}) | {"train_data_path"}


@pytest.mark.fault(91)
def test_both_files_of_a_pair_and_words_of_a_command_begin_at_home(home):
    pair = settings.parse(["train.py", "--train_data_path=~/x.npy,~/y.csv"]).train_data_path
    assert pair == f"{home}/x.npy,{home}/y.csv"
    config, own = report.COMMAND.parse(["hw2 report", "~/one", "~/two"])
    assert (config.checkpoint_dir, own.rest) == (f"{home}/one", [f"{home}/two"])
    kept = Config(train_data_path="./~", log_path="a~", output="-", data="digits")
    assert (kept.train_data_path, kept.log_path, kept.output) == ("./~", "a~", "-")


@pytest.mark.fault(119)
def test_what_a_flagfile_keeps_means_the_same_elsewhere(tmp_path, monkeypatch):
    given = Config(
        train_data_path="x.npy,y.csv",
        test_data_path="digits",
        init_from="runs/a",
        pretrained="w.h5",
        disk_cache="cache",
        log_path="runs/b",
    )
    found = settings.absolute(given)
    assert found.init_from == f"{tmp_path}/runs/a"
    assert found.train_data_path == f"{tmp_path}/x.npy,{tmp_path}/y.csv"
    assert (found.pretrained, found.disk_cache) == (f"{tmp_path}/w.h5", f"{tmp_path}/cache")
    assert (found.test_data_path, found.log_path) == ("digits", "runs/b")
    assert settings.absolute(Config(pretrained="imagenet")).pretrained == "imagenet"
    assert settings.absolute(Config(train_data_path="imagenet")).train_data_path[0] == "/"
    written = settings.to_flagfile(found)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    Path("flags.cfg").write_text(written)
    again = settings.absolute(settings.parse(["train.py", "--flagfile=flags.cfg"]))
    assert {n: getattr(again, n) for n in settings.PATHS if n != "log_path"} == {
        n: getattr(found, n) for n in settings.PATHS if n != "log_path"
    }


def test_a_working_folder_that_is_gone_is_told_of(tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(UsageError, match="cannot tell where a is - the working folder is gone"):
        paths.absolute("a")
    assert paths.absolute("/a") == "/a"


def test_the_words_that_are_no_paths_are_those_of_the_sources():
    from hw2.config import choices

    assert set(choices.DATA_SETS) == set(builtin.NAMES)
    assert set(choices.WEIGHTS) == {pretrained.NONE, pretrained.IMAGENET, *fetch.PACKAGES}
    assert set(paths.ARRAYS) == set(npy.SUFFIXES)
