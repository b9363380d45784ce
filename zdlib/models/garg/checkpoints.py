"""Weights of this family on disk, in the project's safetensors form."""

from pathlib import Path
from typing import Any

from zdlib.models.checkpoints import stored_convention
from zdlib.models.described import read_network, write_network
from zdlib.models.garg.architecture import GargArchitecture
from zdlib.models.garg.depth_model import GargDepthModel
from zdlib.models.garg.network import Network, network_of

FORMAT = "zdlib-garg-1"


def save_checkpoint(path: str | Path, network: Network, info: dict[str, Any]) -> None:
    """Write weights with what rebuilds the network and where they come from; see `zdlib.models.checkpoints`."""
    write_network(path, network, FORMAT, info)


def load_checkpoint(path: str | Path) -> tuple[Network, dict[str, Any]]:
    """The network that `save_checkpoint` wrote, in eval mode on the CPU; and the `info` it was saved with.

    Raises:
        ZDError: no such file, damaged, or not of this family.
    """
    return read_network(
        path, FORMAT, lambda config: network_of(GargArchitecture.model_validate(config)), "a network of stereo pairs"
    )


def load_depth_model(path: str | Path) -> GargDepthModel:
    """A checkpoint as a depth model.

    Raises:
        ZDError: see `load_checkpoint`.
    """
    network, info = load_checkpoint(path)
    return GargDepthModel(network, stored_convention(info, path), info)
