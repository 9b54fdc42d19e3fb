import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import pytest

from hw2.config import settings as config
from hw2.config.settings import Config, parse
from hw2.errors import UsageError

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Every test works in a folder of its own, so that messages name bare files."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(name, *lines):
    Path(name).write_text("\n".join(lines) + "\n", encoding="utf-8")


def run(*arguments):
    return parse(["train.py", *arguments])


def refused(message, *arguments):
    with pytest.raises(UsageError, match=f"^{re.escape(message)}$"):
        run(*arguments)


def test_a_worked_example():
    write(
        "config.cfg",
        "--section=small",
        "--seed=3",
        "[small]",
        "--batch_size=32  # fits 4 GB",
        "--noflip",
        "[large]",
        "--batch_size=512",
    )
    small = run("--flagfile=config.cfg", "--learning_rate=0.1")
    assert small == Config(seed=3, batch_size=32, flip=False, learning_rate=0.1, section="small")
    large = run("--flagfile=config.cfg", "--section=large")
    assert large == Config(seed=3, batch_size=512, section="large")


def test_nothing_given_is_the_default_and_valid():
    assert run() == Config()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--flip"], {"flip": True}),
        (["--noflip"], {"flip": False}),
        (["--flip=false"], {"flip": False}),
        (["--flip=1"], {"flip": True}),
        (["--seed", "7"], {"seed": 7}),
        (["-seed=7"], {"seed": 7}),
        (["--seed=1", "--seed=2"], {"seed": 2}),
        (["--log_path=a=b c"], {"log_path": "a=b c"}),
        (["--log_path", "--help"], {"log_path": "--help"}),
        (["--brightness=0"], {"brightness": 0.0}),
        (["--l2=1e-4"], {"l2": 1e-4}),
    ],
)
def test_the_ways_to_give_a_flag(arguments, expected):
    assert run(*arguments) == Config(**expected)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--flagfile=f.cfg", "--seed=1"],
        ["--seed=1", "--flagfile=f.cfg"],
        ["--seed=1", "--flagfile", "f.cfg"],
        ["--flagfile=f.cfg", "--seed=1", "--flagfile=f.cfg"],
    ],
)
def test_the_command_line_beats_the_file_from_any_side(arguments):
    write("f.cfg", "--seed=9", "--batch_size=2")
    assert run(*arguments) == Config(seed=1, batch_size=2)


def test_what_a_file_may_hold(folder):
    text = (
        "\ufeff# byte order mark, CRLF\r\n"
        "\r\n"
        "  # an indented comment\r\n"
        "\t// another\r\n"
        "  --seed=1   # a note\r\n"
        "--model=a#b\r\n"
        "--noflip\t# a note\r\n"
        "--eval_dir= # empty\r\n"
        '--log_path="a  # b\\n" # a JSON string\r\n'
        "--train_data_path=\u82b1"
    )
    (folder / "f.cfg").write_bytes(text.encode() + b"/caf\xe9\r\n")
    assert run("--flagfile=f.cfg") == Config(
        seed=1,
        model="a#b",
        flip=False,
        log_path="a  # b\n",
        train_data_path="\u82b1/caf\udce9",  # as os.fsdecode names a path that is not UTF-8
    )


@pytest.mark.parametrize(
    ("chosen", "seed", "batch_size", "max_steps"),
    [
        ([], 1, 128, 10000),
        (["--section="], 1, 128, 10000),
        (["--section=a"], 2, 2, 10000),
        (["--section=a,b"], 3, 2, 3),
        (["--section", "b, a"], 2, 2, 3),
        (["--section=a", "--section=b"], 3, 128, 3),
    ],
)
def test_sections(chosen, seed, batch_size, max_steps):
    a, b = ["[a]", "--seed=2", "--batch_size=2"], ["[ b ]  # note", "--seed=3", "--max_steps=3"]
    write("f.cfg", "--seed=1", *a, *b)
    got = run("--flagfile=f.cfg", *chosen)
    assert (got.seed, got.batch_size, got.max_steps) == (seed, batch_size, max_steps)


def test_an_empty_section_on_the_command_line_leaves_only_the_common_lines():
    write("f.cfg", "--section=a", "--seed=1", "[a]", "--seed=2")
    assert run("--flagfile=f.cfg").seed == 2
    assert run("--flagfile=f.cfg", "--section=").seed == 1


def test_several_files_and_nested_ones():
    write("outer.cfg", "--section=a", "--seed=1", "[a]", "--flagfile=inner.cfg", "--max_steps=5")
    write("inner.cfg", "--seed=2", "--max_steps=6", "[b]", "--batch_size=3")
    assert run("--flagfile=outer.cfg") == Config(seed=2, max_steps=5, section="a")
    write("last.cfg", "--seed=4")
    assert run("--flagfile=outer.cfg", "--flagfile=last.cfg").seed == 4
    assert run("--flagfile=outer.cfg", "--section=a,b").batch_size == 3  # [b] of the nested file
    assert run("--flagfile=last.cfg", "--flagfile=last.cfg").seed == 4  # twice is no cycle


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("lr = 0.5", "a line must be --name=value, got 'lr = 0.5'; write --lr=0.5"),
        ("--seed 5", "a line must be --name=value, got '--seed 5'; write --seed=5"),
        ("seed: 5  # x", "a line must be --name=value, got 'seed: 5  # x'; write --seed=5"),
        ("noflip", "a line must be --name=value, got 'noflip'; write --noflip"),
        ("<html>", "a line must be --name=value, got '<html>'; write --name=value"),
        ("[a", "a line must be --name=value, got '[a'; write --name=value"),
        ('--model="a', "a line must be --name=value, got '--model=\"a'; write --name=value"),
    ],
)
def test_refuses_a_line_that_is_not_a_flag(line, message):
    write("f.cfg", "# comment", line)
    refused(f"bad line in f.cfg:2 - {message}", "--flagfile=f.cfg")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "--learning_rte=1",
            "unknown flag in f.cfg:3 - there is no --learning_rte; did you mean --learning_rate?",
        ),
        ("--zzz=1", "unknown flag in f.cfg:3 - there is no --zzz; see --help"),
        ("--noflipp", "unknown flag in f.cfg:3 - there is no --noflipp; did you mean --noflip?"),
        ("--seed", "bad value in f.cfg:3 - --seed needs a value; write --seed=..."),
        (
            "--seed=1.5",
            "bad value in f.cfg:3 - --seed must be a whole number, got '1.5'; see --help",
        ),
        (
            "--batch_size=0",
            "bad value in f.cfg:3 - --batch_size must be at least 1, got 0; see --help",
        ),
        ("[a]", "bad line in f.cfg:3 - [a] came before; join the two"),
        (
            "--section=a",
            "bad line in f.cfg:3 - --section must stand above the first header; move it there",
        ),
    ],
)
def test_refuses_a_line_by_its_number(line, message):
    write("f.cfg", "[a]", "--max_steps=5", line)
    refused(message, "--flagfile=f.cfg", "--section=a")


def test_refuses_an_unknown_name_in_a_section_not_chosen():
    write("f.cfg", "[a]", "--sed=1")
    message = "unknown flag in f.cfg:2 - there is no --sed; did you mean --seed?"
    refused(message, "--flagfile=f.cfg")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--batchsize=3"], "unknown flag {}there is no --batchsize; did you mean --batch_size?"),
        (
            ["flip"],
            "leftover word {}'flip' belongs to no flag; "
            "write --name=value, and --flip=false for a switch",
        ),
        (
            ["--flip", "false"],
            "leftover word {}'false' belongs to no flag; "
            "write --name=value, and --flip=false for a switch",
        ),
        (["--noflip=1"], "bad value {}--noflip takes no value, got '1'; write --flip=..."),
        (["--flip=ja"], "bad value {}--flip must be true or false, got 'ja'; see --help"),
        (["--seed"], "bad value {}--seed needs a value; write --seed=..."),
        (["--l2=x"], "bad value {}--l2 must be a number, got 'x'; see --help"),
        (["--section=a"], "unknown section {}there is no [a]; give a --flagfile that has it"),
        (
            ["--flagfile=no.cfg"],
            "unreadable flagfile {}no.cfg: No such file or directory; "
            "paths start at the working folder",
        ),
        (
            ["--crop_size=300"],
            "bad value {}--crop_size must be at most --short_side, got 300 and 260; see --help",
        ),
    ],
)
@pytest.mark.fault(73)
def test_refuses_on_the_command_line(arguments, message):
    refused(message.format("in the command line - "), *arguments)


def test_refuses_unknown_sections_and_lists_those_there_are():
    write("f.cfg", "--seed=1", "[digits]", "[folder]")
    write("g.cfg", "--section=typo", "[digits]")
    write("h.cfg", "--section=digits")
    what, remedy = "unknown section in", "choose from [digits], [folder]"
    message = f"{what} the command line - there is no [digit]; {remedy}"
    refused(message, "--flagfile=f.cfg", "--section=folder,digit")
    refused(f"{what} g.cfg:1 - there is no [typo]; choose from [digits]", "--flagfile=g.cfg")
    message = f"{what} h.cfg:1 - there is no [digits]; give a --flagfile that has it"
    refused(message, "--flagfile=h.cfg")


def test_refuses_flagfiles_in_a_cycle(folder):
    write("a.cfg", "--flagfile=b.cfg")
    write("b.cfg", "# back again", "--flagfile=a.cfg")
    why = f"{folder.resolve()}/a.cfg is being read already"
    refused(f"flagfile cycle in b.cfg:2 - {why}; remove this line", "--flagfile=a.cfg")


def test_two_flags_that_clash_name_both_places():
    write("f.cfg", "--short_side=150")
    why = "--crop_size must be at most --short_side, got 160 and 150"
    message = f"bad value in the command line and f.cfg:1 - {why}; see --help"
    refused(message, "--flagfile=f.cfg", "--crop_size=160")


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("model", "", "a name, got ''"),
        ("validation_fraction", 1.0, "in (0, 1), got 1.0"),
        ("image_size", 0, "at least 1, got 0"),
        ("brightness", 256.0, "in [0, 255], got 256.0"),
        ("contrast_min", 2.0, "at most --contrast_max, got 2.0 and 1.8"),
        ("contrast_max", float("inf"), "finite, got inf"),
        ("l2", -0.5, "at least 0, or -1, got -0.5"),
        ("learning_rate", 0.0, "above 0, got 0.0"),
        ("learning_rate", -0.1, "above 0, got -0.1"),
        ("learning_rate", float("nan"), "finite, got nan"),
        ("ema_decay", 1.0, "in [0, 1), got 1.0"),
        ("seed", 2**31, "in [0, 2147483647], got 2147483648"),
        ("num_gpus", -1, "at least 0, got -1"),
        ("weights", "emma", "ema or raw, got 'emma'"),
        ("checkpoint", "", "auto or best or last, got ''"),
    ],
)
def test_a_config_refuses_a_value_outside_its_rule(name, value, rule):
    with pytest.raises(ValueError, match=f"^{re.escape(f'--{name} must be {rule}.')}$"):
        Config(**{name: value})
    refused(
        f"bad value in the command line - --{name} must be {rule}; see --help", f"--{name}={value}"
    )


def test_help_lists_our_flags_only_and_exits_with_0(capsys):
    with pytest.raises(SystemExit, match=r"^0$"):
        parse(["folder/train.py", "--flagfile=missing.cfg", "--help"])
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0].startswith("usage: train.py ")
    assert max(map(len, lines)) <= 80
    assert re.findall(r"^  --(\w+)", out, re.MULTILINE) == list(config.FIELDS)
    assert re.findall(r"^(\w+):$", out, re.MULTILINE) == [
        *(
            "Data",
            "Model",
            "Training",
            "Run",
            "Devices",
            "Evaluation",
            "Prediction",
            "Export",
            "Other",
        )
    ]
    assert err == ""


def test_every_flag_has_a_help_text():
    assert all(field.metadata["text"] for field in dataclasses.fields(Config))


def test_a_flagfile_has_every_flag_but_those_of_one_command():
    names = re.findall(r"^--(\w+)=", config.to_flagfile(Config()), re.MULTILINE)
    assert set(config.KINDS.values()) == {"", "recorded", "model option", "one command"}
    assert names == [name for name, kind in config.KINDS.items() if kind != "one command"]
    assert {*config.RECORDED, *config.MODEL_OPTIONS} < set(names)


@pytest.mark.parametrize("path", ["a b", "a # b", "a\n[b]", ' "a" ', "#", "花", "\udce9", ""])
def test_a_written_flagfile_runs_it_again(path):
    first = Config(
        train_data_path="x" + path,
        test_data_path=path,
        learning_rate=1 / 3,
        flip=False,
        seed=2**31 - 1,
        section="a",
        log_path="runs/a",
        checkpoint_dir="c",
        eval_dir="e",
        debug=True,
    )
    write("flags.cfg", config.to_flagfile(first))
    again = dataclasses.replace(
        first, section="", log_path="", checkpoint_dir="", eval_dir="", debug=False
    )
    assert run("--flagfile=flags.cfg") == again


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"train_data_path": "digits"}, "runs/digits-inception10"),
        ({"train_data_path": "/data/birds/", "model": "densenet"}, "runs/birds-densenet"),
        ({"train_data_path": "birds/labels.csv"}, "runs/labels.csv-inception10"),
        ({"log_path": "elsewhere"}, "elsewhere"),
    ],
)
def test_run_folder(settings, expected):
    assert config.run_folder(Config(**settings)) == expected


@pytest.mark.parametrize("section", ["", "digits", "fashion_mnist", "folder"])
def test_the_config_file_of_the_project(section):
    got = run(f"--flagfile={ROOT / 'config.cfg'}", *([f"--section={section}"] if section else []))
    assert got.log_path == f"runs/{section or 'digits'}"


def test_app_run_takes_it_and_tensorflow_stays_out():
    code = """if True:
        import sys
        from absl import app
        from hw2.config import settings

        def main(config):
            print(config.seed, "tensorflow" in sys.modules)

        app.run(main, flags_parser=settings.parse)
    """
    done = subprocess.run(
        [sys.executable, "-c", code, "--seed=5"],
        env={"PYTHONPATH": str(ROOT), "LC_ALL": "C"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("5 False\n", "", 0)
