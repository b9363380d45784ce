"""`zdlib convert | info`: checkpoints between layouts, and what they hold."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zdlib.apps.commands import Commands
from zdlib.errors import ZDError
from zdlib.gates.outputs import plan_outputs

if TYPE_CHECKING:  # timm and torch take seconds to import: `--help` does without
    from zdlib.models.zoe.network import ZoeDepth


def add_parsers(commands: Commands) -> None:
    """Add both commands to the program's."""
    convert = commands.add_parser(
        "convert",
        help="between the official layout (.pt) and ours (.safetensors)",
        description="An official .pt to our .safetensors, or the reverse, by the names' endings.",
    )
    convert.add_argument("source", type=Path, metavar="IN")
    convert.add_argument("target", type=Path, metavar="OUT")
    convert.add_argument("--model", help="which model an official file holds; default: found by its keys and shapes")
    convert.set_defaults(run=_convert)

    info = commands.add_parser("info", help="what a checkpoint holds; without FILE, the models known by name")
    info.add_argument("file", nargs="?", type=Path, metavar="FILE", help="a checkpoint, or the name of a known model")
    info.set_defaults(run=_info)


def _convert(options: argparse.Namespace) -> None:
    from zdlib.models.checkpoints import load_checkpoint, save_checkpoint, save_official, stored_convention
    from zdlib.models.factory import load_depth_model

    plan_outputs([(options.source, [options.target])])
    endings = options.source.suffix, options.target.suffix
    if endings == (".safetensors", ".pt"):
        model, info = load_checkpoint(options.source)
        meant = stored_convention(info, options.source)
        squeezed = ", of squeezed pictures" if meant.portrait_resize else ""
        if meant.kind != "metric" or meant.metres_per_unit != 1 or meant.portrait_resize:
            raise ZDError(
                f"{options.source}: the official layout cannot say that its depth is {meant.kind}, in units of "
                f"{meant.metres_per_unit:g} m{squeezed}: keep it as it is"
            )
        save_official(options.target, model)
    elif endings[0] in (".pt", ".pth") and endings[1] == ".safetensors":
        official = load_depth_model(options.source, options.model)
        info = {"converted_from": options.source.name, "convention": official.convention.model_dump()}
        save_checkpoint(options.target, official.network, official.network.config, info)
    else:
        raise ZDError(f"{options.source} -> {options.target}: one must end in .pt, the other in .safetensors")
    print(f"{options.source} -> {options.target}")


def _info(options: argparse.Namespace) -> None:
    from zdlib.models.registry import list_models

    if options.file is None:
        print("\n".join(list_models()))
        return
    model, info = _describe(options.file)
    sizes = {name: sum(p.numel() for p in part.parameters()) for name, part in model.named_children()}
    print(json.dumps({"parameters": sizes | {"total": sum(sizes.values())}}, indent=1))
    print(
        json.dumps({"architecture": model.config.model_dump(mode="json"), "info": info}, indent=1, ensure_ascii=False)
    )


def _describe(source: Path) -> "tuple[ZoeDepth, dict[str, Any]]":
    """A checkpoint's model, or a known one without values; and what is known of it, long lists of frames counted."""
    import torch

    from zdlib.models.factory import create_model, load_depth_model
    from zdlib.models.registry import list_models

    if str(source) in list_models():
        with torch.device("meta"):
            return create_model(str(source)), {}
    model = load_depth_model(source)
    info = {k: f"{len(v)} numbers" if isinstance(v, list) and len(v) > 8 else v for k, v in model.info.items()}
    return model.network, info
