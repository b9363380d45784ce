"""`zdlib convert | info`: checkpoints between layouts, and what they hold."""

import argparse
import json
from pathlib import Path
from typing import Any

from zdlib.apps.commands import Commands
from zdlib.errors import ZDError
from zdlib.gates.outputs import plan_outputs


def add_parsers(commands: Commands) -> None:
    """Add both commands to the program's."""
    convert = commands.add_parser(
        "convert",
        help="between the official layout (.pt, .pth) and ours (.safetensors)",
        description="An official .pt or .pth to our .safetensors, or the reverse, by the names' endings; of Depth "
        "Anything also from and to transformers' model.safetensors.",
    )
    convert.add_argument("source", type=Path, metavar="IN")
    convert.add_argument("target", type=Path, metavar="OUT")
    convert.add_argument("--model", help="which model an official file holds; default: found by its keys and shapes")
    convert.add_argument(
        "--layout",
        choices=["ours", "transformers"],
        default="ours",
        help="of a .safetensors OUT: transformers' is for Depth Anything and ZoeDepth with BEiT (default ours)",
    )
    convert.add_argument("--half", action="store_true", help="weights of 16 bit, half the size: ZoeDepth of ours only")
    convert.set_defaults(run=_convert)

    info = commands.add_parser("info", help="what a checkpoint holds; without FILE, the models known by name")
    info.add_argument("file", nargs="?", type=Path, metavar="FILE", help="a checkpoint, or the name of a known model")
    info.add_argument("--model", help="which model an official file holds; default: found by its keys and shapes")
    info.set_defaults(run=_info)


def _convert(options: argparse.Namespace) -> None:
    from zdlib.models.catalogue import load_depth_model, require_sayable, save_as
    from zdlib.models.factory import is_transformers
    from zdlib.models.zoe.network import ZoeDepth

    plan_outputs([(options.source, [options.target])])
    endings = options.source.suffix, options.target.suffix
    if options.half and (endings[1] != ".safetensors" or options.layout != "ours"):
        raise ZDError(f"--half: {options.target}: is a layout of others: leave --half out, or write a .safetensors")
    official = [ending in (".pt", ".pth") for ending in endings]
    # transformers' layout on one side, or another precision
    others = options.model is not None or options.layout != "ours" or options.half or is_transformers(options.source)
    if not set(endings) <= {".pt", ".pth", ".safetensors"} or all(official) or not (any(official) or others):
        raise ZDError(f"{options.source} -> {options.target}: one must end in .pt or .pth, the other in .safetensors")
    model = load_depth_model(options.source, options.model)
    if official[1]:
        require_sayable(model, options.source)
    if options.half:
        if not isinstance(model.network, ZoeDepth):
            raise ZDError(f"{options.source}: --half is for ZoeDepth alone: leave it out")
        model.network.half()
    converted = {"converted_from": options.source.name, "convention": model.convention.model_dump()}
    save_as(options.target, model, model.info or converted, options.layout)
    print(f"{options.source} -> {options.target}")


def _info(options: argparse.Namespace) -> None:
    from zdlib.models.catalogue import list_models

    if options.file is None:
        print("\n".join(list_models()))
        return
    model, info = _describe(options.file, options.model)
    sizes = {name: sum(p.numel() for p in part.parameters()) for name, part in model.named_children()}
    print(json.dumps({"parameters": sizes | {"total": sum(sizes.values())}}, indent=1))
    print(
        json.dumps({"architecture": model.config.model_dump(mode="json"), "info": info}, indent=1, ensure_ascii=False)
    )


def _describe(source: Path, name: str | None) -> tuple[Any, dict[str, Any]]:
    """A checkpoint's model, or a known one without values; and what is known of it, long lists of frames counted."""
    import torch

    from zdlib.models.catalogue import create_model, list_models, load_depth_model

    if str(source) in list_models():
        with torch.device("meta"):
            return create_model(str(source)), {}
    model = load_depth_model(source, name)
    info = {k: f"{len(v)} numbers" if isinstance(v, list) and len(v) > 8 else v for k, v in model.info.items()}
    return model.network, info
