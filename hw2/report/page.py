"""The HTML page, which contains everything it needs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

from hw2.errors import writing
from hw2.runs import atomic


def render(content: Mapping[str, Any], template: str = "template.html") -> str:
    """Fills a template. All text is escaped, except the body of a drawing, which is HTML."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = lambda value, digits=1: f"{100 * value:.{digits}f} %"
    environment.filters["flags"] = _whole_flags
    environment.filters["shortened"] = shortened
    return environment.get_template(template).render(content)


def _whole_flags(text: str) -> Markup:
    """Prevents line breaks within the names of flags."""
    return Markup(re.sub(r"(--\w+)", r'<span class="flag">\1</span>', str(escape(text))))


def shortened(text: str, most: int = 26) -> str:
    """Shortens a name in its middle, as names of classes often differ only at their end."""
    head = most // 3
    return text if len(text) <= most else f"{text[:head]}…{text[head + 1 - most :]}"


def write(path: Path, text: str) -> None:
    """Writes the page completely, or not at all.

    Raises:
      RunError: The folder cannot be written.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write(path, text.encode("utf-8", "replace"))
