"""`zdlib export`: a network as a file that runs without this library."""

import argparse
import os
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from zdlib.apps.commands import Commands
from zdlib.apps.predict_command import degrees, usual_inference
from zdlib.errors import ZDError

if TYPE_CHECKING:  # torch takes its time: `--help` does without
    from zdlib.models.depth_model import DepthModel, Inference

SIDES = 16, 8192  # shortest and longest side of a picture
_WEIGHTS = (".safetensors", ".pt", ".pth")


def add_parser(commands: Commands) -> None:
    """Add the command to the program's."""
    export = commands.add_parser(
        "export",
        help="a network as ONNX or for torch.export, pictures to metres",
        description="Writes one file that takes pictures as they are (`pictures`: uint8 RGB, batch × height × width × "
        "3) and gives their depth at their size (`depth`: float32 metres, batch × height × width; of a network of "
        "relative depth `inverse_depth`). Colours, resizing and units are inside. The batch is free; height and width "
        "are those of --size. The depth is that of `zdlib predict --no-flip` with the same options. Before the file "
        "appears, it is run and compared with PyTorch; the difference is printed. What it holds "
        "and means is in its metadata (ONNX) or in its zdlib.json (.pt2). ONNX needs the extra export.",
    )
    export.add_argument(
        "source",
        metavar="MODEL|FILE",
        help="a checkpoint, or a name that `zdlib predict --model` takes without one",
    )
    export.add_argument("-o", "--out", type=Path, required=True, metavar="OUT", help="what to write: .onnx or .pt2")
    export.add_argument("--model", help="which model an official FILE holds; default: found by its keys and shapes")
    export.add_argument(
        "--size", type=_size, default=(480, 640), metavar="HxW", help="of the pictures, in pixels (default 480x640)"
    )
    export.add_argument(
        "--fov",
        type=degrees,
        metavar="DEGREES",
        help="the camera's horizontal field of view; default: that of a 28 mm lens. It counts for zoe_light",
    )
    export.add_argument("--domain", help="the one head to write, of a model with several (nyu, kitti); default: routed")
    export.add_argument(
        "--pad",
        action=argparse.BooleanOptionalAction,
        help="surround the picture by its reflection, or do not (default: as `zdlib predict`)",
    )
    export.add_argument("--flip", action="store_true", help="average with the mirrored picture's: twice the time")
    export.set_defaults(run=_run)


def _size(text: str) -> tuple[int, int]:
    """Height and width.

    Raises:
        argparse.ArgumentTypeError: they are none.
    """
    match = re.fullmatch(r"(\d{1,5})[x×](\d{1,5})", text)
    sides = tuple(map(int, match.groups())) if match else (0, 0)
    if not all(SIDES[0] <= side <= SIDES[1] for side in sides):
        raise argparse.ArgumentTypeError(f"{text}: give height x width, each from {SIDES[0]} to {SIDES[1]}: 480x640")
    return sides[0], sides[1]


def _run(options: argparse.Namespace) -> None:
    from zdlib.gates.outputs import plan_outputs
    from zdlib.models.choice import PACKAGED_FILE, chosen_model
    from zdlib.models.export.files import KINDS, export, require_onnx

    if options.out.suffix not in KINDS:
        raise ZDError(f"{options.out}: ends in neither {' nor '.join(KINDS)}: name it so")
    is_file = os.path.lexists(options.source) or options.source.endswith(_WEIGHTS)
    if options.model and not is_file:
        raise ZDError(f"--model {options.model}: {options.source} is a name already: leave one of them out")
    plan_outputs([(Path(options.source) if is_file else PACKAGED_FILE, [options.out])])
    if options.out.suffix == ".onnx":
        require_onnx()
    name, weights = (options.model, options.source) if is_file else (options.source, None)
    model = chosen_model(name, weights, "cpu", lambda line: print(f"zdlib: {line}", file=sys.stderr))
    said = Path(options.source).name if is_file else options.source
    difference = export(model, _wanted(options, model), options.size, options.out, said)
    size = options.out.stat().st_size / 1e6
    print(f"{options.source} -> {options.out}: {size:.1f} MB; differs from PyTorch by {difference:.0e} of the range")


def _wanted(options: argparse.Namespace, model: "DepthModel") -> "Inference":
    """How the file predicts."""
    from zdlib.geometry import view_focal

    usual = usual_inference(model)
    pad = usual.pad if options.pad is None else options.pad
    focal = None if options.fov is None else view_focal(options.fov, options.size[1])
    return replace(usual, flip=options.flip, pad=pad, domain=options.domain, focal=focal)
