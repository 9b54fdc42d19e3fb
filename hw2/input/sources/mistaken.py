"""What users give in place of a data set: archives, addresses, and files of other libraries."""

from __future__ import annotations

import os
import re

from hw2.errors import DataError
from hw2.input.files import stand_ins
from hw2.input.files.names import shown

ARCHIVES = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".zst", ".7z", ".rar")
CONTAINERS = (".h5", ".hdf5", ".mat", ".pkl", ".pickle", ".pt", ".pth", ".parquet", ".arrow")
TABLES = (".xls", ".xlsx", ".ods", ".tsv")
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_VARIABLE = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)\}?|%([A-Za-z_][A-Za-z0-9_]*)%")


def error(path: str, forms: str, *, missing: str = "no such folder") -> DataError:
    """Makes the error about a path that is none of the accepted kinds of data.

    Args:
      path: What was given.
      forms: The remedy where the path itself suggests none: what to give.
      missing: The reason where there is nothing of that name.
    """
    if os.path.isfile(path):
        stand_ins.check(path)
        why, remedy = _file(path, forms)
    elif os.path.lexists(path):
        why, remedy = "neither a file nor a folder", forms
    else:
        why, remedy = _nothing(path, missing, forms)
    return DataError(f"no data in {shown(path)} - {why}; {remedy}")


def _file(path: str, forms: str) -> tuple[str, str]:
    """Returns why a file is no data set, and the remedy."""
    suffix = os.path.splitext(path)[1].lower()
    if suffix == ".csv":
        return "labels without images", (
            f"{forms}; a list of pictures has the header `file,class`, and names with their suffix"
        )
    if suffix in ARCHIVES:
        return "an archive", "unpack it, and give the folder"
    if suffix in CONTAINERS:
        return f"a {suffix} file", "save its images and labels with numpy.save or numpy.savez"
    if suffix in TABLES:
        return f"a {suffix} file", "save it as CSV (UTF-8), with commas"
    return "a file of another kind", forms


def _nothing(path: str, missing: str, forms: str) -> tuple[str, str]:
    """Returns why there is nothing under a path, and the remedy."""
    if address := _ADDRESS.match(path):
        return (
            f"an address ({address[1]}://)",
            "copy the data to a disk, or mount it, and give the path",
        )
    if variable := _VARIABLE.search(path):
        name = variable[1] or variable[2]
        return f"{missing}: {name} is not replaced by its value here", "write the whole path"
    if any(letter in path for letter in "*?"):
        return f"{missing}: patterns are not expanded here", "give a folder"
    return missing, forms
