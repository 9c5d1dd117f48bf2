"""Runs the command with `python -m normlab`."""

from normlab.cli import main

if __name__ == "__main__":
    main()
