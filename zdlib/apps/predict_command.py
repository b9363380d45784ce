"""`zdlib predict`: depth of pictures, metric or relative, as files."""

import argparse
import io
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from zdlib.apps.commands import Commands
from zdlib.errors import ZDError
from zdlib.files import write_together
from zdlib.gates.opening import Limit
from zdlib.gates.outputs import plan_outputs

LARGEST = 32_000_000  # pixels of a picture, without --max-pixels
FINEST = 4_096  # pixels of a side in a preview; a page of it holds fewer
TALLEST = 24.0  # inches of a preview, 8 wide
INVERSE = "_inverse_depth"  # what the names of relative depth end in


def add_parser(commands: Commands) -> None:
    """Add the command to the program's."""
    predict = commands.add_parser(
        "predict",
        help="depth of pictures: metric, or relative and inverse",
        description="Writes OUT/NAME.npy (float32 metres), OUT/NAME.png (16 bit, millimetres, at most 65535) "
        "and OUT/NAME_preview.png, at the picture's resolution. Of a network of relative depth, "
        "OUT/NAME_inverse_depth.npy (float32, larger is nearer, scale and shift unknown), OUT/NAME_inverse_depth.png "
        "(8 bit, its own range stretched) and OUT/NAME_inverse_depth_preview.png. The defaults are those of each "
        "network's own inference.",
    )
    predict.add_argument("images", nargs="+", type=Path, metavar="IMAGE", help="pictures, or folders of them")
    predict.add_argument("--model", help="a name that `zdlib info` lists; not needed for a .safetensors file")
    predict.add_argument(
        "--weights", required=True, help="a checkpoint: ours (.safetensors) or an official one (.pt, .pth)"
    )
    predict.add_argument("-o", "--out", type=Path, required=True, help="folder to write to")
    predict.add_argument("--domain", help="head of a model with several (nyu, kitti); default: the router decides")
    predict.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1, … (default cpu)")
    predict.add_argument(
        "--pad",
        action=argparse.BooleanOptionalAction,
        help="surround the picture by its reflection, or do not. Padding smooths the borders but changes the scale: "
        "it moves ZoeDepth's RMSE on NYU from 0.270 to 0.375 m, so benchmarks are run without (default: ZoeDepth with, "
        "Depth Anything without)",
    )
    predict.add_argument(
        "--flip",
        action=argparse.BooleanOptionalAction,
        help="average with the mirrored picture's prediction, or do not: half the time; ZoeDepth's published 0.270 m "
        "is with it (default: ZoeDepth with, Depth Anything without)",
    )
    predict.add_argument(
        "--precision",
        choices=["fp32", "bf16"],
        default="fp32",
        help="bf16: faster on processors that compute in it; depths differ by about a percent (default fp32)",
    )
    predict.add_argument(
        "--max-pixels",
        type=int,
        default=LARGEST,
        metavar="N",
        help=f"refuse larger pictures (default {LARGEST:,}); a pixel takes some 65 bytes of memory",
    )
    predict.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from tqdm import tqdm

    from zdlib.data.formats.images import read_picture
    from zdlib.models.catalogue import load_depth_model

    paths = _pictures(options.images)
    plan_outputs([(path, _outputs(options.out, path.stem)) for path in paths], [Path(options.weights)])
    model = load_depth_model(options.weights, options.model, options.device)
    relative = model.convention.kind == "relative"
    if relative:
        named = [(path, _outputs(options.out, f"{path.stem}{INVERSE}")) for path in paths]
        plan_outputs(named, [Path(options.weights)])
    if options.precision == "bf16":
        model.halve_weights()
    chosen = {key: getattr(options, key) for key in ("flip", "pad") if getattr(options, key) is not None}
    wanted = replace(model.as_authors, precision=options.precision, domain=options.domain, **chosen)
    limit = Limit("--max-pixels", options.max_pixels, "pixels")
    for path in tqdm(paths, unit="picture", disable=len(paths) == 1):  # one at a time: a folder needs no more memory
        picture = read_picture(path, "name an image file", "RGB", limit)
        try:
            depth = model(picture, wanted)
        except ZDError as error:
            raise ZDError(f"{path} by {options.weights}: {error}") from error
        stem = f"{path.stem}{INVERSE if relative else ''}"
        _write(options.out, stem, depth, relative)
        unit = "relative inverse depth" if relative else "m"
        tqdm.write(f"{path}: {depth.min():.2f} to {depth.max():.2f} {unit} -> {options.out / stem}.npy")


def _pictures(paths: Sequence[Path]) -> list[Path]:
    """The files among `paths`, and the image files of the folders among them."""
    from zdlib.data.sets.folder import IMAGE_SUFFIXES

    found: list[Path] = []
    for path in paths:
        inside = [path]
        if os.path.isdir(path):
            inside = sorted(p for p in path.glob("*") if p.suffix.lower() in IMAGE_SUFFIXES)
        if not inside:
            raise ZDError(
                f"{path}: no {', '.join(sorted(IMAGE_SUFFIXES))} in this folder: name image files, or another"
            )
        found.extend(inside)
    return found


def _outputs(folder: Path, stem: str) -> list[Path]:
    """The three files of one picture."""
    return [folder / f"{stem}{ending}" for ending in (".npy", ".png", "_preview.png")]


def _write(folder: Path, stem: str, depth: np.ndarray, relative: bool) -> None:
    """Write them, together or not at all."""
    from zdlib.models.depth_anything.picture_sizes import eight_bit

    raw = io.BytesIO()
    np.save(raw, depth)
    grey = eight_bit(depth) if relative else np.clip(np.round(depth * 1000), 0, 65535).astype(np.uint16)
    contents = [raw.getvalue()]
    for picture in (grey, _preview(depth, relative)):
        encoded = io.BytesIO()
        Image.fromarray(picture).save(encoded, "png")
        contents.append(encoded.getvalue())
    write_together(dict(zip(_outputs(folder, stem), contents, strict=True)))


def _preview(depth: np.ndarray, relative: bool) -> np.ndarray:
    """Depth in colours, with a colour bar that says what the numbers are; (h, w, 3) uint8. Near is dark.

    Of a large map every n-th pixel is shown.
    """
    from zdlib.colours import DEPTH_MAP
    from zdlib.paper.figures import new_figure

    depth = depth[:: -(-depth.shape[0] // FINEST), :: -(-depth.shape[1] // FINEST)]
    height, width = depth.shape
    figure = new_figure(8.0, min(max(8 * height / width * 0.85, 1.0), TALLEST))
    axes = figure.add_subplot()
    shown = axes.imshow(depth, cmap=DEPTH_MAP.reversed() if relative else DEPTH_MAP, interpolation="nearest")
    axes.set_axis_off()
    label = "relative inverse depth (larger is nearer; no unit)" if relative else "depth [m]"
    figure.colorbar(shown, label=label)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return np.array(Image.open(buffer).convert("RGB"))
