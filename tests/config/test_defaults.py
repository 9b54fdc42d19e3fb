"""The page of the defaults says what they are."""

import re
from pathlib import Path

import pytest

from hw2.config import settings
from hw2.config.settings import FIELDS, Config
from hw2.jobs import settled

PAGE = Path(__file__).parents[2] / "docs" / "defaults.md"
ROW = re.compile(r"\| `(--(\w+)=[^`]*)`([^|]*)\|[^|]+\|[^|]+\|[^|]+\|[^|]+\|")
ROWS = {
    found[2]: found for found in map(ROW.fullmatch, PAGE.read_text("utf-8").splitlines()) if found
}


@pytest.mark.fault(113)
@pytest.mark.fault(131)
def test_our_column_is_what_the_settings_are():
    text = PAGE.read_text("utf-8")
    assert len(ROWS) == len(re.findall(r"^\| `--", text, re.MULTILINE)) > 40
    for name, row in ROWS.items():
        assert row[1] == settings.line(name, FIELDS[name].default)
    left = {name for name, field in FIELDS.items() if field.default == settled.OPEN}
    assert left == settled.CHOSEN_BY.keys() <= ROWS.keys()


def words(name, **given):
    return f"{settled.usual(Config(**given))[name]:g}"


@pytest.mark.fault(115)
def test_the_page_says_what_those_that_are_open_become():
    constant, cosine = {}, {"schedule": "cosine"}
    for name in ("halve_after", "stop_after"):
        number = words(name, **constant)
        assert ROWS[name][3].startswith(f": {number} with a constant rate, 0 (never) with another")
        assert words(name, **cosine) == "0"
    for name in ("sgd", "rmsprop"):
        assert f"{words('momentum', optimizer=name)} for {name}" in ROWS["momentum"][3]
    for name in ("adam", "adagrad"):
        assert f"{words('epsilon', optimizer=name)} for {name}" in ROWS["epsilon"][3]
    assert f": {words('weight_decay', optimizer='adamw')} for adamw" in ROWS["weight_decay"][3]
    for model in ("inception10", "densenet_fine"):
        assert f"{words('l2', model=model).replace('1e-04', '0.0001')} for {model}" in ROWS["l2"][3]
