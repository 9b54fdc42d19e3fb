"""A page with a table, which contains everything it needs."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #ffffff; --line: #d5dae0;
  --head: #eef1f5; --bad: #b3261e; --bar: #5b8def; --quiet: #5a636e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e3e7ec; --paper: #15181c; --line: #363d46;
  --head: #20252b; --bad: #ff8a80; --bar: #4f7fd9; --quiet: #a0a9b4; } }
body { margin: 2rem auto; max-width: 75rem; padding: 0 1rem; color: var(--ink);
  background: var(--paper); font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; }
p { max-width: 45rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .7rem; border-bottom: 1px solid var(--line); text-align: left;
  white-space: nowrap; }
th { background: var(--head); position: sticky; top: 0; }
td.long { white-space: normal; min-width: 20rem; }
tr.bad td { color: var(--bad); }
.bar { display: inline-block; height: .6rem; border-radius: 2px; background: var(--bar);
  vertical-align: middle; margin-right: .4rem; }
.quiet { color: var(--quiet); }
"""
LONG = 40  # characters of a cell that may be broken into lines


def table(
    title: str, about: str, heads: Sequence[str], rows: Iterable[tuple[Sequence[str], bool]]
) -> str:
    """Returns the HTML of a page with one table.

    Args:
      title: Of the page.
      about: The paragraph before the table.
      heads: Of the columns.
      rows: The cells of each row, and whether it is right; others are red.
    """
    return page(title, about, of_table(heads, rows))


def page(title: str, about: str, body: str) -> str:
    """Returns the HTML of a page; title and paragraph are text, and the body is HTML."""
    title, about = html.escape(title), html.escape(about)
    return (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8">\n<title>{title}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>{STYLE}</style>\n<main>\n<h1>{title}</h1>\n<p>{about}</p>\n{body}\n</main>\n</html>\n"
    )


def of_table(heads: Sequence[str], rows: Iterable[tuple[Sequence[str], bool]]) -> str:
    """Returns the HTML of a table; arguments as for `table`."""
    lines = ["<tr>" + "".join(f"<th>{html.escape(head)}</th>" for head in heads) + "</tr>"]
    for cells, right in rows:
        mark = "" if right else ' class="bad"'
        lines.append(f"<tr{mark}>" + "".join(map(_cell, cells)) + "</tr>")
    return '<div class="wide" tabindex="0"><table>\n' + "\n".join(lines) + "\n</table></div>"


def bar(share: float, text: str) -> str:
    """A cell with a bar before its text; to be a cell of `of_table`.

    Args:
      share: Length of the bar, in [0, 1].
      text: What stands behind it.
    """
    return f"{_BAR}{share:.3f} {text}"


_BAR = "\0"


def _cell(text: str) -> str:
    if text.startswith(_BAR):
        share, _, rest = text[1:].partition(" ")
        width = f'<span class="bar" style="width:{6 * float(share):.2f}rem"></span>'
        return f"<td>{width}{html.escape(rest)}</td>"
    return f"<td{' class=long' if len(text) > LONG else ''}>{html.escape(text)}</td>"
