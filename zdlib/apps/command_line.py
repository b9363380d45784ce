"""The command line: `zdlib train | evaluate | score | predict | demo | export | convert | info | data | bench`."""

import argparse
import sys
from collections.abc import Sequence

from zdlib.apps import (
    bench_command,
    data_commands,
    demo_command,
    evaluate_command,
    export_command,
    model_commands,
    predict_command,
    score_command,
    train_command,
)
from zdlib.apps.commands import Commands
from zdlib.errors import ZDError
from zdlib.gates.streams import run_quietly, stop_signals


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status. A `ZDError` is printed as one line."""
    return run_quietly("zdlib", lambda: _run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    try:
        with stop_signals():
            options = _parser().parse_args(arguments)
            return options.run(options) or 0
    except ZDError as error:
        print(f"zdlib: {error}", file=sys.stderr)
        return error.exit_status
    except OSError as error:
        if error.filename is None:  # the output, perhaps
            raise
        path = str(error.filename)[:200]
        print(f"zdlib: {path}: cannot be used ({error.strerror}): correct the name or its rights", file=sys.stderr)
        return 1
    except MemoryError:
        print("zdlib: more memory is needed than there is: free some, or give smaller inputs", file=sys.stderr)
        return 1
    except KeyboardInterrupt as stop:
        if hasattr(stop, "status"):  # a signal; of training, with its state saved
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
    demo_command.add_parser(commands)
    export_command.add_parser(commands)
    model_commands.add_parsers(commands)
    commands.begin_group("data")
    data_commands.add_parser(commands)
    commands.begin_group("measure")
    bench_command.add_parser(commands)
    return parser
