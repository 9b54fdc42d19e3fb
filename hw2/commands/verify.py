"""Compares every op with its definition and with TensorFlow.

    hw2 verify
    hw2 verify conv2d fold --dtype=float32,float64
    hw2 verify --shapes=random --cases=500 --seed=1 --json

`python -m hw2.ops.verify --help` explains the columns of the table. Exits with 1 if an error of
ours is out of bounds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from hw2.commands.command import Command, Own, split
from hw2.config.settings import Config, at_least, one_of, setting
from hw2.errors import UsageError


def _verify(config: Config, own: Own) -> int:
    from hw2 import ops  # imports TensorFlow
    from hw2.ops.verify.__main__ import DTYPES, main
    from hw2.ops.verify.cases import OPS

    names, dtypes = [*own.rest, *split(own.op)], split(own.dtype)
    _check("op", names, OPS)
    _check("dtype", dtypes, DTYPES)
    _check("algorithm", [own.algorithm], ["auto", *ops.ALGORITHMS])
    words = [f"--{name}={getattr(own, name)}" for name in ("shapes", "cases", "seed", "algorithm")]
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
        "json": setting(False, "print JSON instead of the table"),
    },
    reads=("debug",),
)
