"""`python -m hw2.models` is the command in hw2/commands/models.py."""

import sys

from hw2.commands.models import main

if __name__ == "__main__":
    sys.exit(main())
