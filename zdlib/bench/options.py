"""The benchmark's options, apart from what measures: a program's `--help` needs no pandas."""

import argparse
from pathlib import Path

from zdlib.bench.cases import CASES

GROUPS = tuple(dict.fromkeys(case.group for case in CASES.values()))


def add_options(made: argparse.ArgumentParser) -> None:
    """Give a parser the benchmark's options; `zdlib bench` has the same."""
    choices = [*GROUPS, "stages", "evaluation", "drift"]
    made.add_argument("--group", action="append", choices=choices, help="which table (default: all); may be repeated")
    made.add_argument("--rounds", type=int, default=5, help="timed runs of each contestant (default 5)")
    made.add_argument("--threads", type=int, default=2, help="CPU threads of each (default 2)")
    made.add_argument("-o", "--out", type=Path, help="folder to write to (default results/bench)")
