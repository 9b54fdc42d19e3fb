"""The arrows of the design: which room of hw2 imports which, read off the folders.

A folder of hw2 is a room, and so is a folder within it. A file is in the room of its folder, but
for those in `FILES`.
"""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "hw2"

FILES = {
    "cores.py": "cores",
    "errors.py": "errors",
    "input/examples.py": "input/examples",  # what sources give and streams take
    "input/labels.py": "input/examples",
    "__main__.py": "commands",  # the spelling `python -m hw2`
    "ops/fusion.py": "ops/tensors",  # what the kernel and the ops written in TensorFlow share
    "ops/geometry.py": "ops/tensors",
    "ops/tensors.py": "ops/tensors",
    "ops/direct/__main__.py": "ops/verify",  # builds the kernel and verifies it
}
# The floors from the ground up: what each room imports, all of it from floors below its own.
# Everything may import errors. Settings are for jobs and what stands on them.
FLOORS = (
    {
        "cores": set(),
        "errors": set(),
        "ops/tensors": set(),
        "terminal": set(),
    },
    {
        "ops/direct": {"cores", "ops/tensors"},
    },
    {
        "ops": {"ops/direct", "ops/tensors"},
    },
    {
        "config": set(),
        "input/files": set(),
        "input/transforms": set(),
        "layers": {"ops", "ops/tensors"},
        "machines": set(),
        "ops/verify": {"ops", "ops/direct", "ops/tensors"},
        "runs": set(),
    },
    {
        "bench": {"layers", "ops", "ops/tensors", "ops/verify"},
        "drawing": {"ops/tensors"},
        "exercises": {"ops", "ops/tensors", "ops/verify"},
        "input/examples": {"input/files"},
        "models": {"layers", "ops", "ops/tensors"},
        "training": {"machines", "runs"},
    },
    {
        "models/weights": {"models", "runs"},
    },
    {
        "input/scanning": {"cores", "input/examples", "input/files", "runs"},
        "input/stream": {"input/examples", "input/files"},
    },
    {
        "input/sources": {"input/examples", "input/files", "input/scanning"},
    },
    {
        "input": {
            "input/examples",
            "input/files",
            "input/scanning",
            "input/sources",
            "input/stream",
            "input/transforms",
            "runs",
        },
    },
    {
        "jobs": {
            "config",
            "drawing",
            "input",
            "input/examples",
            "input/files",
            "input/scanning",
            "input/sources",
            "input/stream",
            "input/transforms",
            "layers",
            "machines",
            "models",
            "models/weights",
            "ops",
            "ops/tensors",
            "runs",
            "terminal",
            "training",
        },
    },
    {
        "export": {
            "config",
            "input",
            "input/examples",
            "input/files",
            "input/sources",
            "input/transforms",
            "jobs",
            "machines",
            "ops",
            "runs",
            "terminal",
            "training",
        },
        "report": {
            "config",
            "input",
            "input/examples",
            "input/files",
            "input/transforms",
            "jobs",
            "layers",
            "machines",
            "models",
            "ops",
            "ops/tensors",
            "runs",
            "terminal",
            "training",
        },
    },
    {
        "serve": {
            "config",
            "input",
            "input/examples",
            "input/files",
            "input/transforms",
            "jobs",
            "machines",
            "ops",
            "ops/tensors",
            "report",
            "runs",
            "terminal",
            "training",
        },
    },
    {
        "commands": {
            "bench",
            "config",
            "drawing",
            "exercises",
            "export",
            "input",
            "input/examples",
            "input/files",
            "input/scanning",
            "input/sources",
            "input/stream",
            "input/transforms",
            "jobs",
            "machines",
            "models",
            "models/weights",
            "ops",
            "ops/tensors",
            "ops/verify",
            "report",
            "runs",
            "serve",
            "terminal",
        },
    },
)
ARROWS = {room: allowed for floor in FLOORS for room, allowed in floor.items()}


def room_of(file: Path) -> str:
    """The room of a file, "." for hw2 itself."""
    path = file.relative_to(ROOT)
    return FILES.get(path.as_posix(), path.parent.as_posix())


def imported(file: Path) -> set[str]:
    """The rooms that a file imports from."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} imports by dots"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return {room_of(_file(name)) for name in names if name.startswith("hw2.")}


def _file(name: str) -> Path:
    """The file that has a module, or what is imported from it."""
    path = ROOT.parent.joinpath(*name.split("."))
    while path != ROOT.parent:
        if path.with_suffix(".py").is_file():
            return path.with_suffix(".py")
        if path.is_dir():
            return path / "__init__.py"
        path = path.parent
    raise ValueError(f"{name} must be in hw2, there is no such file.")


def test_every_file_is_in_a_room():
    loose = [file.name for file in ROOT.glob("*.py") if room_of(file) == "."]
    assert loose == ["__init__.py"]
    assert {room_of(file) for file in ROOT.rglob("*.py")} - {"."} == ARROWS.keys()
    assert all((ROOT / name).exists() for name in FILES)


@pytest.mark.parametrize("room", ARROWS)
def test_a_room_imports_what_the_table_says(room):
    files = [file for file in ROOT.rglob("*.py") if room_of(file) == room]
    found = set().union(*map(imported, files))
    assert found - {room, "errors", "."} == ARROWS[room]


def test_arrows_point_down():
    below = set()
    for floor in FLOORS:
        for room, allowed in floor.items():
            assert allowed <= below, room
        below |= floor.keys()


def test_settings_need_no_tensorflow():
    code = "import sys, hw2.config.settings, hw2.commands.main"
    code += "; sys.exit('tensorflow' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT.parent)
