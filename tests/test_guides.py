"""What README and guides tell people to type is typed; what cannot be is listed, with why."""

import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow as tf
import yaml

from hw2.config import settings
from hw2.jobs import pretrained
from hw2.jobs import train as experiment
from hw2.machines import cluster
from hw2.models import MODELS
from hw2.models.weights import fetch
from hw2.ops.direct import cache
from hw2.ops.verify.cases import OPS
from tests import guide
from tests.guide import CUT, PAGES, ROOT
from tests.packages import stamps

__all__ = ["stamps"]

# Their flags are taken, and no more.
NO_GPUS = "there are no GPUs here"
MACHINES = "it takes two machines; tests/training/test_machines.py has two processes"
DRY = ("make", "-n", "--no-print-directory")
PROTOCOL = "it takes half an hour; tests/config/test_recipes.py makes the data and scores an answer"
INDEX = "it asks the package index; tests/models/test_weights.py and .ci/run do so"
SERVES = "it serves until a signal comes; tests/serve does so"
ACCOUNT = "it takes an account; tests/training/test_trackers.py has its offline mode"
COMPILES = "it compiles for a minute or two; tests/ops/test_direct_build.py does so with `slow`"
CHECKED = {
    "python -m hw2.ops.direct --isa=avx2": COMPILES,
    "hw2 serve RUN": SERVES,
    "hw2 train digits --tracker=wandb --log_path=runs/on_wandb": ACCOUNT,
    "hw2 weights squeezenet": INDEX,
    "hw2 weights efficientnet_lite0": INDEX,
    "python -m pip install elpv-dataset": INDEX,
    "python multi_gpu_train.py --flagfile=config.cfg --num_gpus=2": NO_GPUS,
    'export TF_CONFIG=\'{"cluster": {"worker": ["host0:8470", "host1:8470"]}, '
    '"task": {"type": "worker", "index": 0}}\'': MACHINES,
    "python multi_gpu_train.py --flagfile=config.cfg --log_path=/shared/run": MACHINES,
    "srun .venv/bin/python multi_gpu_train.py --flagfile=config.cfg --log_path=$HOME/runs/mine": (
        MACHINES
    ),
    "python benchmarks/s3_protocol.py make data/s3": PROTOCOL,
    "python train.py --flagfile=configs/s3_se_resnet34.cfg --train_data_path=data/s3 ...": PROTOCOL,
    "python predict.py --checkpoint_dir=runs/s3_se_resnet34 --data=data/s3/test/images.npy "
    "--output=answer.csv --header=id,class --ids=number --answer=number": PROTOCOL,
    "python benchmarks/s3_protocol.py score answer.csv": PROTOCOL,
}
# Recipes that start from weights of a name.
USERS = {
    "squeezenet": (),
    "efficientnet_lite0": ("--flagfile=configs/cells.cfg", "--flagfile=configs/few_pictures.cfg"),
}
# Targets that are looked up, and no more.
MAKE = {
    "make test": "is what runs this",
    "make test-all": "is what runs this",
    "make lint": "is a step of .ci/run",
    "make soak": "takes ten minutes; tests/training/test_soak.py has a short one",
    "make fuzz": "takes minutes; tests/input/test_mutations.py has a short one",
    "make notebooks": "takes minutes; tests/test_notebooks.py is what it runs",
    "make verify": "takes minutes; tests/ops/test_verify.py has a part of it",
    "make docs": "is what tests/test_site.py does",
}
# A block of shell that is run as a whole.
SHELL = "cp -r /usr/share/tuxpaint/stamps data/stamps"
# Code that another test runs.
CODE = {
    "docs/beyond_images.md": "tests/ops/test_docs.py",
    "docs/convolution.md": "tests/ops/test_docs.py",
    "docs/export.md": "tests/export/test_exports.py",
    "docs/training.md": "tests/training/test_hook_example.py",
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run on pictures like those of FOLDER."""
    folder = tmp_path_factory.mktemp("trained")
    data = guide.drawings(folder / "FOLDER", "cat dog", 1)
    flags = [f"--train_data_path={data}", *CUT, "--model=simple_cnn", "--kernel_size=3"]
    experiment.train(settings.parse(["train.py", *flags, f"--log_path={folder / 'run'}"]))
    return folder / "run"


@pytest.fixture
def project(tmp_path, monkeypatch, train):
    """A clone with data beside it, as the working folder; `train` gives it two devices."""
    guide.furnish(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("HW2_CACHE_DIR", str(cache.folder()))  # the kernel is built once
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for known in (MODELS, OPS):  # what pages add is taken away again
        for name in ("involution", "deform_net"):
            monkeypatch.setitem(known, name, None)
            del known[name]
    yield tmp_path
    for name in ("involution", "deform_net", "mymodule"):
        sys.modules.pop(name, None)


def run(line, trained, monkeypatch):
    """Runs a command in the working folder, a training cut to two steps of a small network."""
    words = guide.words_of(line)
    if "folds" in words and not any(word.startswith("--seeds") for word in words):
        words += ["--folds=2"]
    if guide.trains(words):
        words += ["--train_data_path=FOLDER"] * ("..." in line)
        words += CUT + ["--model=tiny"] * ("--model=" not in line and "configs/" not in line)
    for name in fetch.PACKAGES:
        if any(word in (f"--model={name}", *USERS[name]) for word in words):
            guide.weights(pretrained.cache(), name)
    for word in words[1:]:  # a run that it reads, and no command of the page has made
        folder = Path(word.removeprefix("--checkpoint_dir=").removeprefix("--flagfile="))
        folder = folder.parent if folder.suffix == ".cfg" else folder
        if folder.parts[:1] in (("RUN",), ("runs",)) and not folder.exists():
            shutil.copytree(trained, folder)
    sys.modules.pop("involution", None)  # a process of its own would read the file again
    assert guide.start(words, monkeypatch) == 0, line
    for word in words:
        if word.startswith("--output="):
            assert Path(word.partition("=")[2]).exists(), line


def check(line, monkeypatch):
    """Holds a command that cannot be run here against what takes its words."""
    words = shlex.split(line)
    if words[0] == "export":
        name, _, value = words[1].partition("=")
        assert len(cluster.from_environment({name: value}).workers) == 2
        return
    if words[1:3] == ["-m", "pip"]:  # whose flags are its own
        return
    guide.check(guide.words_of(line.removeprefix("srun ")), monkeypatch)


def make(line):
    """What a target of the Makefile runs, `.venv` taken as installed."""
    _, *words = shlex.split(line)
    done = subprocess.run(
        [
            "make",
            "-n",
            "--no-print-directory",
            "-o",
            ".venv/installed",
            "-o",
            ".venv/installed-dev",
            *words,
        ],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=[pytest.mark.slow] if page == "docs/photographs.md" else [])
        for page in PAGES
    ],
)
def test_every_command_of_a_page(page, project, trained, monkeypatch, request):
    for block in guide.blocks(page):
        if block.title:
            with (project / block.title).open("a", encoding="utf-8") as file:
                file.write(block.text)
        elif block.language == "sh" and block.text.startswith(SHELL):
            request.getfixturevalue("stamps")
            (project / "data").mkdir()
            subprocess.run(["bash", "-euc", block.text], check=True)
        elif block.language == "sh":
            for line in guide.commands(block.text):
                if line in CHECKED:
                    check(line, monkeypatch)
                elif line in MAKE:
                    assert make(line)
                elif line.startswith("make "):
                    for command in make(line):
                        run(command, trained, monkeypatch)
                else:
                    run(line, trained, monkeypatch)


@pytest.mark.parametrize("page", PAGES)
def test_every_command_within_a_sentence_has_flags_that_there_are(page, monkeypatch):
    for line in guide.inline(page):
        if line.startswith("make "):
            assert make(line)
        else:
            guide.check(guide.words_of(line), monkeypatch)


@pytest.mark.parametrize("line", ["train.py --no_such_flag=1", "-m hw2 models --no_such_flag"])
def test_flags_that_there_are_not_are_found(line, monkeypatch):
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        guide.check(line.split(), monkeypatch)


@pytest.mark.parametrize("page", PAGES)
def test_every_other_block_of_a_page(page, monkeypatch):
    for language, title, text in guide.blocks(page):
        if language == "python" and page in CODE:
            assert Path(page).name in (ROOT / CODE[page]).read_text("utf-8")
        elif language == "python" and not title:
            names = {
                "height": 6,
                "width": 6,
                "x": tf.ones([1, 6, 6, 2]),
                "w": tf.ones([3, 3, 2, 4]),
            }
            exec(compile(text, page, "exec"), names)
        elif language == "json":
            assert all(json.loads(line) for line in text.splitlines())
        elif language == "yaml":
            [job] = [part for part in yaml.safe_load_all(text) if part["kind"] == "Job"]
            [container] = job["spec"]["template"]["spec"]["containers"]
            setting, _, command = container["args"][0].strip().rpartition("\n")
            guide.check(guide.words_of(command.removeprefix("exec ")), monkeypatch)
            told = subprocess.run(
                ["sh", "-euc", f'{setting}\nprintf %s "$TF_CONFIG"'],
                env={"JOB_COMPLETION_INDEX": "1"},
                check=True,
                capture_output=True,
                text=True,
            )
            assert cluster.from_environment({"TF_CONFIG": told.stdout}).index == 1
        else:
            assert language in ("sh", "") or title, f"a block of {language} on {page}"


def test_the_lists_of_what_is_not_run_name_what_there_is():
    lines, texts = set(), []
    for page in PAGES:
        for block in guide.blocks(page):
            if block.language == "sh":
                lines |= set(guide.commands(block.text))
                texts.append(block.text)
    assert set(CHECKED) | set(MAKE) <= lines
    assert any(text.startswith(SHELL) for text in texts)
    assert set(CODE) <= set(PAGES)
