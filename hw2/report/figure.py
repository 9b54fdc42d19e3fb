"""Figures as SVG that takes the colours of the page."""

from __future__ import annotations

import dataclasses
import html
import io
import re
import warnings
from collections.abc import Sequence
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Written by matplotlib, replaced by the page's own colours, which follow its theme.
INK = "#0a0b0c"
SERIES = ("#c00001", "#c00002", "#c00003", "#c00004", "#c00005", "#c00006")
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # letters as text: smaller, searchable, in the page's font
    "svg.hashsalt": "hw2",  # the same figure is the same bytes
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.15,
    "legend.frameon": False,
    **dict.fromkeys(
        (
            "text.color",
            "axes.labelcolor",
            "axes.edgecolor",
            "xtick.color",
            "ytick.color",
            "grid.color",
        ),
        INK,
    ),
}


@dataclasses.dataclass(frozen=True)
class Drawing:
    """A figure of the page: `body` is HTML, `alt` describes it to those who cannot see it."""

    title: str
    body: str
    alt: str
    caption: str = ""


def panel(width: float = 4.0, height: float = 3.0) -> tuple[Figure, Axes]:
    """Makes an empty figure with one pair of axes; 4 inches fill the width of a phone."""
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        return figure, figure.subplots()


def panels(rows: int, columns: int, width: float, height: float, **options) -> tuple[Figure, list]:
    """Makes an empty figure with several axes, row by row."""
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        return figure, list(figure.subplots(rows, columns, squeeze=False, **options).flat)


def svg(figure: Figure, alt: str) -> str:
    """Renders a figure as an SVG element whose colours follow the theme of the page."""
    buffer = io.StringIO()
    with matplotlib.rc_context(_STYLE), warnings.catch_warnings():
        # Letters stay text, which the browser draws in fonts of its own.
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font")
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r'<g id="[^"]*">', "<g>", text)
    for number, colour in enumerate(SERIES, start=1):
        text = text.replace(colour, f"var(--s{number})")
    text = text.replace(INK, "currentColor")
    shorter = re.compile(r"(\d+\.\d{2})\d+")  # of a point, which is 1/72 inch
    text = re.sub(r' d="[^"]*"', lambda path: shorter.sub(r"\1", path[0]), text)
    head = f'<svg role="img" aria-label="{html.escape(alt)}"'
    first = re.compile(r'<svg (.*?)width="[^"]*"', re.DOTALL)
    # By a function, since a backslash of a name would mean something in a replacement text.
    return first.sub(lambda found: f"{head} {found[1]}", text, count=1).replace("\n", " ")


def legend(axes: Axes, columns: int = 2) -> None:
    """Puts a legend above the axes, where it covers nothing. Dollars in a label are no formula."""
    made = axes.legend(
        fontsize=9.5,
        frameon=False,
        labelcolor=INK,
        ncols=columns,
        loc="lower left",
        bbox_to_anchor=(-0.02, 1),
        borderaxespad=0.1,
        columnspacing=1,
        handlelength=1.5,
    )
    for text in made.get_texts():
        text.set_parse_math(False)


def mark(axes: Axes, steps: Sequence[int], colour: str, label: str, style: str = ":") -> None:
    """Draws vertical lines at steps, with one entry in the legend."""
    for number, step in enumerate(steps):
        axes.axvline(
            step, color=colour, linestyle=style, linewidth=1, label="" if number else label
        )
