"""`python -m hw2.export` is the command in hw2/commands/export.py."""

from hw2.commands.export import main

if __name__ == "__main__":
    main()
