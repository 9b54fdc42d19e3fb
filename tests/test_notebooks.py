"""The notebooks run from the first cell to the last, on the data of this machine and without it."""

import os
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "notebooks"
NAMES = sorted(path.name for path in FOLDER.glob("*.ipynb"))
FASHION = "/usr/share/datasets/fashion-mnist"


def read(name):
    found = nbformat.read(FOLDER / name, 4)
    nbformat.validate(found)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_is_committed_without_what_it_prints(name):
    found = read(name)
    code = [cell for cell in found.cells if cell.cell_type == "code"]
    assert [cell.outputs for cell in code] == [[]] * len(code)
    assert {cell.execution_count for cell in code} == {None}
    assert found.metadata.kernelspec.name == "python3"
    assert f"(notebooks/{name})" in (ROOT / "docs" / "notebooks.md").read_text("utf-8")


def test_all_begin_with_the_same_installation():
    firsts = {next(c.source for c in read(name).cells if c.cell_type == "code") for name in NAMES}
    [first] = firsts
    assert '"pip", "install"' in first


def test_a_change_of_a_layer_is_trained_under_its_own_name():
    cells = read("your_own_layer.ipynb").cells
    [source] = [cell.source for cell in cells if "def trained_run" in cell.source]
    seen = []
    names = {
        "Config": lambda **settings: settings["log_path"],
        "Path": Path,
        "presets": SimpleNamespace(values=lambda *_: {}),
        "train": SimpleNamespace(train=seen.append),
    }
    exec(source, names)
    names["trained_run"]("with_contrast", name="half")
    assert seen == ["runs/without_contrast", "runs/with_contrast", "runs/half"]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Jupyter's own libraries
@pytest.mark.parametrize(
    ("name", "fashion"),
    [*((name, FASHION) for name in NAMES), ("from_pictures_to_a_report.ipynb", "/nowhere")],
)
def test_a_notebook_runs_from_the_first_cell_to_the_last(name, fashion, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", os.defpath)  # as where no environment is activated
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    found = read(name)
    for cell in found.cells:
        cell.source = cell.source.replace(FASHION, fashion)
    work = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(found, timeout=600, kernel_name="python3", resources=work).execute()
    drawn = [
        output
        for cell in found.cells
        for output in cell.get("outputs", ())
        if "image/png" in output.get("data", ())
    ]
    assert len(drawn) >= 3
