"""`zdlib bench`: the speed study."""

import argparse

from zdlib.apps.commands import Commands
from zdlib.bench.options import add_options


def add_parser(commands: Commands) -> None:
    """Add the command to the program's."""
    timing = commands.add_parser(
        "bench",
        help="time and memory, side by side with other implementations",
        description="Contestants with the same weights take turns in processes of their own; nothing is timed before "
        "their answers agree. Writes results/bench/; some contestants need transformers or the extra export.",
    )
    add_options(timing)
    timing.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from zdlib.bench.__main__ import run  # pandas takes its time: `--help` does without

    run(options)
