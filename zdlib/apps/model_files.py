"""A checkpoint that a user names, ours or an official one, as a network."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from zdlib.errors import ZDError

if TYPE_CHECKING:  # timm and torch take seconds to import: `--help` does without
    from zdlib.models.zoe.network import ZoeDepth


def load_model(path: Path, name: str | None) -> "tuple[ZoeDepth, dict[str, Any]]":
    """The model of a checkpoint of any kind, and what is known of it.

    Args:
        path: ours (`.safetensors`) or an official one (`.pt`).
        name: a name that `zdlib info` lists; None = found in the file.

    Raises:
        ZDError: the file cannot be read, or holds another model than `name`.
    """
    from zdlib.models.checkpoints import identify, load_checkpoint
    from zdlib.models.factory import create_model
    from zdlib.models.registry import architecture

    if path.suffix == ".safetensors":
        model, info = load_checkpoint(path)
        if name is not None and architecture(name) != model.config:
            raise ZDError(f"{path}: holds another model than {name}: leave --model out, the file says what it holds")
        return model, info
    return create_model(name or identify(path), weights=str(path)), {}
