"""The arrows of the design: who may import whom."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "hw2"

EVALUATION = {
    "config",
    "console",
    "dataset",
    "identity",
    "input",
    "ops",
    "run_folder",
    "training",
}
# What each part may import of hw2, besides itself and hw2.errors.
ALLOWED = {
    "ops": set(),
    "layers": {"ops"},
    "models": {"layers", "ops"},
    "input": {"console"},
    "config": {"flagfile", "presets"},
    "flagfile": set(),
    "presets": set(),
    "training": {"ops"},
    "run_folder": {"training"},
    "identity": {"config", "input", "models", "training"},
    "closing": {"run_folder", "training"},
    "answer": set(),
    "cluster": set(),
    "console": set(),
    "dataset": {"config", "input"},
    "evaluation": EVALUATION,
    "prediction": EVALUATION | {"answer", "evaluation"},
    "report": EVALUATION | {"command", "evaluation", "layers", "models"},
    "export": EVALUATION | {"command", "evaluation", "prediction"},
}
COMMANDS = {  # run, never imported: they may read flags as the scripts at the root do
    "input/preview.py": {"command", "config", "dataset", "identity"},
    "models/__main__.py": {"command", "console"},
}


def imported(file: Path) -> set[str]:
    """Parts of hw2 that a file imports."""
    parts = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        parts |= {name.split(".")[1] for name in names if name.startswith("hw2.")}
    return parts - {"errors", "__version__"}


@pytest.mark.parametrize("part", ALLOWED)
def test_arrows_point_one_way(part):
    files = [*ROOT.glob(f"{part}.py"), *(ROOT / part).rglob("*.py")]
    assert files
    for file in files:
        allowed = ALLOWED[part] | COMMANDS.get(file.relative_to(ROOT).as_posix(), set())
        assert imported(file) - {part} <= allowed, file


def test_commands_are_not_imported():
    for file in ROOT.rglob("*.py"):
        words = file.read_text("utf-8")
        for name in COMMANDS:
            folder, command = name.removesuffix(".py").split("/")
            assert not re.search(rf"from hw2\.{folder} import .*\b{command}\b", words), file
            assert f"hw2.{folder}.{command} import" not in words, file


def test_settings_need_no_tensorflow():
    code = "import sys, hw2, hw2.config, hw2.command; sys.exit('tensorflow' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT.parent)
