"""`zdlib predict`: metric depth of pictures, as files."""

import argparse
import io
import os
from collections.abc import Sequence
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


def add_parser(commands: Commands) -> None:
    """Add the command to the program's."""
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
    from zdlib.models.depth_model import Inference
    from zdlib.models.factory import load_depth_model

    paths = _pictures(options.images)
    plan_outputs([(path, _outputs(options.out, path.stem)) for path in paths], [Path(options.weights)])
    model = load_depth_model(options.weights, options.model, options.device)
    if model.convention.kind == "relative":
        raise ZDError(f"{options.weights}: gives relative depth, not metres: take a checkpoint of metric depth")
    if options.precision == "bf16":
        model.halve_weights()
    wanted = Inference(
        flip=options.flip, pad=options.pad, full_size=True, precision=options.precision, domain=options.domain
    )
    limit = Limit("--max-pixels", options.max_pixels, "pixels")
    for path in tqdm(paths, unit="picture", disable=len(paths) == 1):  # one at a time: a folder needs no more memory
        picture = read_picture(path, "name an image file", "RGB", limit)
        try:
            depth = model(picture, wanted)
        except ZDError as error:
            raise ZDError(f"{path} by {options.weights}: {error}") from error
        _write(options.out, path.stem, depth)
        tqdm.write(f"{path}: {depth.min():.2f} to {depth.max():.2f} m -> {options.out / path.stem}.npy")


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


def _write(folder: Path, stem: str, depth: np.ndarray) -> None:
    """Write them, together or not at all."""
    raw = io.BytesIO()
    np.save(raw, depth)
    millimetres = np.clip(np.round(depth * 1000), 0, 65535).astype(np.uint16)
    contents = [raw.getvalue()]
    for picture in (millimetres, _preview(depth)):
        encoded = io.BytesIO()
        Image.fromarray(picture).save(encoded, "png")
        contents.append(encoded.getvalue())
    write_together(dict(zip(_outputs(folder, stem), contents, strict=True)))


def _preview(depth: np.ndarray) -> np.ndarray:
    """Depth in colours, with a colour bar in metres; (h, w, 3) uint8. Of a large one every n-th pixel is shown."""
    from zdlib.colours import DEPTH_MAP
    from zdlib.paper.figures import new_figure

    depth = depth[:: -(-depth.shape[0] // FINEST), :: -(-depth.shape[1] // FINEST)]
    height, width = depth.shape
    figure = new_figure(8.0, min(max(8 * height / width * 0.85, 1.0), TALLEST))
    axes = figure.add_subplot()
    shown = axes.imshow(depth, cmap=DEPTH_MAP, interpolation="nearest")
    axes.set_axis_off()
    figure.colorbar(shown, label="depth [m]")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return np.array(Image.open(buffer).convert("RGB"))
