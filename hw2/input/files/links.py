"""Symbolic links that lead out of the folder that a user named."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence

from hw2.input.files.names import shown

REMEDY = "--allow_outside_links follows it"


def leads_out(root: str, path: str) -> bool:
    """Whether a path, its links resolved, lies outside of the root."""
    base = os.path.realpath(root)
    return os.path.commonpath([base, os.path.realpath(path)]) != base


def refused(root: str, names: Sequence[str], where: str) -> dict[int, str]:
    """Finds files below a root that links lead out of, with the reason to refuse each.

    Args:
      root: The folder that names are relative to.
      names: Names of files that may be links, or lie in linked folders.
      where: What messages call the root.

    Returns:
      Reason and remedy, by the index of the file.

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
    """Returns the reason why a link is not followed, and the remedy."""
    return f"link out of {where}, to {shown(os.path.realpath(path))}; {REMEDY}"
