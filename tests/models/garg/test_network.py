import json
from itertools import pairwise

import pytest
import self_supervised as fixtures
import torch

from zdlib.errors import ZDError
from zdlib.models.depth_model import Convention, Inference
from zdlib.models.garg.architecture import GargArchitecture
from zdlib.models.garg.checkpoints import load_depth_model, save_checkpoint
from zdlib.models.garg.depth_model import GargDepthModel
from zdlib.models.garg.network import Doubling, GargNet, SnippetNet, enlarge, level_sizes, network_of

ARTICLE = [(5, 19), (11, 38), (22, 76), (44, 152), (88, 304), (176, 608)]
SMALL = GargArchitecture(width=0.05, input_size=(96, 160))


def outputs(network, level=None, seed=0):
    image = torch.rand(2, 3, *network.config.input_size, generator=torch.Generator().manual_seed(seed))
    return network(image, level=level)


def test_sizes_and_parameters_are_those_of_the_table():
    with torch.device("meta"):
        network = GargNet(GargArchitecture())
    assert level_sizes(network.config) == ARTICLE
    counts = {name: sum(p.numel() for p in part.parameters()) for name, part in network.stem.named_children()}
    expected = {"c1": 34944, "c2": 614656, "c3": 885120, "c4": 1327488, "c5": 884992, "c6": 13109248}
    assert {name: count for name, count in counts.items() if count} == expected
    assert sum(p.numel() for p in network.c7.parameters()) == 2049


def test_other_sizes_follow_the_skips():
    assert level_sizes(GargArchitecture(input_size=(128, 416)))[-1] == (120, 408)
    assert level_sizes(GargArchitecture(variant="resnet50_half", input_size=(160, 608)))[-1] == (160, 608)


@pytest.mark.parametrize("variant", ["article", "resnet50_half"])
def test_disparity_starts_at_zero_and_gradients_flow(variant):
    torch.manual_seed(0)
    network = network_of(SMALL.model_copy(update={"variant": variant})).train()
    disparities = outputs(network, level=5)
    assert all(not d.any() for d in disparities)
    sum((d - 1).square().sum() for d in disparities).backward()
    assert network.c7.weight.grad.any()
    assert all(skip.weight.grad.any() for skip in network.skips)
    assert int(network.level) == 5


def test_a_step_of_c7_opens_the_rest():
    torch.manual_seed(0)
    network = GargNet(SMALL)
    torch.nn.init.normal_(network.c7.weight)
    outputs(network, level=5)[-1].square().sum().backward()
    assert all(parameter.grad.any() for parameter in network.stem.parameters())


def test_a_new_level_starts_as_the_one_before_enlarged():
    torch.manual_seed(0)
    network = GargNet(SMALL).eval()
    torch.nn.init.normal_(network.c7.weight)
    levels = outputs(network, level=5)
    for before, after in pairwise(levels[:3]):
        assert torch.allclose(after, enlarge(before, tuple(after.shape[2:])))
    for before, after in pairwise(levels[2:]):
        smooth = enlarge(before, tuple(after.shape[2:]))
        assert torch.allclose(after[..., 1:-1, 1:-1], smooth[..., 1:-1, 1:-1], atol=1e-6)
    # In widths of the picture all levels say the same, but for their borders.
    means = [(level / level.shape[3]).mean().item() for level in levels]
    assert means == pytest.approx([means[0]] * 6, rel=0.2)


def test_enlargements_are_the_fixtures():
    case = json.loads((fixtures.FIXTURES / "garg_cases.json").read_text())["upsample"]
    x = torch.tensor(case["x"])[None, None]
    assert torch.allclose(Doubling()(x)[0, 0], torch.tensor(case["transposed_conv_times_2"]))
    assert torch.allclose(enlarge(x, (4, 6))[0, 0], torch.tensor(case["half_pixel_bilinear_times_2"]))


def test_the_printed_snippet_learns_nothing():
    """With C7 at zero its last ReLU is off everywhere, and its sizes are not those of its comments."""
    torch.manual_seed(0)
    network = SnippetNet(GargArchitecture(variant="snippet", width=0.05))
    disparities = outputs(network, level=5)
    assert [tuple(d.shape[2:]) for d in disparities] == [(2, 16), (4, 32), (8, 64), (16, 128), (32, 256), (64, 512)]
    (disparities[-1] - 1).square().sum().backward()
    weights = [*network.stem.parameters(), *network.c7.parameters()]
    assert not any(p.grad.any() for p in weights)
    assert (disparities[-1] >= 0).all()


def test_metres_are_those_of_the_pairs_cameras(tmp_path):
    torch.manual_seed(0)
    network = GargNet(SMALL).eval()
    network.metres.fill_(0.3)
    network.c7.bias.data.fill_(0.2)  # of L7's grid
    model = GargDepthModel(network, Convention(max_depth=50.0))
    picture = torch.rand(1, 3, 50, 90)
    depth = model.depth(picture, Inference(flip=False, full_size=True))
    assert depth.shape[2:] == (50, 90)
    share = 0.2 / level_sizes(SMALL)[0][1]
    assert depth[0, 0, 20:30, 30:60].mean().item() == pytest.approx(0.3 / share, rel=1e-3)
    network.c7.bias.data.fill_(-1)  # nothing is farther than the farthest
    assert model.depth(picture, Inference(flip=False)).max().item() == pytest.approx(50)

    path = tmp_path / "pairs.safetensors"
    info = {"convention": model.convention.model_dump()}
    save_checkpoint(path, network, info)
    again = load_depth_model(path)
    assert torch.equal(again.depth(picture, Inference()), model.depth(picture, Inference()))
    path.write_bytes(path.read_bytes()[:-4] + b"abcd")
    with pytest.raises(ZDError, match="damaged"):
        load_depth_model(path)


def test_a_network_that_saw_no_pair_gives_no_metres():
    model = GargDepthModel(GargNet(SMALL).eval())
    with pytest.raises(ZDError, match="knows no camera"):
        model.depth(torch.rand(1, 3, 96, 160), Inference())
