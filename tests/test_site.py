"""The site of the docs: built strictly, whole without a network, with every flag in its table."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from hw2.config import settings

ROOT = Path(__file__).parents[1]
FETCHED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src"}


class Page(HTMLParser):
    """What a page fetches, and the cells of its tables' first columns."""

    def __init__(self, text):
        super().__init__()
        self.fetched, self.rows = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag in FETCHED and attributes.get("rel") not in ("next", "prev", "canonical"):
            self.fetched.append(attributes.get(FETCHED[tag]) or "")
        if tag == "tr":
            self.rows.append([])

    def handle_data(self, data):
        if self.rows and data.strip():
            self.rows[-1].append(data.strip())


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Where `make docs` would build it; a broken link, anchor or docstring is an error there."""
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stderr
    return folder


def test_nothing_is_fetched_from_elsewhere(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > 20
    for path in pages:
        found = Page(path.read_text("utf-8")).fetched
        assert found
        for address in found:
            assert "//" not in address, (path.name, address)
            assert path.name == "404.html" or (path.parent / address.partition("?")[0]).exists()
    for style in site.rglob("*.css"):
        assert not re.search(r"url\(['\"]?(https?:)?//|@import", style.read_text("utf-8")), style


def test_every_flag_is_in_the_table(site):
    rows = [row for row in Page((site / "flags.html").read_text("utf-8")).rows if row]
    for name, field in settings.FIELDS.items():
        cells = next(row[1:] for row in rows if row[0] == f"--{name}")
        assert field.metadata["text"] in cells
        assert field.metadata["rule"].words in ["", *cells]
        default = str(field.default)
        assert default in ["", *cells] or default.lower() in cells


@pytest.mark.parametrize(
    ("command", "flags"),
    [
        ("preview", ["--pictures", "--versions"]),
        ("scan", ["--json", "--verify", "--header_only", "--no_cache"]),
        ("shard", ["--part", "--shard_mb"]),
        ("models", ["--num_classes", "--channels"]),
        ("verify", ["--op", "--dtype", "--cases", "--shapes", "--algorithm"]),
    ],
)
def test_so_are_the_flags_of_every_other_command(site, command, flags):
    text = (site / "flags.html").read_text("utf-8")
    _, _, part = text.partition(f'>hw2 {command}<a class="headerlink"')
    table = part.partition("</table>")[0]
    assert [flag for flag in flags if f"<code>{flag}</code>" not in table] == []


def test_the_reference_has_every_op_layer_and_model(site):
    from hw2 import layers, models, ops

    for file, names in (
        ("ops", [name for name in vars(ops) if callable(getattr(ops, name))]),
        ("layers", [name for name in vars(layers) if callable(getattr(layers, name))]),
        ("models", [make.__name__ for make in models.MODELS.values() if hasattr(make, "__name__")]),
    ):
        text = (site / "reference" / f"{file}.html").read_text("utf-8")
        found = set(re.findall(r'id="hw2[\w.]*\.(\w+)"', text))
        assert names
        assert set(names) <= found
