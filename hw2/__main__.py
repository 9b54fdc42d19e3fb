"""`python -m hw2` is the `hw2` command."""

from hw2.commands.main import main

if __name__ == "__main__":
    main()
