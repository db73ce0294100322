"""The command line: one file per command; each parses, calls one library function, and formats."""

from __future__ import annotations


def main() -> None:
    """Runs the command line; the entry point `unitune`."""
    from unitune.cli.app import app

    app(prog_name="unitune")
