"""METER: the authors' files and outputs where the weights are at hand, its structure and conventions everywhere."""

import numpy as np
import pytest
import torch
from golden.weights_recipe import recipe_image
from golden_models import GOLDEN

from zdlib.errors import ZDError
from zdlib.gates.downloads import cache_folder, copies, locate
from zdlib.models.depth_model import Inference
from zdlib.models.meter import IMAGENET_MEAN, IMAGENET_STD, Meter, MeterModel, load_meter
from zdlib.models.released import METER


def weights_of(name):
    path = locate(METER[name], (*copies(), cache_folder()))
    if path is None:
        pytest.skip(f"the weights of {name} are not at hand: zdlib predict --model {name} fetches them")
    return path


@pytest.mark.parametrize(
    ("name", "size"),
    [("meter_nyu", "192x256"), ("meter_nyu", "256x320"), ("meter_kitti", "192x640"), ("meter_kitti", "128x384")],
)
def test_outputs_are_those_of_the_authors_code(name, size):
    network = load_meter(name, str(weights_of(name))).network
    images = torch.from_numpy(recipe_image(*map(int, size.split("x")), 0))[None].float()
    if name == "meter_nyu":
        images = (images - torch.tensor(IMAGENET_MEAN).view(3, 1, 1)) / torch.tensor(IMAGENET_STD).view(3, 1, 1)
    with np.load(GOLDEN / "meter_xxs.npz") as golden, torch.no_grad():
        expected = golden[f"{name.removeprefix('meter_')}_{size}/output"]
    with torch.no_grad():
        depth = network(images)[0, 0].numpy()
    assert np.abs(depth - expected).max() < 1e-4 * np.ptp(expected)


def test_it_is_the_network_of_the_paper():
    network = Meter()
    assert sum(parameter.numel() for parameter in network.parameters()) == 713_464
    assert len(network.state_dict()) == 261
    assert network(torch.zeros(1, 3, 128, 192)).shape == (1, 1, 32, 48)


def test_another_network_s_weights_are_refused(tmp_path):
    state = Meter().state_dict()
    del state["decoder.conv2d_out.weight"]
    torch.save(state, tmp_path / "w")
    with pytest.raises(ZDError, match=r"w: decoder\.conv2d_out\.weight is missing: take"):
        load_meter("meter_nyu", str(tmp_path / "w"))


class Means(torch.nn.Module):
    """Gives the mean of its input's red channel everywhere, and remembers the input's size."""

    def forward(self, x):
        self.size = tuple(x.shape[2:])
        return x[:, :1].mean((2, 3), keepdim=True).expand(-1, -1, 4, 4)


@pytest.mark.parametrize(
    ("name", "size", "metres"),
    [("meter_nyu", (192, 256), (0.6 - 0.485) / 0.229 * 0.01), ("meter_kitti", (192, 640), 0.6 * 0.1)],
)
def test_colours_size_and_unit_of_each_release(name, size, metres):
    model = MeterModel(name)
    model.network = torch.nn.Sequential(Means(), torch.nn.Conv2d(1, 1, 1, bias=False))
    torch.nn.init.ones_(model.network[1].weight)
    depth = model(np.full((30, 50, 3), 153, np.uint8), Inference(flip=True, full_size=True))
    assert model.network[0].size == size
    np.testing.assert_allclose(depth, np.full((30, 50), metres), rtol=1e-4)
