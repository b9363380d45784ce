"""Weights on disk: our own format (safetensors), the authors' (.pt); safely read and atomically written."""

import hashlib
import json
import sys
import zipfile
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from zdlib.config import ModelConfig
from zdlib.errors import ZDError
from zdlib.files import atomic_path
from zdlib.gates.opening import CHECKPOINT, explained, open_regular, reason, require_regular
from zdlib.models.depth_model import Convention
from zdlib.models.registry import ARCHITECTURES
from zdlib.models.zoe.architecture import Architecture
from zdlib.models.zoe.guided import GuidedZoeDepth
from zdlib.models.zoe.network import ZoeDepth
from zdlib.models.zoe.official_keys import from_official, official_keys, to_official
from zdlib.recipes import RECIPES

FORMAT = "zdlib-1"


def network_of(config: Architecture, segmentation: bool = False) -> ZoeDepth:
    """The network that an architecture describes, with random weights but for packaged ones."""
    return (GuidedZoeDepth if config.label_input else ZoeDepth)(config, segmentation)


def save_checkpoint(path: str | Path, model: ZoeDepth, config: ModelConfig, info: dict[str, Any]) -> None:
    """Write a model's weights with what rebuilds it and where it comes from.

    Args:
        path: `.safetensors`, written atomically; equal input gives equal bytes.
        model: its U-Net is written too if it was built.
        config: its architecture.
        info: anything JSON can say: metrics, recipe, frames trained on, git commit. What the depth means belongs
            there as `convention`, a `Convention` of plain values.
    """
    architecture = Architecture.model_validate(config.model_dump() | {"encoder_weights": "none"})
    description = {"format": FORMAT, "config": architecture.model_dump(mode="json"), "info": info}
    tensors = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
    description["sha256"] = content_hash(tensors, description)
    # One entry, because safetensors writes several in random order.
    metadata = {"zdlib": json.dumps(description, sort_keys=True)}
    write_safetensors(path, tensors, metadata)


def write_safetensors(path: str | Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write a safetensors file, atomically.

    Raises:
        ZDError: it cannot be written.
    """
    with atomic_path(path) as temporary:
        try:
            save_file(tensors, temporary, metadata)
        except SafetensorError as error:  # its writer's words for a full disk
            raise ZDError(f"{path}: cannot be written ({reason(error)}): free space") from error


def load_checkpoint(path: str | Path, segmentation: bool = False) -> tuple[ZoeDepth, dict[str, Any]]:
    """Build the model that `save_checkpoint` wrote, in eval mode on the CPU.

    Args:
        path: a checkpoint of ours.
        segmentation: build and load the U-Net too; without it, the model has no such parameters.

    Returns:
        The model, and the `info` it was saved with.

    Raises:
        ZDError: no such file, damaged, not ours, or without the U-Net that was asked for.
    """
    tensors, metadata = read_safetensors(path)
    with explained(path, "not a checkpoint of this project", "convert others with `zdlib convert`"):
        description = json.loads(metadata["zdlib"])
        digest = description.pop("sha256")
        config = Architecture.model_validate(description["config"])
        info = description["info"]
        if not isinstance(info, dict):
            raise TypeError(f"its info is a {type(info).__name__}")
        computed = content_hash(tensors, description)
    if digest != computed:
        raise ZDError(f"{path}: damaged (its SHA-256 does not match): get or write it again")
    if not segmentation:
        tensors = {key: value for key, value in tensors.items() if not key.startswith("unet.")}
    elif not any(key.startswith("unet.") for key in tensors):
        raise ZDError(f"{path}: holds no segmentation head: load it with segmentation=False")
    problem, fix = "describes a network that cannot be built", "get or write it again"
    try:
        with explained(path, problem, fix), torch.device("meta"):  # what it describes may be huge, its tensors are not
            skeleton = network_of(config.model_copy(update={"encoder_weights": "none"}), segmentation)
    except ZDError as error:
        raise ZDError(f"{path}: {problem}: {error}") from error
    require_exactly(skeleton, tensors, str(path))
    model = network_of(config, segmentation)
    load_exactly(model, tensors, str(path))
    return model.eval(), info


def stored_convention(info: dict[str, Any], source: str | Path) -> Convention:
    """What the depth of a checkpoint means, from the `info` it was saved with.

    A checkpoint of version 0.1 names its recipe, whose values are looked up in today's table; one without either was
    converted from an official file: metres.

    Raises:
        ZDError: values or a recipe that this version does not know.
    """
    try:
        if "convention" in info:
            return Convention.model_validate(info["convention"])
        return Convention.of(RECIPES[info["recipe"]]) if "recipe" in info else Convention()
    except (ValidationError, KeyError, TypeError) as error:
        raise ZDError(
            f"{source}: what its depth means was written by another version: use that one, or convert"
        ) from error


def load_exactly(model: torch.nn.Module, tensors: dict[str, Tensor], source: str) -> None:
    """`load_state_dict`, with every key, shape, type and number checked first.

    Half precision is computed in single, which is said; no other change of type is made.

    Raises:
        ZDError: as `require_exactly`; a weight is NaN or infinite, or of another type than numbers of its kind.
    """
    require_exactly(model, tensors, source)
    halves = set()
    for key, value in model.state_dict().items():
        given = tensors[key]
        if value.is_floating_point() and given.dtype in (torch.float16, torch.bfloat16) and value.dtype != given.dtype:
            halves.add(str(given.dtype).removeprefix("torch."))
        elif given.dtype != value.dtype:
            raise ZDError(
                f"{source}: {key} is {given.dtype}, not {value.dtype}: take the checkpoint of this very model"
            )
        if given.is_floating_point() and not torch.isfinite(given).all():
            raise ZDError(f"{source}: {key} holds weights that are not finite, so would its depth: take another")
    if halves and Path(source).parent != Path(__file__).with_name("weights"):  # our own are meant to be small
        print(f"{source}: its weights are {' and '.join(sorted(halves))}; computed in float32", file=sys.stderr)
    model.load_state_dict(tensors)


def require_exactly(model: torch.nn.Module, tensors: dict[str, Tensor], source: str) -> None:
    """Insist that tensors are those of a model, which may be without values (on the device meta).

    Raises:
        ZDError: a missing key, an unknown key or a wrong shape; the first few are listed.
    """
    own = model.state_dict()
    problems = [f"{key} is missing" for key in own if key not in tensors]
    problems += [f"{key} is unknown" for key in tensors if key not in own]
    problems += [
        f"{key} is {tuple(tensors[key].shape)}, not {tuple(value.shape)}"
        for key, value in own.items()
        if key in tensors and tensors[key].shape != value.shape
    ]
    if problems:
        more = f" and {len(problems) - 5} more" if len(problems) > 5 else ""
        raise ZDError(f"{source}: {'; '.join(problems[:5])}{more}: take the checkpoint of this very model")


def content_hash(tensors: dict[str, Tensor], description: dict[str, Any]) -> str:
    """SHA-256 over the description, and names, types, shapes and bytes of all tensors."""
    digest = hashlib.sha256(json.dumps(description, sort_keys=True).encode())
    for key, tensor in sorted(tensors.items()):
        digest.update(f"{key} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def load_weights(model: ZoeDepth, path: str | Path) -> dict[str, Any]:
    """Fill a model from a file of ours, an official ZoeDepth one, or a MiDaS one.

    A MiDaS file (no metric head) fills encoder and decoder, one with an encoder alone just that; every tensor of the
    parts it does fill must be there.

    Returns:
        The `info` of a file of ours; an empty dictionary for the others.

    Raises:
        ZDError: unreadable, unsafe, or another model's.
    """
    if Path(path).suffix == ".safetensors":
        loaded, info = load_checkpoint(path, segmentation=model.unet is not None)
        load_exactly(model, loaded.state_dict(), str(path))
        return info
    tensors = from_official(model, read_pickle(path), str(path))
    parts = {key.split(".")[0] for key in tensors}
    if not parts:
        raise ZDError(f"{path}: holds no weights: take the checkpoint of this very model")
    for part in ("encoder", "decoder", "head"):
        if part in parts:
            own = {key.removeprefix(f"{part}."): v for key, v in tensors.items() if key.startswith(f"{part}.")}
            load_exactly(getattr(model, part), own, str(path))
    return {}


def identify(path: str | Path) -> str:
    """Which model an official ZoeDepth file holds, by its keys and shapes.

    Raises:
        ZDError: unreadable, or none that this library knows.
    """
    shapes = {key.removeprefix("module."): tuple(value.shape) for key, value in read_pickle(path).items()}
    for name, config in ARCHITECTURES.items():
        if config.encoder.startswith(("swin", "beit_")):
            with torch.device("meta"):
                state = ZoeDepth(config).state_dict()
            keys = official_keys(state, config)
            if all(shapes.get(theirs) == tuple(state[ours].shape) for ours, theirs in keys.items()):
                return name
    raise ZDError(f"{path}: not a whole ZoeDepth model of a known kind: name it with --model")


def save_official(path: str | Path, model: ZoeDepth) -> None:
    """Write a `.pt` that the authors' code loads; the U-Net is left out. Atomic.

    Raises:
        ZDError: their code cannot express this model.
    """
    tensors = to_official(model)
    with atomic_path(path) as temporary:
        try:
            torch.save({"model": tensors}, temporary)
        except RuntimeError as error:  # torch's writer does not say why
            raise ZDError(f"{path}: cannot be written ({reason(error)}): free space") from error


def read_pickle(path: str | Path) -> dict[str, Tensor]:
    """Tensors of a `.pt` file: a state dict, bare or under "model". No code in it is ever run.

    Raises:
        ZDError: missing, damaged, compressed (torch never writes that, a zip bomb is), or with more than tensors in it.
    """
    problem, fix = "damaged, or holds more than tensors (nothing in it was run)", "name another checkpoint"
    with open_regular(path, fix, CHECKPOINT) as file, explained(path, problem, fix):
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as archive:
                if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
                    raise ZDError(f"{path}: compressed inside, so not written by torch: do not trust it")
                if (broken := archive.testzip()) is not None:
                    raise ZDError(f"{path}: damaged ({broken} fails its checksum): get it again")
        file.seek(0)
        content = torch.load(file, map_location="cpu", weights_only=True)
    if isinstance(content, dict) and isinstance(content.get("model"), dict):
        content = content["model"]
    plain = isinstance(content, dict) and all(
        isinstance(key, str) and isinstance(value, Tensor) and value.layout == torch.strided
        for key, value in content.items()
    )
    if not plain:
        raise ZDError(f"{path}: not a state dict: take a checkpoint of ZoeDepth or MiDaS")
    return content


def read_safetensors(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a safetensors file.

    Raises:
        ZDError: missing or damaged.
    """
    fix = "train the model first, or name another checkpoint"
    require_regular(path, fix, CHECKPOINT)
    with (
        explained(path, "damaged or not safetensors", "get or write it again"),
        safe_open(path, framework="pt") as file,
    ):
        return {key: file.get_tensor(key) for key in list(file.keys())}, file.metadata() or {}


def safetensors_keys(path: str | Path) -> list[str]:
    """Names of a safetensors file's tensors; none for any other file."""
    try:
        with safe_open(path, framework="pt") as file:
            return list(file.keys())
    except Exception:  # whatever is wrong with it: whoever reads it says so
        return []
