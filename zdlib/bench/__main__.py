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

DRIFT_METRICS = ("delta1", "abs_rel", "rmse", "log10")
GROUPS = tuple(dict.fromkeys(case.group for case in CASES.values()))


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


def add_options(made: argparse.ArgumentParser) -> None:
    """Give a parser the benchmark's options; `zdlib bench` has the same."""
    choices = [*GROUPS, "stages", "evaluation", "drift"]
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
    special: dict[str, Callable[[argparse.Namespace], pd.DataFrame]] = {
        "stages": _stages,
        "evaluation": _evaluation,
        "drift": _drift,
    }
    for group in options.group or [*GROUPS, *special]:
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
    import torch

    from zdlib.bench.stages import evaluation_share
    from zdlib.config import load_profile
    from zdlib.data.nyu import NYUReader
    from zdlib.models import create_model
    from zdlib.models.checkpoints import load_checkpoint
    from zdlib.paths import RunPaths, resolve

    torch.set_num_threads(options.threads)
    reader = NYUReader(_made_by_the_demo(resolve(load_profile("demo").data.nyu_mat)), depth="raw")
    light, _ = load_checkpoint(_made_by_the_demo(RunPaths("demo").checkpoints / "distill.safetensors"))
    models = {"Zoe-Distill of the demo": light, "ZoeD SwinV2-T": create_model("zoe_swin2_t")}
    rows = [{"model": name, **evaluation_share(model.eval(), reader)} for name, model in models.items()]
    return pd.DataFrame(rows)


def _drift(options: argparse.Namespace) -> pd.DataFrame:
    """NYU's metrics of the demo's runs, predicted in float32 and in bfloat16."""
    import torch

    from zdlib import protocols
    from zdlib.config import load_profile
    from zdlib.evaluate import evaluate_depth, summarise
    from zdlib.paths import RunPaths
    from zdlib.study import load_run, open_nyu, predict_run

    torch.set_num_threads(options.threads)
    profile, paths, standard = load_profile("demo"), RunPaths("demo"), protocols.get("nyu/standard")
    rows = []
    for key, run in profile.runs.items():
        _made_by_the_demo(paths.checkpoints / f"{key}.safetensors")
        trained, nyu = load_run(profile, key, paths), open_nyu(profile)
        test = nyu.frames(standard).tolist()
        for precision in ("fp32", "bf16"):
            asked = profile.model_copy(
                update={"evaluate": profile.evaluate.model_copy(update={"precision": precision})}
            )
            scores = summarise(
                evaluate_depth(predict_run(trained, nyu.readers["raw"], test, asked), nyu.readers, test, standard)
            )
            rows.append({"method": run.title, "precision": precision, **{m: scores[m] for m in DRIFT_METRICS}})
    return pd.DataFrame(rows)


def _made_by_the_demo(path: Path) -> Path:
    if not path.is_file():
        raise ZDError(f"{path}: no such file: ./run_all.sh writes it")
    return path


if __name__ == "__main__":
    sys.exit(main())
