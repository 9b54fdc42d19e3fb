"""Compares every op with its definition and with TensorFlow.

    hw2 verify
    hw2 verify conv2d fold --dtype=float32,float64
    hw2 verify --shapes=random --cases=500 --seed=1 --json
    hw2 verify mymodule:conv2d --output=mine.html
    hw2 verify --product=mymodule:matmul --bound=0.01

A word MODULE:FUNCTION is a convolution of yours, and --product your product of matrices within
im2col; either is held against the definition of conv2d. `python -m hw2.ops.verify --help` explains
the columns of the table. Exits with 1 if an error of ours, or of yours, is out of bounds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from hw2.commands.command import Command, Own, split
from hw2.config.fields import setting
from hw2.config.rules import at_least, one_of
from hw2.config.settings import Config
from hw2.errors import UsageError


def _verify(config: Config, own: Own) -> int:
    from hw2 import ops  # imports TensorFlow
    from hw2.jobs import answers
    from hw2.ops.own import is_own
    from hw2.ops.verify.__main__ import DTYPES, main
    from hw2.ops.verify.cases import OPS

    names, dtypes = [*own.rest, *split(own.op)], split(own.dtype)
    mine = [name for name in names if is_own(name)]
    if mine:
        if len(names) > 1 or own.product or own.algorithm != "auto":
            raise UsageError(
                f"{mine[0]} must be verified by itself, got other ops or options beside it; give "
                "a command to each"
            )
        own.algorithm, names = mine[0], ["conv2d"]
    elif own.product:
        if own.algorithm not in ("auto", "im2col"):
            raise UsageError(f"--product must come with im2col, got {own.algorithm}")
        names = names or ["conv2d"]
    if own.output:
        answers.check(own.output, overwrite=config.overwrite)
    _check("op", names, OPS)
    _check("dtype", dtypes, DTYPES)
    if not is_own(own.algorithm):
        _check("algorithm", [own.algorithm], ["auto", *ops.ALGORITHMS])
    told = ("shapes", "cases", "seed", "algorithm", "product", "bound", "output")
    words = [f"--{name}={getattr(own, name)}" for name in told]
    words += ["--op", *names] * bool(names)
    words += ["--dtype", *dtypes] * bool(dtypes)
    words += ["--json"] * own.json
    return main(words)


def _check(flag: str, names: Iterable[str], choices: Collection[str]) -> None:
    """Refuses a name that is none of the choices."""
    for name in names:
        if name not in choices:
            raise UsageError(f"--{flag} must be one of {', '.join(choices)}, got {name!r}")


COMMAND = Command(
    __doc__,
    _verify,
    many=True,
    flags={
        "op": setting("", "ops, with commas between; empty for all"),
        "dtype": setting("", "as float16,float32; empty for float32, or all at random"),
        "shapes": setting("grid", "grid (real layers) or random", one_of("grid", "random")),
        "cases": setting(100, "number of random cases", at_least(1)),
        "seed": setting(0, "of the random shapes, and of all values", at_least(0)),
        "algorithm": setting("auto", "of conv2d"),
        "product": setting("", "MODULE:FUNCTION, your product in im2col"),
        "bound": setting(0.0, "largest error to accept; 0 for rounding", at_least(0)),
        "output": setting("", "also an HTML page, a new file unless --overwrite", path=()),
        "json": setting(False, "print JSON instead of the table"),
    },
    reads=("debug", "overwrite"),
)
