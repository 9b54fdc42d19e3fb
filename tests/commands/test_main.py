"""The `hw2` command: its list, its dialect, and how it refuses."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from hw2.commands import main, recipes
from hw2.config import choices, flagfile, settings
from hw2.input.sources import builtin

ROOT = Path(__file__).parents[2]


def of(name):
    return importlib.import_module(f"hw2.commands.{name}").COMMAND


def test_help_lists_every_command_in_one_line(command, capsys):
    assert command("--help") == 0
    out = capsys.readouterr().out
    for name, text in main.COMMANDS.items():
        assert f"  {name:<17} {text}" in out.splitlines()
        assert text == of(name).about.splitlines()[0]
    assert max(map(len, out.splitlines())) <= 80
    assert command() == 0
    assert capsys.readouterr().out == out


def test_every_file_of_the_folder_is_a_command_or_serves_them():
    files = {path.stem for path in (ROOT / "hw2" / "commands").glob("*.py")}
    helpers = {"__init__", "command", "launch", "main", "near_duplicates", "recipes"}
    assert files - main.COMMANDS.keys() == helpers


def test_the_version(command, capsys):
    assert command("--version") == 0
    assert capsys.readouterr().out.startswith("hw2 0.")


@pytest.mark.parametrize("name", main.COMMANDS)
def test_help_of_a_command_is_its_docstring_then_its_flags(name, command, capsys):
    assert command(name, "--seed=1", "--help") == 0
    out = capsys.readouterr().out
    assert out.startswith(of(name).about.rstrip())
    for flag in of(name).flags:
        assert f"\n  --{flag}=" in out
    assert "--flagfile" in out
    assert f"    hw2 {name} " in out or f"    hw2 {name}\n" in out


FLAG, VALUE = "unknown flag in the command line - ", "bad value in the command line - "
NO_RUN = "no run folder given - give one, such as runs/digits"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "trian",
            "unknown command in the command line - there is no hw2 trian; did you mean hw2 t",
        ),
        ("zzz", "unknown command in the command line - there is no hw2 zzz; see hw2 --help"),
        ("scan . --jsn", FLAG + "there is no --jsn; did you mean --json?"),
        ("scan . --zzz", FLAG + "there is no --zzz; see --help"),
        ("shard a b --shard_mb", VALUE + "--shard_mb needs a value; write --shard_mb=..."),
        ("shard a b --shard_mb=x", VALUE + "--shard_mb must be a whole number, got 'x'; see"),
        ("shard a b --shard_mb=0", VALUE + "--shard_mb must be at least 1, got 0; see --help"),
        ("scan --json=ja", VALUE + "--json must be true or false, got 'ja'; see --help"),
        ("scan a b", "leftover word in the command line - 'b' belongs to no flag; write --name="),
        ("shard a", "two paths must be given, the data and a new folder - hw2 shard PATH OUT"),
        ("scan", "no data in the command line - name it first; a folder, or digits"),
        ("preview", "no data in the command line - name it first; a folder, or digits"),
        ("report", NO_RUN),
        ("export", NO_RUN),
        ("diagnose", NO_RUN),
        ("models zzz", "no model zzz - it must be one of inception10, "),
        ("models --json --layers", "--json and --layers must not both be given"),
        ("verify --op=zzz", "--op must be one of "),
        ("verify --dtype=zzz", "--dtype must be one of float16, bfloat16, float32, float64, got"),
        ("verify --algorithm=zzz", "--algorithm must be one of auto, "),
    ],
)
def test_mistakes_are_one_line_and_exit_with_1(words, message, command, capsys):
    assert command(*words.split()) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"error: {message}")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "words", "expected"),
    [
        ("train", ["PATH"], {"train_data_path": "PATH"}),
        ("train", ["--seed", "3", "PATH", "--noflip"], {"train_data_path": "PATH", "seed": 3}),
        ("train", ["--flip", "PATH"], {"train_data_path": "PATH", "flip": True}),
        ("train", ["--", "--PATH"], {"train_data_path": "--PATH"}),
        ("train", ["PATH", "--train_data_path=OTHER"], {"train_data_path": "OTHER"}),
        ("multi_gpu_train", ["PATH"], {"train_data_path": "PATH"}),
        ("preview", ["PATH", "--output=x.png"], {"train_data_path": "PATH", "output": "x.png"}),
        ("scan", ["PATH", "--min_size=3"], {"train_data_path": "PATH", "min_size": 3}),
        ("shard", ["PATH", "OUT"], {"train_data_path": "PATH", "output": "OUT"}),
        ("eval", ["RUN"], {"checkpoint_dir": "RUN"}),
        ("predict", ["RUN", "PICTURES"], {"checkpoint_dir": "RUN", "data": "PICTURES"}),
        ("predict", ["RUN", "--data=P", "--output", "-"], {"data": "P", "output": "-"}),
        ("export", ["--format=onnx", "RUN"], {"checkpoint_dir": "RUN", "format": "onnx"}),
        ("report", ["--checkpoint_dir=RUN"], {"checkpoint_dir": "RUN"}),
        ("diagnose", ["RUN"], {"checkpoint_dir": "RUN"}),
    ],
)
def test_words_stand_for_flags(name, words, expected):
    config, _ = of(name).parse([f"hw2 {name}", *words])
    assert {flag: getattr(config, flag) for flag in expected} == expected


def test_own_flags_and_further_words():
    _, own = of("report").parse(["hw2 report", "ONE", "TWO", "--top_k=3", "THREE"])
    assert own.rest == ["TWO", "THREE"]
    _, own = of("scan").parse(["hw2 scan", "PATH", "--json", "--verify=true", "--noheader_only"])
    assert vars(own) == {
        "rest": [],
        "near_duplicates": False,
        "json": True,
        "verify": True,
        "header_only": False,
        "no_cache": False,
    }
    _, own = of("shard").parse(["hw2 shard", "PATH", "--shard_mb", "5", "OUT"])
    assert (own.shard_mb, own.part) == (5, "train")


@pytest.mark.parametrize("name", main.COMMANDS)
def test_every_command_takes_a_flagfile(name, tmp_path):
    (tmp_path / "f.cfg").write_text("--seed=7\n[big]\n--seed=8\n")
    config, _ = of(name).parse(["hw2", f"--flagfile={tmp_path / 'f.cfg'}", "--section=big"])
    assert config.seed == 8


def test_a_built_in_data_set_brings_its_recipe():
    train = of("train")
    config, _ = train.parse(["hw2 train", "digits", "--seed=2"], take_recipe=True)
    recipe = settings.parse(
        ["x", f"--flagfile={ROOT / 'config.cfg'}", "--section=digits", "--seed=2"]
    )
    assert vars(config) == {**vars(recipe), "section": "digits"}
    for words in (["digits"], ["./digits"], ["digits", "--flagfile=/dev/null"]):
        config, _ = train.parse(["train.py", *words], take_recipe=words != ["digits"])
        assert config.image_size == 100


def test_the_recipes_are_those_of_config_cfg():
    def flags(file, name):
        words = ["x", f"--flagfile={file}", f"--section={name}"]
        options = flagfile.read_options(words, settings.FIELDS.keys(), settings.SWITCHES, str)
        return [(option.name, option.value) for option in options if option.name != "section"]

    assert set(choices.DATA_SETS) == set(builtin.NAMES)
    for name in choices.DATA_SETS:
        assert flags(recipes.FILE, name) == flags(ROOT / "config.cfg", name)


def test_the_scripts_call_the_commands():
    for script in ("train", "multi_gpu_train", "eval", "predict"):
        code = ast.parse((ROOT / f"{script}.py").read_text("utf-8"))
        assert ast.unparse(code.body[-1].body[0]) == f"main.call('{script}')"


def test_help_and_mistakes_need_no_tensorflow():
    code = (
        "import sys\nfrom hw2.commands import main\n"
        "for line in sys.argv[1:]:\n"
        "    try: main.main(['hw2', *line.split()])\n"
        "    except SystemExit: pass\n"
        "sys.exit('tensorflow' in sys.modules)"
    )
    lines = [f"{name} --help" for name in main.COMMANDS] + [
        "models --zzz",
        "verify --zzz",
        "export",
    ]
    lines += ["--help", "trian", "scan", "preview", "report", "shard", "train --seed=x"]
    command = [sys.executable, "-c", code, *lines]
    subprocess.run(command, check=True, cwd=ROOT, capture_output=True)


def test_as_a_module(tmp_path):
    words = [sys.executable, "-m", "hw2", "scan", tmp_path / "none"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith(f"error: no pictures in {tmp_path}/none - no such folder")


@pytest.mark.fault(100)
@pytest.mark.parametrize("dash", ["\N{EM DASH}", "\N{EN DASH}", "\N{MINUS SIGN}\N{MINUS SIGN}"])
def test_a_dash_for_two_hyphens(command, capsys, dash):
    assert command("scan", f"{dash}train_data_path=digits") == 1
    assert capsys.readouterr().err == (
        f"error: unknown flag in the command line - {dash}train_data_path=digits begins with a "
        "dash, and not with two hyphens; type --train_data_path=digits\n"
    )
