"""Weights of this family on disk, in the project's safetensors form."""

from pathlib import Path
from typing import Any

from zdlib.models.checkpoints import stored_convention
from zdlib.models.described import read_network, write_network
from zdlib.models.sgdem.architecture import SGDEMArchitecture
from zdlib.models.sgdem.depth_model import SGDEMDepthModel
from zdlib.models.sgdem.network import SGDEM

FORMAT = "zdlib-sgdem-1"


def save_checkpoint(path: str | Path, network: SGDEM, info: dict[str, Any]) -> None:
    """Write weights with what rebuilds the network and where they come from; see `zdlib.models.checkpoints`."""
    write_network(path, network, FORMAT, info)


def load_checkpoint(path: str | Path) -> tuple[SGDEM, dict[str, Any]]:
    """The network that `save_checkpoint` wrote, in eval mode on the CPU; and the `info` it was saved with.

    Raises:
        ZDError: no such file, damaged, or not of this family.
    """
    return read_network(
        path, FORMAT, lambda config: SGDEM(SGDEMArchitecture.model_validate(config)), "a network of video"
    )


def load_depth_model(path: str | Path) -> SGDEMDepthModel:
    """A checkpoint as a depth model.

    Raises:
        ZDError: see `load_checkpoint`.
    """
    network, info = load_checkpoint(path)
    return SGDEMDepthModel(network, stored_convention(info, path), info)
