"""Compiles source/*.cc into one library, and keeps it in the user's cache folder."""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import filelock
import tensorflow as tf

from hw2 import cores
from hw2.ops.direct import cache, cpu
from hw2.ops.direct.unavailable import Unavailable

SOURCE = Path(__file__).with_name("source")
COMPILERS = ("c++", "g++", "clang++")
SANITIZE = "HW2_DIRECT_SANITIZE"  # set in a process that is to load the kernel with sanitizers
WAIT = 300  # seconds for another process to finish its build; one takes less than a minute
_FLAGS = ("-std=c++17", "-fPIC", "-ffp-contract=fast", "-w")
_FAST = ("-O3",)
# -O1 keeps what a report names, and compiles in seconds.
# The last two let GCC take addresses of templates for constants, as Abseil's headers ask it to.
_SANITIZED = (
    *("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"),
    "-fno-sanitize=null,nonnull-attribute,returns-nonnull-attribute",
    "-fdelete-null-pointer-checks",
)
_ERROR_LINES = 3  # of a compiler's error, that are repeated


class Compiler(NamedTuple):
    """A compiler of C++: the command, with options if `$CXX` has some, and its version."""

    command: tuple[str, ...]
    version: str


def compiler() -> Compiler:
    """Finds `$CXX`, or the first of `COMPILERS` on the PATH.

    Raises:
      Unavailable: There is none, or it does not start.
    """
    named = shlex.split(os.environ.get("CXX", ""))
    found = next(filter(None, map(shutil.which, named[:1] or COMPILERS)), None)
    if found is None:
        missing = f"CXX names {named[0]}, which is not there" if named else "there is no compiler"
        raise Unavailable(
            f"{missing} ({', '.join(named[:1] or COMPILERS)} on the PATH)",
            "install one, for example g++, or name one in CXX",
        )
    command = (found, *named[1:])
    try:
        version = _run([*command, "--version"])
    except _Failed as error:
        raise Unavailable(
            f"the compiler {found} does not work: {error}", "mend it, or name another one in CXX"
        ) from None
    return Compiler(command, version.splitlines()[0] if version else "")


def library(isa: str, *, sanitize: bool = False) -> Path:
    """Returns the path of the compiled kernel; builds it unless the cache has it.

    Of several processes one builds, and the others wait. The file is put in place whole, so that
    nothing is left of a build that was stopped but a folder, which the next build removes.

    Args:
      isa: One of `cpu.SETS`.
      sanitize: Whether the kernel stops where it reads beside its memory, or does what C++ does
        not define; slow.

    Raises:
      Unavailable: There is no compiler, no cache folder to write to, or an error in compiling.
    """
    found = compiler()
    flags = (*_FLAGS, *(_SANITIZED if sanitize else _FAST), *cpu.SETS[isa].flags)
    folder = cache.folder()
    if folder is None:
        raise Unavailable("there is no home folder", f"name a folder in {cache.VARIABLE}")
    path = folder / f"direct-{isa}-{_key(found, flags)}.so"
    if path.exists():
        return path
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(folder / "direct.lock", timeout=WAIT):
            if not path.exists():  # else another process has built it meanwhile
                for left in folder.glob("building-*"):  # by a process that was killed
                    shutil.rmtree(left, ignore_errors=True)
                print(
                    "building the convolution kernel (about half a minute, once) ...",
                    file=sys.stderr,
                    flush=True,
                )
                _build(found, flags, path)
    except filelock.Timeout:
        raise Unavailable(
            f"another process has been building it in {folder} for {WAIT} seconds",
            "see what it does, and start again",
        ) from None
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise Unavailable(
            f"the cache folder {folder} cannot be written: {why}",
            f"make it writable, or name another one in {cache.VARIABLE}",
        ) from None
    return path


def sources() -> list[Path]:
    """The files that are compiled, and those that they include."""
    return sorted(p for p in SOURCE.iterdir() if p.suffix in (".cc", ".h"))


def version() -> str:
    """Names the sources: a few letters that are others when one of them has changed."""
    return _digest([]).hexdigest()[:8]


def _build(found: Compiler, flags: tuple[str, ...], path: Path) -> None:
    """Compiles all files at once, links them, and puts the library in its place."""
    of_tensorflow = tf.sysconfig.get_compile_flags()
    with tempfile.TemporaryDirectory(dir=path.parent, prefix="building-") as name:
        folder = Path(name)

        def compiled(file: Path) -> Path:
            to = folder / f"{file.stem}.o"
            _run([*found.command, *of_tensorflow, *flags, "-c", str(file), "-o", str(to)])
            return to

        made = folder / path.name
        try:
            with ThreadPoolExecutor(cores.usable()) as pool:
                objects = list(pool.map(compiled, [p for p in sources() if p.suffix == ".cc"]))
            _run([*found.command, *flags, "-shared", *map(str, objects), "-o", str(made), *_link()])
        except _Failed as error:
            raise Unavailable(
                f"{found.command[0]} fails to compile the kernel: {error}",
                "name another compiler in CXX, such as g++ 11 or later",
            ) from None
        cache.replace(made, path)


def _link() -> list[str]:
    undefined = ["-undefined", "dynamic_lookup"] if sys.platform == "darwin" else []
    return [*tf.sysconfig.get_link_flags(), *undefined]


def _key(found: Compiler, flags: tuple[str, ...]) -> str:
    """Differs whenever the library would; not by where TensorFlow is installed."""
    defines = [f for f in tf.sysconfig.get_compile_flags() if not f.startswith("-I")]
    words = [tf.version.VERSION, tf.version.GIT_VERSION, *found.command, found.version]
    return _digest([*words, *flags, *defines]).hexdigest()[:16]


def _digest(words: list[str]) -> hashlib._Hash:
    digest = hashlib.sha256("\0".join(words).encode())
    for file in sources():
        digest.update(f"\0{file.name}\0".encode() + file.read_bytes())
    return digest


class _Failed(Exception):
    """A command that did not start or did not succeed; the message is what it said first."""


def _run(command: list[str]) -> str:
    """Returns what a command prints."""
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            env={**os.environ, "LC_ALL": "C"},
        )
    except OSError as error:
        raise _Failed((error.strerror or str(error)).lower()) from None
    if done.returncode:
        said = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        errors = [line for line in said if "error" in line] or said
        raise _Failed(" | ".join(errors[:_ERROR_LINES]) or f"exit code {done.returncode}")
    return done.stdout
