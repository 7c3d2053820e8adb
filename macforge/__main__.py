"""``python -m macforge``: the command line."""

from macforge.cli.app import main

if __name__ == "__main__":
    main()
