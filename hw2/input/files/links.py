"""Links that lead out of the folder that a user named."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence

from hw2.input.files.names import shown

REMEDY = "--allow_outside_links follows it"


def leads_out(root: str, path: str) -> bool:
    """Tells whether what a path stands for lies outside of the root."""
    base = os.path.realpath(root)
    return os.path.commonpath([base, os.path.realpath(path)]) != base


def refused(root: str, names: Sequence[str], where: str) -> dict[int, str]:
    """Why some files below a root must not be opened, by their index, and the remedy.

    Args:
      root: The folder that names start from.
      names: Of files that may be links, or lie in folders that are.
      where: What to call the root.

    Cost: two microseconds a file, and more for each folder and link.
    """
    folder_leads_out = functools.cache(lambda folder: leads_out(root, folder))
    found = {}
    for index, name in enumerate(names):
        path = os.path.join(root, name)
        if os.path.islink(path) and os.path.exists(path):  # a dangling one leads nowhere
            out = leads_out(root, path)
        else:
            out = folder_leads_out(os.path.dirname(path))
        if out:
            found[index] = reason(path, where)
    return found


def reason(path: str, where: str = "the root") -> str:
    """Why a link is not followed, and the remedy."""
    return f"link out of {where}, to {shown(os.path.realpath(path))}; {REMEDY}"
