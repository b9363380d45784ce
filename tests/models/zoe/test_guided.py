"""The positive control's network: labels travel in pictures, and change nothing before they are learnt."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_models import ENCODERS, tiny_model

from zdlib.models.checkpoints import load_checkpoint, network_of, save_checkpoint
from zdlib.models.zoe.architecture import Architecture
from zdlib.models.zoe.guided import GuidedZoeDepth, hidden_labels, hide_labels
from zdlib.models.zoe.network import ZoeDepth


@given(st.integers(0, 2**32 - 1))
def test_labels_come_out_as_they_went_in_and_pictures_hardly_change(seed):
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(2, 3, 5, 7, generator=generator)
    labels = torch.randint(0, 14, (2, 5, 7), generator=generator)
    carrying = hide_labels(images, labels)
    assert torch.equal(hidden_labels(carrying), labels)
    assert torch.equal(hidden_labels(carrying.flip(-1)), labels.flip(-1))
    assert (carrying - images).abs().max() <= 3.51 / 255
    assert carrying.min() >= 0
    assert carrying.max() <= 1
    eight_bits = (carrying * 255).round().byte()
    assert torch.equal(hidden_labels(eight_bits.float() / 255), labels)


@pytest.fixture(scope="module")
def config():
    return Architecture.model_validate(tiny_model(ENCODERS[1]).config.model_dump() | {"label_input": True})


def test_it_begins_as_zoedepth_and_then_depends_on_the_labels(config):
    torch.manual_seed(0)
    guided = network_of(config).eval()
    assert isinstance(guided, GuidedZoeDepth)
    plain = ZoeDepth(config.model_copy(update={"label_input": False})).eval()
    plain.load_state_dict({k: v for k, v in guided.state_dict().items() if not k.startswith("guides.")})
    labels = torch.randint(0, 14, (1, 64, 64))
    images = hide_labels(torch.rand(1, 3, 64, 64), labels)
    with torch.no_grad():
        assert torch.equal(guided(images).metric_depth, plain(images).metric_depth)
        for guide in guided.guides:
            guide.weight += 0.1 * torch.randn_like(guide.weight)
        other = hide_labels(images, (labels + 1) % 14)
        assert not torch.equal(guided(images).metric_depth, guided(other).metric_depth)


def test_every_parameter_is_learnt_once(config):
    guided = network_of(config, segmentation=True)
    learnt = [p for group in guided.parameter_groups(1e-3, 10.0) for p in group["params"]]
    assert len({id(p) for p in learnt}) == len(learnt) == len(list(guided.parameters()))


def test_a_checkpoint_gives_the_guided_network_back(config, tmp_path):
    guided = network_of(config)
    torch.nn.init.normal_(guided.guides[0].weight)
    save_checkpoint(tmp_path / "a.safetensors", guided, config, {})
    loaded, _ = load_checkpoint(tmp_path / "a.safetensors")
    assert isinstance(loaded, GuidedZoeDepth)
    assert np.array_equal(loaded.guides[0].weight.detach().numpy(), guided.guides[0].weight.detach().numpy())
