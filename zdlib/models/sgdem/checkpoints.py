"""Weights of this family on disk, in the project's safetensors form."""

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from zdlib.errors import ZDError
from zdlib.models.checkpoints import load_exactly, stored_convention
from zdlib.models.described import read_described, write_described
from zdlib.models.sgdem.architecture import SGDEMArchitecture
from zdlib.models.sgdem.depth_model import SGDEMDepthModel
from zdlib.models.sgdem.network import SGDEM

FORMAT = "zdlib-sgdem-1"


def save_checkpoint(path: str | Path, network: SGDEM, info: dict[str, Any]) -> None:
    """Write weights with what rebuilds the network and where they come from; see `zdlib.models.checkpoints`."""
    config = network.config.model_dump(mode="json")
    write_described(path, network, {"format": FORMAT, "config": config, "info": info})


def load_checkpoint(path: str | Path) -> tuple[SGDEM, dict[str, Any]]:
    """The network that `save_checkpoint` wrote, in eval mode on the CPU; and the `info` it was saved with.

    Raises:
        ZDError: no such file, damaged, or not of this family.
    """
    tensors, description = read_described(path)
    try:
        if description.get("format") != FORMAT:
            raise ValueError(description.get("format"))
        network = SGDEM(SGDEMArchitecture.model_validate(description["config"]))
    except (ValidationError, ValueError) as error:
        raise ZDError(f"{path}: no checkpoint of a network of video: name another file") from error
    load_exactly(network, tensors, str(path))
    return network.eval(), description["info"]


def load_depth_model(path: str | Path) -> SGDEMDepthModel:
    """A checkpoint as a depth model.

    Raises:
        ZDError: see `load_checkpoint`.
    """
    network, info = load_checkpoint(path)
    return SGDEMDepthModel(network, stored_convention(info, path), info)
