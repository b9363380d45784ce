"""Commands in groups, which `argparse` has for options only."""

import argparse
from typing import Any


class Commands:
    """The subcommands of a program; `--help` lists them under the titles of their groups.

    Args:
        parser: the program's.
    """

    def __init__(self, parser: argparse.ArgumentParser):
        self._parser = parser
        parser.usage = f"{parser.prog} [-h] command ..."
        parser.formatter_class = argparse.RawDescriptionHelpFormatter
        self._actions = parser.add_subparsers(
            required=True, metavar="command", prog=parser.prog, help=argparse.SUPPRESS
        )

    def begin_group(self, title: str) -> None:
        """The commands that follow belong under this title."""
        self._list(f"\n{title}:" if self._parser.epilog else f"{title}:")

    def add_parser(self, name: str, *, help: str, **options: Any) -> argparse.ArgumentParser:
        """A new command.

        Args:
            name: what a user types.
            help: one line in the program's help.
            options: of `argparse.ArgumentParser`.
        """
        self._list(f"  {name:10}{help}")
        return self._actions.add_parser(name, **options)

    def _list(self, line: str) -> None:
        before = f"{self._parser.epilog}\n" if self._parser.epilog else ""
        self._parser.epilog = f"{before}{line}"
