"""`zdlib evaluate`: a trained run of a profile, judged on the test data sets that the profile lists."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from zdlib.apps.commands import Commands
from zdlib.errors import ZDError

if TYPE_CHECKING:  # pandas takes its time, too
    import pandas as pd

METRICS = ("delta1", "abs_rel", "rmse", "log10")


def add_parser(commands: Commands) -> None:
    """Add the command to the program's."""
    evaluate = commands.add_parser(
        "evaluate",
        help="metrics of a trained run on the profile's test data sets",
        description="Judges results/PROFILE/checkpoints/RUN.safetensors on every entry of the profile's data.tests, "
        "under its protocol, with 95 % bootstrap intervals over scenes (without scenes, over blocks of 5 consecutive "
        "frames). With --against, or for a run that began from other weights (start_from), those are judged too, and "
        "the difference is given frame by frame. Tables and per-image values go to results/PROFILE/evaluate/.",
    )
    evaluate.add_argument("--profile", default="demo", help="a file of profiles/ (default demo)")
    evaluate.add_argument("--run", dest="run_name", metavar="RUN", required=True, help="a key of the profile's runs")
    evaluate.add_argument(
        "--set",
        dest="changes",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="another value than the profile's; may be repeated; needs --out",
    )
    evaluate.add_argument("--out", metavar="NAME", help="results/NAME instead of results/PROFILE, as in training")
    evaluate.add_argument("--against", type=Path, metavar="FILE", help="a checkpoint to compare with")
    evaluate.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Judge, print and write.

    Raises:
        ZDError: no such profile, run, checkpoint or data; the profile lists no tests.
    """
    import pandas as pd
    import torch

    from zdlib.config import load_profile
    from zdlib.data.streets.export import prepare
    from zdlib.evaluate.by_profile import gains, open_benchmarks, row
    from zdlib.files import write_csv
    from zdlib.models.depth_model import Inference
    from zdlib.models.factory import load_depth_model
    from zdlib.paths import RunPaths, resolve

    profile = load_profile(options.profile, changes=options.changes)
    if options.changes and options.out is None:
        raise ZDError(f"--set: results/{profile.name} belongs to the profile as it is: name another folder with --out")
    if options.run_name not in profile.runs:
        known = ", ".join(profile.runs)
        raise ZDError(f"profiles/{profile.name}.yaml: no run {options.run_name!r}: choose one of {known}")
    if not profile.data.tests:
        raise ZDError(f"profiles/{profile.name}.yaml: data.tests: is empty: name what to judge on")
    trained, paths = profile.runs[options.run_name], RunPaths(options.out or profile.name)
    before = options.against or (None if trained.start_from is None else resolve(trained.start_from))
    weights = {trained.title: paths.checkpoints / f"{options.run_name}.safetensors"}
    if before is not None:
        weights = {f"before ({before.name})": before, **weights}
    if profile.data.streets is not None:
        prepare(profile.data.streets)
    benchmarks = open_benchmarks(profile)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    models = {title: load_depth_model(path, device=device) for title, path in weights.items()}
    settings = profile.evaluate
    inference = Inference(settings.batch_size, settings.flip, precision=settings.precision)
    rows, differences = [], []
    folder = paths.results / "evaluate"
    for number, benchmark in enumerate(benchmarks):
        tables = [benchmark.judge(model, inference) for model in models.values()]
        rows += [row(benchmark, title, table) for title, table in zip(models, tables, strict=True)]
        write_csv(folder / f"{options.run_name}_{number}.csv", tables[-1])
        if before is not None:
            differences.append(gains(benchmark, tables[0], tables[-1], METRICS))
    write_csv(folder / f"{options.run_name}.csv", pd.DataFrame(rows))
    print(_text(rows))
    if differences:
        table = pd.concat(differences, ignore_index=True)
        write_csv(folder / f"{options.run_name}_gains.csv", table)
        print(_gains_text(table))


def _text(rows: list[dict[str, object]]) -> str:
    """The table as Markdown: means, and half the width of their intervals."""
    from zdlib.metrics.as_text import markdown

    ends = [f"{metric}{end}" for metric in METRICS for end in ("", "_low", "_high")]
    columns = ["data", "protocol", "method", "images", "trained_on", *ends]
    caption = "Means over images, ± half of a 95 % bootstrap interval over scenes or blocks of frames."
    return markdown({"rows": rows, "columns": columns, "compare": ["data", "protocol"], "hide": [], "caption": caption})


def _gains_text(table: "pd.DataFrame") -> str:
    """The differences as Markdown."""
    from zdlib.metrics.as_text import HEADERS, markdown

    shown = table.replace({"metric": HEADERS})
    caption = "Second minus first, frame by frame: difference, 95 % interval, p of a permutation test."
    content = {"rows": shown.to_dict("records"), "columns": list(shown), "compare": None, "hide": []}
    return markdown({**content, "caption": caption})
