"""The command line of the benchmark.

    python -m zdlib.bench                      # everything: about a quarter of an hour on two quiet cores
    python -m zdlib.bench --group training     # one table

Writes `results/bench/<group>.csv` and `<group>.json` (hardware, versions, commit, the machine's matrix peak). Notebook
10 and the README's section are made from those.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from zdlib.bench.cases import CASES
from zdlib.errors import ZDError
from zdlib.io import write_csv, write_json
from zdlib.paths import repo_root

GROUPS = tuple(dict.fromkeys(case.group for case in CASES.values()))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the groups asked for; a `ZDError` is one line and status 1."""
    options = parser().parse_args(arguments)
    try:
        run(options)
    except ZDError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def parser() -> argparse.ArgumentParser:
    """Options, for `zdlib bench` too."""
    made = argparse.ArgumentParser(prog="python -m zdlib.bench", description="Time and memory, side by side.")
    add_options(made)
    return made


def add_options(made: argparse.ArgumentParser) -> None:
    """Give a parser the benchmark's options."""
    choices = [*GROUPS, "stages", "evaluation"]
    made.add_argument("--group", action="append", choices=choices, help="which table (default: all); may be repeated")
    made.add_argument("--rounds", type=int, default=5, help="timed runs of each contestant (default 5)")
    made.add_argument("--threads", type=int, default=2, help="CPU threads of each (default 2)")
    made.add_argument("-o", "--out", type=Path, help="folder to write to (default results/bench)")


def run(options: argparse.Namespace) -> None:
    """Measure, print and write.

    Raises:
        ZDError: contestants disagree, one cannot be had, or the folder cannot be written.
    """
    import torch

    from zdlib.bench.run import matrix_peak
    from zdlib.provenance import git_state, hardware

    if options.rounds < 1 or options.threads < 1:
        raise ZDError("--rounds and --threads: give whole numbers from 1 on")
    root = repo_root()
    out = options.out or root / "results" / "bench"
    special: dict[str, Callable[[argparse.Namespace], pd.DataFrame]] = {"stages": _stages, "evaluation": _evaluation}
    for group in options.group or [*GROUPS, *special]:
        print(f"{group} …", flush=True)
        table = special.get(group, lambda o, group=group: _group(group, o))(options)
        print(table.round(4).to_string(index=False), flush=True)
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
            print(f"  {case.name}", flush=True)
            tables.append(bench(case, options.rounds, options.threads))
    return pd.concat(tables, ignore_index=True)


def _stages(options: argparse.Namespace) -> pd.DataFrame:
    from zdlib.bench.stages import breakdown

    return breakdown(CASES["ZoeD SwinV2-B"], options.rounds, options.threads)


def _evaluation(options: argparse.Namespace) -> pd.DataFrame:
    import torch

    from zdlib.bench.stages import evaluation_share
    from zdlib.config import load_profile
    from zdlib.data.nyu import NYUReader
    from zdlib.models import create_model
    from zdlib.paths import resolve

    torch.set_num_threads(options.threads)
    path = resolve(load_profile("demo").data.nyu_mat)
    if not path.is_file():
        raise ZDError(f"{path}: no such file: ./run_all.sh writes it")
    rows = []
    for name in ("zoe_distill_lite0", "zoe_swin2_b"):
        model = create_model(name).eval()
        rows.append({"model": name, **evaluation_share(model, NYUReader(path, depth="raw"))})
    return pd.DataFrame(rows)


if __name__ == "__main__":
    sys.exit(main())
