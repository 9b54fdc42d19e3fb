"""The example of a hook in the docs, run as it stands."""

import runpy
import sys
from pathlib import Path

import pytest

from hw2.terminal import noise
from tests.training.tiny import FLAGS

DOCS = Path(__file__).parents[2] / "docs"


def test_a_hook_of_your_own(train, tmp_path, monkeypatch, capsys):
    [code] = [
        part.split("```")[0] for part in (DOCS / "training.md").read_text().split("```python")
    ][1:]
    lines = [line for line in code.splitlines() if line.strip()]
    assert len(lines) == 5
    script = tmp_path / "hooked.py"
    script.write_text(code)
    flags = [*FLAGS, "--max_steps=3", f"--log_path={tmp_path / 'run'}"]
    monkeypatch.setattr(sys, "argv", ["hooked.py", *flags])
    monkeypatch.setattr(noise, "quiet_tensorflow", lambda: None)
    with pytest.raises(SystemExit) as left:
        runpy.run_path(str(script))
    assert left.value.code == 0
    printed = [line.split() for line in capsys.readouterr().out.splitlines()[:3]]
    assert [step for step, _ in printed] == ["1", "2", "3"]
    assert all(0 < float(loss) < 10 for _, loss in printed)
