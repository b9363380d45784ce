"""Depth Anything in small, and the authors' weights and outputs (see tests/golden/README.md)."""

import ast
import csv

import numpy as np
import torch
import torch.nn.functional as F
from golden.weights_recipe import recipe_image
from golden.weights_recipe_da import fill_recipe_da
from golden_models import GOLDEN, relative_error
from tiny_models import enliven
from torch import Tensor

from zdlib.models.depth_anything.architecture import DepthAnythingConfig
from zdlib.models.depth_anything.checkpoints import create_model, fill_official
from zdlib.models.depth_anything.network import DepthAnything, ZoeDepthAnything
from zdlib.models.depth_anything.official_keys import Network

FOLDER = GOLDEN / "depth_anything"
TINY = DepthAnythingConfig(
    encoder="vit_test_patch14", taps=(0, 1, 2, 3), channels=(8, 8, 16, 32), decoder_channels=16, shortest_side=56
)


def tiny_network(seed: int = 0, **changes: object) -> DepthAnything:
    """So small that it is fast, with weights that are not at rest."""
    model = DepthAnything(TINY.model_copy(update=changes))
    enliven(model, seed)
    torch.nn.init.constant_(model.decoder.out_depth.bias, 1.0)
    return model.eval()


def key_table(name: str) -> list[list[str]]:
    """Rows of key, shape, type, and parameter or buffer of the authors' state dict."""
    with open(FOLDER / f"keys_{name}.tsv", encoding="utf-8") as file:
        return list(csv.reader(file, delimiter="\t"))


def official_state(name: str, seed: int, out_gain: float, out_bias: float) -> dict[str, Tensor]:
    """The authors' state dict with the recipe's weights."""
    rows = key_table(name)
    state = {key: torch.zeros(ast.literal_eval(shape), dtype=getattr(torch, kind)) for key, shape, kind, _ in rows}
    fill_recipe_da(state, seed, out_gain, out_bias)
    return state


def golden_network(name: str, keys: str, fixture: str, **changes: object) -> Network:
    """The network of a fixture, with its weights."""
    golden = np.load(FOLDER / f"{fixture}.npz")
    recipe = int(golden["seed"]), float(golden["out_gain"]), float(golden["out_bias"])
    model = create_model(name, **changes)
    fill_official(model, official_state(keys, *recipe), keys)
    assert sum(p.numel() for p in model.parameters()) == int(golden["n_params"])
    return model


def errors(model: Network, fixture: str) -> dict[str, float]:
    """Run the fixture's image; relative error of the depth and of every stage's sample."""
    golden = np.load(FOLDER / f"{fixture}.npz")
    height, width = (int(side) for side in golden["image_hw"])
    stages = _watch(model)
    with torch.no_grad():
        output = model(torch.from_numpy(recipe_image(height, width, int(golden["seed"])))[None])
    if isinstance(model, ZoeDepthAnything):
        size = output.metric_depth.shape[2:]
        assert size == tuple(golden["net_input_hw"])
        stages["bin_centers"] = F.interpolate(output.bin_centres, size=size, mode="bilinear", align_corners=True)
        stages |= {"metric_depth": output.metric_depth[0], "rel_depth": output.rel_depth[0]}
    else:
        stages["depth"] = output.depth[0]
        assert torch.equal(output.features, stages["t4"])
    names = [name.removesuffix("_stride") for name in golden.files if name.endswith("_stride")]
    compared = {name: (stages[name][0], f"{name}_sample") for name in names if name in stages}
    compared |= {name: (stages[name][0], name) for name in ("cls1", "cls4") if name in golden.files}
    found = {}
    for name, (value, key) in compared.items():
        steps = tuple(slice(None, None, int(step)) for step in golden.get(f"{name}_stride", ()))
        found[name] = relative_error(value.numpy()[steps], golden[key])
    assert set(names) - set(found) <= {"logits", "pos_embed"}
    return found


def _watch(model: Network) -> dict[str, Tensor]:
    """What the authors' stages are called, filled by the next forward pass."""
    stages: dict[str, Tensor] = {}

    def features(_, __, out):
        stages.update(zip(("r4", "r3", "r2", "r1"), out.fused, strict=True), out_conv=out.fine, l4_rn=out.bottleneck)

    model.decoder.register_forward_hook(features)
    model.decoder.out_half.register_forward_hook(lambda _, __, out: stages.update(output_conv1=out))
    for i in range(4):
        model.decoder.reduce[i].register_forward_hook(
            lambda _, inputs, out, i=i: stages.update({f"p{i + 1}": inputs[0], f"l{i + 1}_rn": out})
        )
        model.encoder.reassemble[i].register_forward_pre_hook(
            lambda _, inputs, i=i: stages.update({f"t{i + 1}": inputs[0][:, 1:], f"cls{i + 1}": inputs[0][:, 0]})
        )
    return stages
