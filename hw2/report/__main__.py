"""`python -m hw2.report` is the command in hw2/commands/report.py."""

from hw2.commands.report import main

if __name__ == "__main__":
    main()
