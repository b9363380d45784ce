"""The command line: `zdlib train | evaluate | score | predict | convert | info | data | bench`."""

import argparse
import sys
from collections.abc import Sequence

from zdlib.apps import (
    bench_command,
    data_commands,
    evaluate_command,
    model_commands,
    predict_command,
    score_command,
    train_command,
)
from zdlib.apps.commands import Commands
from zdlib.errors import ZDError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status. A `ZDError` is printed as one line."""
    options = _parser().parse_args(arguments)
    try:
        return options.run(options) or 0
    except ZDError as error:
        print(f"zdlib: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt as stop:
        if hasattr(stop, "status"):  # training, with its state saved
            print(f"zdlib: {stop}", file=sys.stderr)
            return int(stop.status)
        print("zdlib: interrupted; files already written are complete", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="zdlib", description="Metric depth from single pictures.")
    commands = Commands(parser)
    commands.begin_group("train and evaluate")
    train_command.add_parser(commands)
    evaluate_command.add_parser(commands)
    score_command.add_parser(commands)
    commands.begin_group("use a network")
    predict_command.add_parser(commands)
    model_commands.add_parsers(commands)
    commands.begin_group("data")
    data_commands.add_parser(commands)
    commands.begin_group("measure")
    bench_command.add_parser(commands)
    return parser
