"""The command line of the benchmark.

    python -m zdlib.bench                      # everything: three quarters of an hour on two quiet cores
    python -m zdlib.bench --group training     # one table

The tables `evaluation` and `drift` want the demo's data and checkpoints (`./run_all.sh`).

Writes `results/bench/<group>.csv` and `<group>.json` (hardware, versions, commit, the machine's matrix peak). Notebook
10 and the README's section are made from those.
"""

import argparse
import sys
from collections.abc import Callable, Sequence

import pandas as pd

from zdlib.bench.cases import CASES
from zdlib.bench.options import GROUPS, add_options
from zdlib.errors import ZDError
from zdlib.files import write_csv, write_json
from zdlib.paths import repo_root


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the groups asked for; a `ZDError` is one line and status 1."""
    parser = argparse.ArgumentParser(prog="python -m zdlib.bench", description="Time and memory, side by side.")
    add_options(parser)
    options = parser.parse_args(arguments)
    try:
        run(options)
    except ZDError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def run(options: argparse.Namespace) -> None:
    """Measure, print and write.

    Raises:
        ZDError: contestants disagree, one cannot be had, or the folder cannot be written.
    """
    import torch

    from zdlib.bench.run import matrix_peak
    from zdlib.pipeline.provenance import git_state, hardware

    if options.rounds < 1 or options.threads < 1:
        raise ZDError("--rounds and --threads: give whole numbers from 1 on")
    root = repo_root()
    out = options.out or root / "results" / "bench"
    special: dict[str, Callable[[argparse.Namespace], pd.DataFrame]] = {
        "stages": _stages,
        "evaluation": _evaluation,
        "drift": _drift,
    }
    asked = options.group or [*GROUPS, *special]
    if {"evaluation", "drift"} & set(asked):
        from zdlib.bench.whole import check_demo

        check_demo()  # before anything is measured
    for group in asked:
        print(f"{group} …", flush=True)
        table = special.get(group, lambda o, group=group: _group(group, o))(options)
        if group in special:
            print(table.to_string(index=False, float_format="%.4g"), flush=True)
        record = {
            "rounds": options.rounds,
            "threads": options.threads,
            "matrix_gflops": {
                name: round(matrix_peak(options.threads, dtype), 1)
                for name, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16))
            },
            "torch": torch.__version__,
            **git_state(root),
            "hardware": hardware(),
        }
        write_csv(out / f"{group}.csv", table)
        write_json(out / f"{group}.json", record)


def _group(group: str, options: argparse.Namespace) -> pd.DataFrame:
    from zdlib.bench.run import bench

    tables = []
    for case in CASES.values():
        if case.group == group:
            tables.append(bench(case, options.rounds, options.threads))
            shown = ["contestant", "seconds", "ratio", "peak_mib", "memory_ratio", "difference"]
            print(f"{case.name}\n{tables[-1][shown].to_string(index=False, float_format='%.4g')}", flush=True)
    return pd.concat(tables, ignore_index=True)


def _stages(options: argparse.Namespace) -> pd.DataFrame:
    from zdlib.bench.stages import breakdown

    return breakdown(CASES["ZoeD SwinV2-B"], options.rounds, options.threads)


def _evaluation(options: argparse.Namespace) -> pd.DataFrame:
    from zdlib.bench.whole import evaluation

    return evaluation(options.threads)


def _drift(options: argparse.Namespace) -> pd.DataFrame:
    from zdlib.bench.whole import drift

    return drift(options.threads)


if __name__ == "__main__":
    sys.exit(main())
