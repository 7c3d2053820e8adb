"""The command line."""

__all__ = ["main"]


def main() -> None:
    """Run the command line and exit with one of the codes of `macforge.exits`."""
    from macforge.cli.app import main

    main()
