"""What every peer of train_step.py is given, and what it imports."""

import ast
import sys

import pytest

from tests.benchmarks.conftest import FOLDER


def test_every_peer_gets_the_same_problem(monkeypatch):
    import problem

    given = problem.Problem("auto", "inception10", 2, 8)
    monkeypatch.setattr(sys, "argv", ["peer", *given.flags()])
    assert problem.parsed() == given
    images, labels = given.data()
    again, _ = given._replace(peer="torch").data()
    assert images.shape == (2, 8, 8, 3)
    assert labels.shape == (2,)
    assert (images == again).all()
    with pytest.raises(SystemExit, match="PyTorch has resnet9 here, and no inception10"):
        given.of({"resnet9": None}, "PyTorch")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("auto", ("auto", "float32", False)),
        ("extract_patches_bfloat16", ("extract_patches", "mixed_bfloat16", False)),
        ("im2col_recompute", ("im2col", "float32", True)),
        ("auto_recompute_bfloat16", ("auto", "mixed_bfloat16", True)),
    ],
)
def test_a_peer_of_ours_is_read_from_its_name(name, expected):
    import hw2_peers

    assert hw2_peers.named(name) == expected


@pytest.mark.fault(105)
@pytest.mark.parametrize("program", ["torch_peers", "torch_pipeline"])
def test_a_process_of_pytorch_has_neither_tensorflow_nor_hw2(program):
    found, left = set(), {program}
    while left:
        name = left.pop()
        found.add(name)
        for node in ast.parse((FOLDER / f"{name}.py").read_text("utf-8")).body:
            names = [alias.name for alias in getattr(node, "names", [])]
            if isinstance(node, ast.ImportFrom):
                names = [node.module]
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                tops = {name.partition(".")[0] for name in names}
                left |= {top for top in tops if (FOLDER / f"{top}.py").exists()} - found
                found |= tops
    assert "torch" in found
    assert not found & {"tensorflow", "keras", "hw2", "rich"}
