"""The reference implementation's weights and outputs (see tests/golden/README.md), for the tests of the models."""

import ast
import csv
from pathlib import Path

import numpy as np
import torch
from golden.weights_recipe import fill_recipe, recipe_image
from torch import Tensor

from zdlib.models.zoe.network import ZoeDepth

GOLDEN = Path(__file__).parent / "golden"


def official_state(name: str, seed: int = 0) -> dict[str, Tensor]:
    """The official state dict with the recipe's weights."""
    with open(GOLDEN / "state_dict_keys" / f"{name}.tsv", encoding="utf-8") as file:
        rows = [row[:3] for row in csv.reader(file, delimiter="\t")]
    state = {key: torch.zeros(ast.literal_eval(shape), dtype=getattr(torch, dtype)) for key, shape, dtype in rows}
    fill_recipe(state, seed)
    return state


def relative_error(found: np.ndarray, expected: np.ndarray) -> float:
    """Largest difference, as a share of the expected values' range."""
    return float(np.abs(found - expected).max() / (expected.max() - expected.min()))


def errors(model: ZoeDepth, fixture: str) -> dict[str, float]:
    """Run the fixture's image; relative error of the depth and of every stage's sample."""
    golden = np.load(GOLDEN / f"{fixture}.npz")
    height, width = (int(side) for side in golden["image_hw"])
    stages = {}

    def keep(module: torch.nn.Module, inputs: object, features: object) -> None:
        names = ("r4", "r3", "r2", "r1")
        stages.update(zip(names, features.fused, strict=True), out_conv=features.fine, l4_rn=features.bottleneck)

    hook = model.decoder.register_forward_hook(keep)
    with torch.no_grad():
        output = model(torch.from_numpy(recipe_image(height, width, int(golden["seed"])))[None])
    hook.remove()
    assert output.metric_depth.shape[2:] == tuple(golden["net_input_hw"])
    assert sum(p.numel() for p in model.parameters()) == int(golden["n_params"])
    size = output.metric_depth.shape[2:]
    stages["bin_centers"] = torch.nn.functional.interpolate(
        output.bin_centres, size=size, mode="bilinear", align_corners=True
    )
    stages |= {"metric_depth": output.metric_depth[0], "rel_depth": output.rel_depth[0]}
    found = {}
    for name, value in stages.items():
        steps = tuple(slice(None, None, int(step)) for step in golden[f"{name}_stride"])
        found[name] = relative_error(value[0].numpy()[steps], golden[f"{name}_sample"])
    if output.domain_logits is not None:
        found["domain_logits"] = relative_error(output.domain_logits[0].numpy(), golden["domain_logits"])
    return found
