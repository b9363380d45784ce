"""The command line: `zdlib train | predict | score | convert | info | data | bench`."""

import argparse
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from zdlib.apps import data_commands
from zdlib.bench.__main__ import add_options
from zdlib.bench.__main__ import run as bench
from zdlib.errors import ZDError
from zdlib.files import write_bytes
from zdlib.recipes import RECIPES

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

    predict = commands.add_parser(
        "predict",
        help="metric depth of pictures",
        description="Writes OUT/NAME.npy (float32 metres), OUT/NAME.png (16 bit, millimetres, at most 65535) "
        "and OUT/NAME_preview.png, at the picture's resolution. The defaults are those of ZoeDepth's own inference.",
    )
    predict.add_argument("images", nargs="+", type=Path, metavar="IMAGE", help="pictures, or folders of them")
    predict.add_argument("--model", help="a name that `zdlib info` lists; not needed for a .safetensors file")
    predict.add_argument("--weights", required=True, help="a checkpoint: ours (.safetensors) or an official one (.pt)")
    predict.add_argument("-o", "--out", type=Path, required=True, help="folder to write to")
    predict.add_argument("--domain", help="head of a model with several (nyu, kitti); default: the router decides")
    predict.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1, … (default cpu)")
    predict.add_argument(
        "--no-pad",
        dest="pad",
        action="store_false",
        help="do not surround the picture by its reflection. Padding smooths the borders but changes the scale: "
        "it moves ZoeDepth's RMSE on NYU from 0.270 to 0.375 m, so benchmarks are run without",
    )
    predict.add_argument(
        "--no-flip",
        dest="flip",
        action="store_false",
        help="do not average with the mirrored picture's prediction: half the time; the published 0.270 m is with it",
    )
    predict.add_argument(
        "--precision",
        choices=["fp32", "bf16"],
        default="fp32",
        help="bf16: faster on processors that compute in it; depths differ by about a percent (default fp32)",
    )
    predict.set_defaults(run=_predict)

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


def _predict(options: argparse.Namespace) -> None:
    import torch
    from tqdm import tqdm

    from zdlib.data.formats.images import read_picture
    from zdlib.evaluate.depth_model import halve_weights, predict_depth
    from zdlib.models.memory import keep_freed_memory

    model, info = _load(Path(options.weights), options.model)
    names = [domain.name for domain in model.config.domains]
    if options.domain is not None and options.domain not in names:
        raise ZDError(f"--domain {options.domain}: this model has {', '.join(names)}")
    domain = None if options.domain is None else names.index(options.domain)
    paths = _pictures(options.images)
    stems = [path.stem for path in paths]
    if len(set(stems)) < len(stems):
        raise ZDError("two pictures have the same name: predict them into different folders")
    try:
        model = model.to(torch.device(options.device))
    except (RuntimeError, AssertionError) as error:
        raise ZDError(
            f"--device {options.device}: cannot be used ({str(error).splitlines()[0]}): use cpu or cuda:0"
        ) from error
    metres = RECIPES[info["recipe"]].metres_per_unit if info.get("recipe") in RECIPES else 1.0
    keep_freed_memory()
    if options.precision == "bf16":
        halve_weights(model)
    for path in tqdm(paths, unit="picture", disable=len(paths) == 1):  # one at a time: a folder needs no more memory
        picture = read_picture(path, "name an image file", "RGB")
        depth = predict_depth(model, picture, options.pad, options.flip, domain, options.precision)
        depth = depth * np.float32(metres)
        _write(options.out, path.stem, depth)
        tqdm.write(f"{path}: {depth.min():.2f} to {depth.max():.2f} m -> {options.out / path.stem}.npy")


def _pictures(paths: Sequence[Path]) -> list[Path]:
    """The files among `paths`, and the image files of the folders among them."""
    from zdlib.data.sets.folder import IMAGE_SUFFIXES

    found: list[Path] = []
    for path in paths:
        inside = sorted(p for p in path.glob("*") if p.suffix.lower() in IMAGE_SUFFIXES) if path.is_dir() else [path]
        if not inside:
            raise ZDError(
                f"{path}: no {', '.join(sorted(IMAGE_SUFFIXES))} in this folder: name image files, or another"
            )
        found.extend(inside)
    return found


def _write(folder: Path, stem: str, depth: np.ndarray) -> None:
    """The three files of one picture."""
    raw = io.BytesIO()
    np.save(raw, depth)
    write_bytes(folder / f"{stem}.npy", raw.getvalue())
    millimetres = np.clip(np.round(depth * 1000), 0, 65535).astype(np.uint16)
    for name, picture in ((stem, millimetres), (f"{stem}_preview", _preview(depth))):
        encoded = io.BytesIO()
        Image.fromarray(picture).save(encoded, "png")
        write_bytes(folder / f"{name}.png", encoded.getvalue())


def _preview(depth: np.ndarray) -> np.ndarray:
    """Depth in colours, with a colour bar in metres; (h, w, 3) uint8."""
    from zdlib.colours import DEPTH_MAP
    from zdlib.paper.figures import new_figure

    height, width = depth.shape
    figure = new_figure(8.0, max(8 * height / width * 0.85, 1.0))
    axes = figure.add_subplot()
    shown = axes.imshow(depth, cmap=DEPTH_MAP, interpolation="nearest")
    axes.set_axis_off()
    figure.colorbar(shown, label="depth [m]")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return np.array(Image.open(buffer).convert("RGB"))


def _score(options: argparse.Namespace) -> None:
    from zdlib.evaluate.prediction_files import open_source
    from zdlib.evaluate.score import find_protocol, open_truth, score

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

    endings = options.source.suffix, options.target.suffix
    if endings == (".safetensors", ".pt"):
        model, _ = load_checkpoint(options.source)
        save_official(options.target, model)
    elif endings[0] in (".pt", ".pth") and endings[1] == ".safetensors":
        model, _ = _load(options.source, options.model)
        save_checkpoint(options.target, model, model.config, {"converted_from": options.source.name})
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

    from zdlib.models.factory import create_model
    from zdlib.models.registry import list_models

    if str(source) in list_models():
        with torch.device("meta"):
            return create_model(str(source)), {}
    model, info = _load(source, None)
    return model, {key: f"{len(v)} numbers" if isinstance(v, list) and len(v) > 8 else v for key, v in info.items()}


def _load(path: Path, name: str | None) -> "tuple[ZoeDepth, dict[str, Any]]":
    """The model of a checkpoint of any kind, and what is known of it."""
    from zdlib.models.checkpoints import identify, load_checkpoint
    from zdlib.models.factory import create_model
    from zdlib.models.registry import architecture

    if path.suffix == ".safetensors":
        model, info = load_checkpoint(path)
        if name is not None and architecture(name) != model.config:
            raise ZDError(f"{path}: holds another model than {name}: leave --model out, the file says what it holds")
        return model, info
    return create_model(name or identify(path), weights=str(path)), {}
