"""Writes any source of pictures as TFRecord shards.

    python -m hw2.commands.shard FOLDER OUT
    python -m hw2.commands.shard LIST.csv OUT --shard_mb=512

The bytes of each picture file are kept as they are; arrays become PNG. `OUT` is then a source
like any other: --train_data_path=OUT.
"""

from __future__ import annotations

import argparse
import os
import sys

from hw2.errors import Fault
from hw2.input import source
from hw2.input.files.names import shown
from hw2.input.files.rules import Rules, default_cache_folder
from hw2.input.sources import shard_writer
from hw2.terminal import progress_bar


def main() -> None:
    """Reads the command line, writes, and says what was written."""
    parser = argparse.ArgumentParser(
        prog="python -m hw2.commands.shard",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("data", help="any source: a folder, a list, arrays, a name")
    parser.add_argument("out", help="a new folder")
    parser.add_argument("--part", default="train", choices=source.PARTS)
    parser.add_argument("--shard_mb", type=int, default=256, help="about the size of a shard")
    parser.add_argument("--on_bad_file", default="error", choices=("error", "skip"))
    options = parser.parse_args()
    try:
        rules = Rules(on_bad_file=options.on_bad_file, cache_folder=default_cache_folder())
        with progress_bar.reporting(f"scanning {shown(options.data)}") as report:
            examples = source.read(options.data, options.part, rules, report=report)
        paths = shard_writer.write(examples, options.out, shard_mb=options.shard_mb)
    except Fault as fault:
        print(f"error: {fault}", file=sys.stderr)
        sys.exit(fault.exit_code)
    for note in examples.notes:
        print(f"note: {note}", file=sys.stderr)
    size = sum(map(os.path.getsize, paths))
    print(f"{len(examples):,} pictures in {len(paths)} shards, {size / 2**20:.1f} MB")


if __name__ == "__main__":
    main()
