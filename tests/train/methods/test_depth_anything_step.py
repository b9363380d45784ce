"""One step of a student in float64, against the authors' networks under the derived losses (tests/golden/README.md)."""

import json

import numpy as np
import pytest
import torch
from golden.weights_recipe import recipe_image
from tiny_depth_anything import FOLDER, official_state
from torch import Tensor

from zdlib.losses.depth_anything import cutmix_loss, feature_alignment_loss, labelled_loss
from zdlib.models.depth_anything.checkpoints import create_model, load_exactly
from zdlib.models.depth_anything.network import DepthAnything, encode
from zdlib.models.depth_anything.official_keys import from_official, official_keys

STEP = json.loads((FOLDER / "train_step.json").read_text())


def image(name: str) -> Tensor:
    height, width = STEP["image_hw"]
    return torch.from_numpy(recipe_image(height, width, STEP["image_seeds"][name])).double()[None]


def network(state: dict[str, Tensor]) -> DepthAnything:
    model = create_model("depth_anything_v1_s").double()
    load_exactly(model, from_official(model, state, "recipe"), "recipe")
    return model


def recipe(seed: int) -> dict[str, Tensor]:
    state = official_state("v1_vits", seed, STEP["out_gain"], STEP["out_bias"])
    return {key: value.double() for key, value in state.items()}


def losses(student: DepthAnything, teacher: DepthAnything, median: str = "middle") -> dict[str, Tensor]:
    y0, y1, x0, x1 = STEP["cutmix_box_y0y1x0x1"]
    labelled, u_a, u_b = (image(name) for name in ("labelled", "u_a", "u_b"))
    box = torch.zeros(1, 1, *STEP["image_hw"], dtype=torch.bool)
    box[..., y0:y1, x0:x1] = True
    target = image("target").mean(1, keepdim=True)
    target = (target - target.min()) / (target.max() - target.min())
    mixed = torch.where(box, u_a, u_b)
    with torch.no_grad():
        maps = [teacher(picture).depth for picture in (u_a, u_b)]
        _, frozen = encode(teacher.encoder, teacher.encoder.normalise(mixed))
    out = student(mixed)
    parts = {
        "l_l": labelled_loss(student(labelled).depth, target, torch.ones_like(box), median),
        "l_u": cutmix_loss(out.depth, *maps, box, median=median),
        "l_feat": feature_alignment_loss(out.features, frozen),
    }
    return parts | {"mean": torch.stack(list(parts.values())).mean()}


@pytest.mark.slow
def test_losses_gradients_and_what_a_step_does():
    teacher = network(recipe(STEP["teacher_seed"]))
    (first, second), share = (recipe(seed) for seed in STEP["student_seeds"]), STEP["student_mix"]
    student = network({key: (1 - share) * value + share * second[key] for key, value in first.items()})
    lower = losses(student, teacher, "lower")
    for name, value in lower.items():
        assert value.item() == pytest.approx(STEP["losses_lower_median"][name], abs=1e-6)
    parts = losses(student, teacher)
    for name, value in parts.items():
        assert value.item() == pytest.approx(STEP["losses"][name], abs=1e-6)
    parts["mean"].backward()
    theirs = official_keys(student.state_dict(), student)
    gradients = {theirs[name]: p.grad for name, p in student.named_parameters()}
    assert sorted(name for name, g in gradients.items() if g is None) == STEP["grad_none"]
    for name, norm in STEP["grad_norms"].items():
        assert gradients[name].norm().item() == pytest.approx(norm, rel=2e-4), name
    total = np.sqrt(sum(g.square().sum().item() for g in gradients.values() if g is not None))
    assert total == pytest.approx(STEP["total_grad_norm"], rel=2e-4)
    pretrained = [p for name, p in student.named_parameters() if theirs[name].startswith("pretrained")]
    head = [p for name, p in student.named_parameters() if theirs[name].startswith("depth_head")]
    groups = [{"params": pretrained, "lr": 5e-6}, {"params": head, "lr": 5e-5}]
    assert [{id(p) for p in group["params"]} | {id(student.encoder.mask_token)} for group in groups[:1]] == [
        {id(p) for p in student.parameter_groups(5e-5, 10.0)[0]["params"]} | {id(student.encoder.mask_token)}
    ]
    torch.optim.AdamW(groups, weight_decay=0.01).step()
    for name, value in losses(student, teacher).items():
        assert value.item() == pytest.approx(STEP["losses_after_one_adamw_step"][name], abs=2e-5), name
