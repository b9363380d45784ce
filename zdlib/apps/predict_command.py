"""`zdlib predict`: metric depth of pictures and videos, as files."""

import argparse
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from zdlib.apps.commands import Commands
from zdlib.apps.start_up import without_compiler
from zdlib.errors import ZDError

LARGEST = 32_000_000  # pixels of a picture, without --max-pixels

if TYPE_CHECKING:  # torch takes its time: `--help` does without
    from zdlib.models.depth_model import DepthModel, Inference


def add_parser(commands: Commands) -> None:
    """Add the command to the program's."""
    predict = commands.add_parser(
        "predict",
        help="metric depth of pictures and videos",
        description="Writes OUT/NAME.npy (float32 metres), OUT/NAME.png (16 bit, millimetres, at most 65535) and "
        "OUT/NAME_preview.png, at the picture's resolution. Of a network of relative depth, "
        "OUT/NAME_inverse_depth.npy (float32, larger is nearer, scale and shift unknown), OUT/NAME_inverse_depth.png "
        "(8 bit, its own range stretched) and OUT/NAME_inverse_depth_preview.png. Of a video OUT/NAME_depth.mp4, the "
        "previews of its frames. "
        "Without --model and --weights, the light network that comes with zdlib.",
    )
    predict.add_argument(
        "images", nargs="+", type=Path, metavar="IMAGE", help="pictures, videos, folders of them, or patterns ('*.jpg')"
    )
    predict.add_argument(
        "--model",
        help="zoe_light, meter_nyu, meter_kitti, zoe_beit_l, zoe_k_beit_l, zoe_nk_beit_l, depth_anything_v2_s and its "
        "like, or the hub's name of such a repository: fetched once if need be; or, with --weights, any name that "
        "`zdlib info` lists",
    )
    predict.add_argument("--weights", help="a checkpoint: ours, an official one (.pt), or transformers'")
    predict.add_argument("-o", "--out", type=Path, default=Path("depth"), help="folder to write to (default depth)")
    predict.add_argument(
        "--fov",
        type=degrees,
        metavar="DEGREES",
        help="the camera's horizontal field of view; default: by the picture's EXIF, else that of a 28 mm lens. Metres "
        "of zoe_light scale with it",
    )
    predict.add_argument("--points", action="store_true", help="also OUT/NAME.ply and .glb, coloured points in metres")
    predict.add_argument("--domain", help="head of a model with several (nyu, kitti); default: the router decides")
    predict.add_argument(
        "--scene", choices=["indoor", "outdoor"], help="the same by what is seen: indoor is nyu, outdoor kitti"
    )
    _add_ways(predict)
    predict.set_defaults(run=_run)


def _add_ways(predict: argparse.ArgumentParser) -> None:
    """Options about how the network is run."""
    predict.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1, … (default cpu)")
    predict.add_argument(
        "--pad",
        action=argparse.BooleanOptionalAction,
        help="surround the picture by its reflection, or do not. Padding smooths the borders but changes the scale: "
        "it moves ZoeDepth's RMSE on NYU from 0.270 to 0.375 m, so benchmarks are run without (default: ZoeDepth's "
        "official weights with, others without)",
    )
    predict.add_argument(
        "--flip",
        action=argparse.BooleanOptionalAction,
        help="average with the mirrored picture's prediction, or do not: half the time; ZoeDepth's published 0.270 m "
        "is with it (default: Depth Anything without, others with)",
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


def degrees(text: str) -> float:
    """An angle that a lens can see.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 1 <= value <= 170:
        raise argparse.ArgumentTypeError(f"{text}: give degrees between 1 and 170")
    return value


def _run(options: argparse.Namespace) -> None:
    from tqdm import tqdm

    from zdlib.apps.prediction.depth_files import INVERSE, output_files
    from zdlib.apps.prediction.points import require_trimesh
    from zdlib.apps.prediction.sources import is_video, picture_files, require_av
    from zdlib.gates.outputs import plan_outputs

    paths = picture_files(options.images)
    outputs = {path: output_files(options.out, path, options.points) for path in paths}
    weights = [Path(options.weights)] if options.weights else []
    plan_outputs([(path, outputs[path]) for path in paths], weights)
    if options.points:
        require_trimesh()
    if any(map(is_video, paths)):
        require_av()
    model = _model(options)
    if model.convention.kind == "relative":
        if options.points or any(map(is_video, paths)):
            raise ZDError(
                f"{options.weights or options.model}: gives relative depth, not metres: no points and no videos are "
                "made of it"
            )
        outputs = {path: output_files(options.out, path, False, INVERSE) for path in paths}
        plan_outputs([(path, outputs[path]) for path in paths], weights)
    wanted = wanted_inference(model, options.domain, options.scene, options.flip, options.pad)
    wanted = replace(wanted, precision=options.precision)
    for path in tqdm(paths, unit="picture", disable=len(paths) == 1):  # one at a time: a folder needs no more memory
        line = (_predict_video if is_video(path) else _predict_picture)(model, path, outputs[path], wanted, options)
        tqdm.write(f"{path}: {line} -> {outputs[path][0]}")


def _model(options: argparse.Namespace) -> "DepthModel":
    """The network that was asked for.

    Raises:
        ZDError: it cannot be had.
    """
    with without_compiler():
        from zdlib.models.choice import chosen_model

        model = chosen_model(
            options.model, options.weights, options.device, lambda line: print(f"zdlib: {line}", file=sys.stderr)
        )
    if options.precision == "bf16" and hasattr(model.network, "decoder"):  # others are cast as they compute
        model.halve_weights()
    return model


def wanted_inference(
    model: "DepthModel",
    domain: str | None = None,
    scene: str | None = None,
    flip: bool | None = None,
    pad: bool | None = None,
) -> "Inference":
    """The usual way with a picture, changed where something is given.

    Args:
        model: the network.
        domain: the head to use, of a model with several.
        scene: the same by what is seen, `indoor` or `outdoor`; of no effect on a model with one head.
        flip: average with the mirrored picture's prediction.
        pad: surround the picture by its reflection.

    Raises:
        ZDError: `domain` and `scene` are both given.
    """
    if domain and scene:
        raise ZDError("--domain and --scene choose the same thing: leave one out")
    domain = domain or {"indoor": "nyu", "outdoor": "kitti"}.get(scene or "")
    if scene and not model.domains[1:]:  # one head for every scene
        domain = None
    usual = usual_inference(model)
    flip, pad = usual.flip if flip is None else flip, usual.pad if pad is None else pad
    return replace(usual, domain=domain, flip=flip, pad=pad)


def usual_inference(model: "DepthModel") -> "Inference":
    """How pictures are predicted that are to be looked at: as the network's authors do it, where that is possible."""
    if model.convention.canonical_focal is not None:  # a border would be a part of the picture for its lens
        return replace(model.as_authors, pad=False)
    return model.as_authors


def _predict_picture(
    model: "DepthModel", path: Path, outputs: list[Path], wanted: "Inference", options: argparse.Namespace
) -> str:
    """Write a picture's files; what is said of it."""
    from zdlib.apps.prediction.depth_files import depth_contents
    from zdlib.apps.prediction.points import cloud_files
    from zdlib.apps.prediction.scale import unit
    from zdlib.apps.prediction.sources import focal_in_use, read_photograph
    from zdlib.files import write_together
    from zdlib.gates.opening import Limit
    from zdlib.geometry import assumed_focal

    photograph = read_photograph(path, Limit("--max-pixels", options.max_pixels, "pixels"))
    focal = focal_in_use(photograph, options.fov)
    try:
        depth = model(photograph.image, replace(wanted, focal=focal))
    except ZDError as error:
        raise ZDError(f"{path} by {options.weights or options.model or 'zoe_light'}: {error}") from error
    relative = model.convention.kind == "relative"
    contents = depth_contents(depth, relative)
    if options.points:
        contents += cloud_files(photograph.image, depth, focal or assumed_focal(*depth.shape)).values()
    write_together(dict(zip(outputs, contents, strict=True)))
    return f"{depth.min():.2f} to {depth.max():.2f} {unit(model)}"


def _predict_video(
    model: "DepthModel", path: Path, outputs: list[Path], wanted: "Inference", options: argparse.Namespace
) -> str:
    """Write a video of previews, frame by frame; what is said of it."""
    from tqdm import tqdm

    from zdlib.apps.prediction.depth_files import plain_preview
    from zdlib.apps.prediction.sources import VIDEO_RATE, video_frames, video_writer
    from zdlib.files import atomic_path
    from zdlib.geometry import view_focal

    frames, far = 0, None
    with ExitStack() as stack:
        append = stack.enter_context(video_writer(stack.enter_context(atomic_path(outputs[0])), VIDEO_RATE))
        for image in tqdm(video_frames(path), unit="frame", desc=path.name, mininterval=1):
            focal = None if options.fov is None else view_focal(options.fov, image.shape[1])
            depth = model(image, replace(wanted, focal=focal))
            far = float(depth.max()) if far is None else far  # one scale for all frames: the first's
            append(plain_preview(depth, far))
            frames += 1
        if not frames:
            raise ZDError(f"{path}: has no frame: name another video")
    return f"{frames} frames, colours up to {far:.2f} m"
