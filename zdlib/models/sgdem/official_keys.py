"""The authors' state dicts under our names: SGDepth's and SGDEM's one, monodepth2's three files."""

import re

from torch import Tensor

from zdlib.errors import ZDError
from zdlib.models.checkpoints import load_exactly
from zdlib.models.sgdem.network import SGDEM, STEPS, PoseNet

UNUSED = re.compile(r"(common|pose)\.encoder\.(dilated_conv\.conv|convx)\.|encoder\.fc\.")
"""Layers that their code has and never calls."""
_RULES = [
    (r"common\.encoder\.encoder\.(.*)", r"encoder.model.\1"),
    (r"common\.decoder\.blocks\.step_0\.(.*)", r"shared.\1"),
    (r"(depth|seg)\.decoder\.blocks\.step_(\d)\.(.*)", r"\1.steps.\2.\3"),
    (r"(depth|seg)\.multires\.convs\.(\d)\.(.*)", r"\1.heads.\2.\3"),
    (r"pose\.encoder\.encoder\.(.*)", r"pose.encoder.model.\1"),
    (r"pose\.decoder\.squeeze\.(.*)", r"pose.head.0.\1"),
    (r"pose\.decoder\.conv_(\d)\.(.*)", r"pose.head.\1.\2"),
]


def from_official(state: dict[str, Tensor], source: str) -> dict[str, Tensor]:
    """A state dict of SGDepth or SGDEM under our names; what their code never calls is left out.

    Raises:
        ZDError: a key of another network.
    """
    renamed = {}
    for key, value in state.items():
        if UNUSED.match(key):
            continue
        for pattern, replacement in _RULES:
            if re.fullmatch(pattern, key):
                renamed[_numbered(re.sub(pattern, replacement, key))] = value
                break
        else:
            raise ZDError(f"{source}: {key} is no tensor of SGDepth: take a checkpoint of it or of SGDEM")
    return renamed


def _numbered(key: str) -> str:
    """Step 1 is the first of a decoder's own; the pose head's convolutions have a ReLU between them."""
    key = key.replace("seg.", "segmentation.", 1) if key.startswith("seg.") else key
    if match := re.fullmatch(r"(\w+)\.steps\.(\d)\.(.*)", key):
        return f"{match[1]}.steps.{int(match[2]) - 1}.{match[3]}"
    if (match := re.fullmatch(r"pose\.head\.(\d)\.(.*)", key)) and match[1] != "0":
        return f"pose.head.{2 * int(match[1])}.{match[2]}"
    return key


def load_official(network: SGDEM, state: dict[str, Tensor], source: str) -> None:
    """Fill a network from a state dict of SGDepth or SGDEM.

    Raises:
        ZDError: a missing or unknown tensor, or one of another shape.
    """
    load_exactly(network, from_official(state, source), source)


def load_monodepth2(
    network: SGDEM,
    encoder: dict[str, Tensor],
    depth: dict[str, Tensor],
    pose_encoder: dict[str, Tensor] | None = None,
    pose: dict[str, Tensor] | None = None,
) -> None:
    """Fill a network without segmentation from monodepth2's files `encoder.pth`, `depth.pth`, and the pose network's.

    Args:
        network: with `pose_frames` 2 and `pose_factor` 0.01 where pose files are given; else its pose stays as it is.
        encoder: content of `encoder.pth`; the sizes that it also holds are ignored.
        depth: of `depth.pth`.
        pose_encoder: of `pose_encoder.pth`.
        pose: of `pose.pth`.

    Raises:
        ZDError: a missing or unknown tensor, or one of another shape.
    """
    load_exactly(network.encoder.model, _without_classifier(encoder), "encoder.pth")
    renamed = {}
    for key, value in depth.items():
        number, leaf = int(key.split(".")[1]), key.rpartition(".")[2]
        if number == 0:
            renamed[f"shared.conv.{leaf}"] = value
        elif number < STEPS:
            renamed[f"depth.steps.{number - 1}.conv.{leaf}"] = value
        else:
            renamed[f"depth.heads.{number - STEPS}.{leaf}"] = value
    load_exactly(network.shared, _under(renamed, "shared."), "depth.pth")
    load_exactly(network.depth, _under(renamed, "depth."), "depth.pth")
    if pose_encoder is not None and pose is not None:
        load_exactly(network.pose.encoder.model, _without_classifier(pose_encoder), "pose_encoder.pth")  # type: ignore[arg-type]
        heads = {f"{2 * int(key.split('.')[1])}.{key.rpartition('.')[2]}": value for key, value in pose.items()}
        load_exactly(network.pose.head, heads, "pose.pth")


def load_pose_cnn(pose: PoseNet, state: dict[str, Tensor]) -> None:
    """Fill seven convolutions from monodepth2's `PoseCNN`."""
    renamed = {}
    for key, value in state.items():
        leaf = key.rpartition(".")[2]
        renamed[f"head.{leaf}" if key.startswith("pose_conv") else f"encoder.{2 * int(key.split('.')[1])}.{leaf}"] = (
            value
        )
    load_exactly(pose, renamed, "pose.pth")


def _without_classifier(state: dict[str, Tensor]) -> dict[str, Tensor]:
    prefix = "encoder."
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix) and not UNUSED.match(k)}


def _under(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
