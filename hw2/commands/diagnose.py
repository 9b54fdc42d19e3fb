"""What the curves of a training say, in plain words, and what to try.

python -m hw2.commands.diagnose RUN
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from hw2.errors import Fault
from hw2.runs import diagnosis


def main() -> None:
    """Reads the command line, and prints what the curves of a run say."""
    parser = argparse.ArgumentParser(
        prog="python -m hw2.commands.diagnose",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", type=Path, help="run folder of a training, running or finished")
    try:
        for sentence in diagnosis.diagnose_file(parser.parse_args().run / "metrics.csv"):
            print(sentence)
    except Fault as fault:
        print(f"error: {fault}", file=sys.stderr)
        sys.exit(fault.exit_code)


if __name__ == "__main__":
    main()
