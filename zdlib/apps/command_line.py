"""The command line: `zdlib train | predict | score | convert | info | data | bench`."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zdlib.apps import data_commands, predict_command
from zdlib.bench.__main__ import add_options
from zdlib.bench.__main__ import run as bench
from zdlib.errors import ZDError

if TYPE_CHECKING:  # timm and torch take seconds to import: `--help` does without
    from zdlib.models.zoe.network import ZoeDepth


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
    commands = parser.add_subparsers(required=True, metavar="command")

    train = commands.add_parser(
        "train",
        help="train one run of a profile",
        description="Trains as notebook 03 does and writes results/PROFILE/checkpoints/RUN.safetensors and its logs. "
        "A run that has ended with the same profile, data and code is reused, one that was stopped or killed goes on "
        "where it was. Exit status: 0 trained, 1 an error, 130 stopped by Ctrl-C and 143 by SIGTERM, both with the "
        "state saved. On several GPUs or machines: accelerate launch -m zdlib train …",
    )
    train.add_argument("--profile", default="demo", help="a file of profiles/ (default demo)")
    train.add_argument("--run", dest="run_name", metavar="RUN", required=True, help="a key of the profile's runs")
    train.add_argument(
        "--set",
        dest="changes",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="another value than the profile's, like train.lr=1e-3; may be repeated; needs --out",
    )
    train.add_argument("--out", metavar="NAME", help="write to results/NAME instead of results/PROFILE")
    group = train.add_mutually_exclusive_group()
    group.add_argument(
        "--resume",
        dest="start",
        action="store_const",
        const="resume",
        help="refuse to leave behind an unfinished run of another configuration, and name the difference",
    )
    group.add_argument("--fresh", dest="start", action="store_const", const="fresh", help="begin in any case")
    train.set_defaults(run=_train)

    predict_command.add_parser(commands)

    score = commands.add_parser(
        "score",
        help="metrics of any model's predictions",
        description="Scores predictions that are files: NAME.npy or NAME.npz (metres) or 16-bit NAME.png in a folder, "
        "or one .npy or .npz with all of them. NAME is the frame's: nyu_0000 to nyu_1448, or its number (0000, 1, …); "
        "the image's name for ibims and folder. Files of frames that the protocol does not use do no harm. "
        "Exit status 2 if a prediction is missing, extra, unreadable, of another size or not finite.",
    )
    score.add_argument("--dataset", required=True, help="nyu, ibims, another that `zdlib data list` names, or folder")
    score.add_argument("--protocol", help="standard, published, … (default: the data set's usual one); for a folder, "
                       "whose pixel rules are applied: nyu/standard, …")  # fmt: skip
    score.add_argument("--pred", required=True, type=Path, metavar="DIR", help="the predictions")
    score.add_argument("--gt", type=Path, help="the copy of the data set: NYU's .mat, or a folder (default for nyu and "
                       "ibims: in $ZD_DATA)")  # fmt: skip
    score.add_argument("--scale", type=float, metavar="UNITS", help="stored units a metre; 1000 for PNG in millimetres")
    score.add_argument("--first", type=int, choices=[0, 1], default=0, help="number of NYU's first frame in file names")
    score.add_argument("--splits", type=Path, help="nyu: another splits.mat than the one beside the .mat")
    score.add_argument("--list", type=Path, help="folder: text file of 'image depth' lines")
    score.add_argument("--gt-scale", type=float, default=1000.0, metavar="UNITS", help="folder: units a metre (1000)")
    score.add_argument("--method", help="the row's name (default: the predictions' folder)")
    score.add_argument("--trained-on", choices=["official", "contiguous", "none"], help="nyu: split that trained it")
    score.add_argument("-o", "--out", type=Path, help="folder for the tables (CSV), per-image values and summary.json")
    score.set_defaults(run=_score)

    convert = commands.add_parser(
        "convert",
        help="between the official layout (.pt) and ours (.safetensors)",
        description="An official .pt to our .safetensors, or the reverse, by the names' endings.",
    )
    convert.add_argument("source", type=Path, metavar="IN")
    convert.add_argument("target", type=Path, metavar="OUT")
    convert.add_argument("--model", help="which model an official file holds; default: found by its keys and shapes")
    convert.set_defaults(run=_convert)

    info = commands.add_parser("info", help="what a checkpoint holds; without FILE, the models known by name")
    info.add_argument("file", nargs="?", type=Path, metavar="FILE", help="a checkpoint, or the name of a known model")
    info.set_defaults(run=_info)

    data = commands.add_parser("data", help="data sets on disk: which can be read, and is a copy sound")
    data_commands.add_actions(data)

    timing = commands.add_parser(
        "bench",
        help="time and memory, side by side with other implementations",
        description="Contestants with the same weights take turns in processes of their own; nothing is timed before "
        "their answers agree. Writes results/bench/; needs transformers for one of the tables.",
    )
    add_options(timing)
    timing.set_defaults(run=bench)
    return parser


def _train(options: argparse.Namespace) -> None:
    from zdlib.config import load_profile
    from zdlib.distributed import is_first, leave
    from zdlib.paths import RunPaths
    from zdlib.train.run import train

    profile = load_profile(options.profile, changes=options.changes)
    if options.changes and options.out is None:
        raise ZDError(f"--set: results/{profile.name} belongs to the profile as it is: name another folder with --out")
    try:
        result = train(profile, options.run_name, RunPaths(options.out or profile.name), options.start)
        best = result.validations[result.validations["best"]].iloc[0]
        if is_first():
            print(f"{result.checkpoint}: AbsRel {best['abs_rel']:.4f} on the selection frames, step {best['step']:.0f}")
    finally:
        leave()


def _score(options: argparse.Namespace) -> None:
    from zdlib.evaluate.prediction_files import open_source
    from zdlib.evaluate.score import score
    from zdlib.evaluate.truth import find_protocol, open_truth

    if not options.gt_scale > 0:
        raise ZDError(f"--gt-scale {options.gt_scale:g}: must be positive")
    protocol, source = find_protocol(options.dataset, options.protocol), open_source(options.pred)
    truth = open_truth(
        options.dataset,
        options.gt,
        splits=options.splits,
        list_file=options.list,
        metres_per_unit=1 / options.gt_scale,
    )
    found = score(
        truth,
        protocol,
        source,
        options.method or options.pred.stem,
        units_per_metre=options.scale,
        first=options.first,
        trained_on=options.trained_on,
    )
    if options.out is not None:
        found.write(options.out)
    print(found.text())


def _convert(options: argparse.Namespace) -> None:
    from zdlib.models.checkpoints import load_checkpoint, save_checkpoint, save_official
    from zdlib.models.factory import load_depth_model

    endings = options.source.suffix, options.target.suffix
    if endings == (".safetensors", ".pt"):
        model, _ = load_checkpoint(options.source)
        save_official(options.target, model)
    elif endings[0] in (".pt", ".pth") and endings[1] == ".safetensors":
        official = load_depth_model(options.source, options.model)
        info = {"converted_from": options.source.name, "convention": official.convention.model_dump()}
        save_checkpoint(options.target, official.network, official.network.config, info)
    else:
        raise ZDError(f"{options.source} -> {options.target}: one must end in .pt, the other in .safetensors")
    print(f"{options.source} -> {options.target}")


def _info(options: argparse.Namespace) -> None:
    from zdlib.models.registry import list_models

    if options.file is None:
        print("\n".join(list_models()))
        return
    model, info = _describe(options.file)
    sizes = {name: sum(p.numel() for p in part.parameters()) for name, part in model.named_children()}
    print(json.dumps({"parameters": sizes | {"total": sum(sizes.values())}}, indent=1))
    print(
        json.dumps({"architecture": model.config.model_dump(mode="json"), "info": info}, indent=1, ensure_ascii=False)
    )


def _describe(source: Path) -> "tuple[ZoeDepth, dict[str, Any]]":
    """A checkpoint's model, or a known one without values; and what is known of it, long lists of frames counted."""
    import torch

    from zdlib.models.factory import create_model, load_depth_model
    from zdlib.models.registry import list_models

    if str(source) in list_models():
        with torch.device("meta"):
            return create_model(str(source)), {}
    model = load_depth_model(source)
    info = {k: f"{len(v)} numbers" if isinstance(v, list) and len(v) > 8 else v for k, v in model.info.items()}
    return model.network, info
