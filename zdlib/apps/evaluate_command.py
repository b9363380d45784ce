"""`zdlib evaluate`: a trained run of a profile, judged on the test data sets that the profile lists."""

import argparse
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from zdlib.apps.commands import Commands
from zdlib.errors import ZDError

if TYPE_CHECKING:  # pandas takes its time, too
    import pandas as pd

    from zdlib.config import Profile
    from zdlib.evaluate.by_profile import Benchmark
    from zdlib.evaluate.judge import DepthMap
    from zdlib.models.depth_model import DepthModel, Inference

METRICS = ("delta1", "abs_rel", "rmse", "log10")


def add_parser(commands: Commands) -> None:
    """Add the command to the program's."""
    evaluate = commands.add_parser(
        "evaluate",
        help="metrics of a trained run on the profile's test data sets",
        description="Judges results/PROFILE/checkpoints/RUN.safetensors on every entry of the profile's data.tests, "
        "under its protocol, with 95 % bootstrap intervals over scenes (without scenes, over blocks of 5 consecutive "
        "frames). With --against, or for a run that began from other weights (start_from), those are judged too, and "
        "the difference is given frame by frame. Tables and per-image values go to results/PROFILE/evaluate/, what "
        "they were made from to results/PROFILE/provenance/.",
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
    evaluate.add_argument(
        "--baselines",
        action="store_true",
        help="also what needs no picture: constant depth and mean maps of the run's training frames",
    )
    evaluate.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Judge, print and write.

    Raises:
        ZDError: no such profile, run, checkpoint or data; the profile lists no tests.
    """
    import torch

    from zdlib.config import load_profile
    from zdlib.data.streets.export import prepare_what_is_read
    from zdlib.evaluate.by_profile import open_benchmarks
    from zdlib.files import write_csv, write_json
    from zdlib.models.catalogue import load_depth_model
    from zdlib.models.depth_model import Inference
    from zdlib.paths import RunPaths, resolve

    started, profile = time.time(), load_profile(options.profile, changes=options.changes)
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
    prepare_what_is_read(profile.data)
    benchmarks = open_benchmarks(profile)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    models = {title: load_depth_model(path, device=device) for title, path in weights.items()}
    for model, path in zip(models.values(), weights.values(), strict=True):
        _refuse_relative(model, path, benchmarks)
    settings = profile.evaluate
    inference = Inference(settings.batch_size, settings.flip, precision=settings.precision)
    floors = _baselines(profile, options.run_name) if options.baselines else {}
    written = {
        paths.results / "evaluate" / name: table
        for name, table in _tables(benchmarks, models, floors, inference, options.run_name).items()
    }
    for path, table in written.items():
        write_csv(path, table)
    if not profile.is_paper:  # the pipeline keeps the records of the others
        record = _record(profile, options.run_name, weights.values(), written, started)
        write_json(paths.provenance / f"evaluate_{options.run_name}.json", record)
    by_name = {path.name: table for path, table in written.items()}
    print(_text(by_name[f"{options.run_name}.csv"]))
    if before is not None:
        print(_gains_text(by_name[f"{options.run_name}_gains.csv"]))


def _refuse_relative(model: "DepthModel", path: Path, benchmarks: "Sequence[Benchmark]") -> None:
    """Relative inverse depth is no metres: it is judged where a protocol fits its scale and shift, or not at all.

    Raises:
        ZDError: a protocol would take it for metres.
    """
    if model.convention.kind != "relative":
        return
    for benchmark in benchmarks:
        if benchmark.protocol.alignment != "inverse":
            raise ZDError(
                f"{path}: gives relative inverse depth, {benchmark.protocol.name} judges metres: choose a protocol "
                "that fits scale and shift; python -m zdlib.paper.label_free.jobs video judges profile video's networks"
            )


def _tables(
    benchmarks: "Sequence[Benchmark]",
    models: "Mapping[str, DepthModel]",
    floors: "Mapping[str, DepthMap]",
    inference: "Inference",
    run_name: str,
) -> "dict[str, pd.DataFrame]":
    """Every table by its file's name: per-image values of the last model and of the baselines, means, gains."""
    import pandas as pd

    from zdlib.evaluate.by_profile import gains, row

    rows, differences, written = [], [], {}
    for number, benchmark in enumerate(benchmarks):
        for title, depth_map in floors.items():
            table = benchmark.judge_maps(dict.fromkeys(benchmark.frames, depth_map))
            rows.append(row(benchmark, title, table))
            written[f"{title.replace(' ', '_')}_{number}.csv"] = table
        judged = [benchmark.judge(model, inference) for model in models.values()]
        rows += [row(benchmark, title, table) for title, table in zip(models, judged, strict=True)]
        written[f"{run_name}_{number}.csv"] = judged[-1]
        if len(judged) > 1:
            differences.append(gains(benchmark, judged[0], judged[-1], METRICS))
    written[f"{run_name}.csv"] = pd.DataFrame(rows)
    if differences:
        written[f"{run_name}_gains.csv"] = pd.concat(differences, ignore_index=True)
    return written


def _baselines(profile: "Profile", run_name: str) -> "dict[str, DepthMap]":
    """Depth maps from the frames that trained a run."""
    from zdlib.evaluate.baselines import baselines_up_to
    from zdlib.train.frames import open_frames

    trained = profile.runs[run_name]
    frames = open_frames(profile, trained)
    farthest = trained.settings.max_depth * trained.settings.metres_per_unit
    return baselines_up_to(farthest, frames.reader, frames.roles.train)


def _record(
    profile: "Profile", run_name: str, weights: Iterable[Path], written: Iterable[Path], started: float
) -> dict[str, object]:
    """What the scores come from, as the pipeline's steps record it."""
    from zdlib.data.registry import data_set
    from zdlib.files import sha256
    from zdlib.paths import repo_root
    from zdlib.pipeline.provenance import git_state, hardware
    from zdlib.source_closure import LIBRARY_ROOT, fingerprints, packages

    root = repo_root()
    readers = {data_set(entry.set).file for entry in profile.data.tests}
    files = {Path("zdlib/evaluate/by_profile.py"), Path("zdlib/models/factory.py"), *readers}
    sources = sorted(LIBRARY_ROOT / file for file in files)
    local = lambda path: (path.relative_to(root) if path.is_relative_to(root) else path).as_posix()  # noqa: E731
    return {
        "step": f"evaluate {run_name}",
        "profile": profile.model_dump(mode="json"),
        **git_state(root),
        "depends": [
            *(f"file {name} {digest[:16]}" for name, digest in fingerprints(sources, LIBRARY_ROOT).items()),
            *(f"package {name} {version}" for name, version in packages(sources, LIBRARY_ROOT).items()),
        ],
        "inputs": {local(path): sha256(path) for path in weights},
        "outputs": {local(path): sha256(path) for path in written},
        "hardware": hardware(),
        "seconds": round(time.time() - started, 1),
    }


def _text(table: "pd.DataFrame") -> str:
    """The table as Markdown: means, and half the width of their intervals."""
    from zdlib.metrics.as_text import markdown

    ends = [f"{metric}{end}" for metric in METRICS for end in ("", "_low", "_high")]
    columns = ["data", "protocol", "method", "images", "trained_on", *ends]
    caption = "Means over images, ± half of a 95 % bootstrap interval over scenes or blocks of frames."
    content = {"rows": table.to_dict("records"), "columns": columns, "compare": ["data", "protocol"], "hide": []}
    return markdown({**content, "caption": caption})


def _gains_text(table: "pd.DataFrame") -> str:
    """The differences as Markdown."""
    from zdlib.metrics.as_text import HEADERS, markdown

    shown = table.replace({"metric": HEADERS})
    caption = "Second minus first, frame by frame: difference, 95 % interval, p of a permutation test."
    content = {"rows": shown.to_dict("records"), "columns": list(shown), "compare": None, "hide": []}
    return markdown({**content, "caption": caption})
