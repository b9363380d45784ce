import pytest
import torch
from tiny_models import tiny_model

from zdlib.models.layers.pixels import Pixels


@pytest.mark.parametrize(("step", "row", "column"), [(2, 0, 0), (2, 1, 0), (3, 2, 1)])
def test_pixels_of_a_convolution_are_those_of_the_whole(step, row, column):
    pixels = Pixels((12, 17), step, row, column)
    convolution = torch.nn.Conv2d(3, 5, 3, padding=1)
    x = torch.randn(2, 3, 12, 17)
    whole = convolution(x)
    torch.testing.assert_close(pixels.of_convolved(x, convolution), whole[:, :, row::step, column::step])


def test_the_nearest_pixels_of_a_truth_of_another_size():
    pixels = Pixels((4, 5), 2, 1, 0)
    truth = torch.arange(7 * 9).view(1, 7, 9)
    # Corner on corner, rows 1 and 3 of four are rows 2 and 6 of seven; columns 0, 2, 4 of five are 0, 4, 8 of nine.
    assert pixels.nearest(truth).tolist() == [[[18, 22, 26], [54, 58, 62]]]
    assert pixels.nearest(torch.arange(20).view(1, 4, 5)).tolist() == [[[5, 7, 9], [15, 17, 19]]]


def test_a_drawn_place_is_below_the_step_and_repeats_with_the_seed():
    torch.manual_seed(0)
    first = [Pixels.draw((8, 8), 3) for _ in range(30)]
    torch.manual_seed(0)
    assert [Pixels.draw((8, 8), 3) for _ in range(30)] == first
    assert {pixels.row for pixels in first} == {pixels.column for pixels in first} == {0, 1, 2}


@pytest.mark.parametrize("changes", [{}, {"output": "softmax"}, {"head": "naive"}, {"rel_depth_in_output": False}])
def test_some_outputs_of_a_network_are_those_of_the_whole(changes):
    torch.manual_seed(0)
    network = tiny_model(
        "swinv2_test_window4_64", segmentation=True, segmentation_channels=(16, 16, 8, 8, 8), **changes
    ).eval()
    images = torch.rand(2, 3, 70, 90)
    with torch.no_grad():
        whole, part = network(images, segmentation=True), network(images, segmentation=True, stride=2)
    assert whole.pixels is None
    for name in ("metric_depth", "rel_depth", "segmentation"):
        torch.testing.assert_close(getattr(part, name), part.pixels.of(getattr(whole, name)))


def test_gradients_are_those_of_the_same_pixels_of_the_whole():
    """In double precision, on every parameter that the outputs reach."""
    torch.manual_seed(0)
    network = tiny_model("swinv2_test_window4_64", segmentation=True, segmentation_channels=(16, 16, 8, 8, 8)).double()
    images = torch.rand(2, 3, 64, 64, dtype=torch.float64)
    out = network(images, segmentation=True, stride=2)
    part = (out.metric_depth.sum() + out.segmentation.square().sum(), out.pixels)
    gradients = torch.autograd.grad(part[0], list(network.parameters()), allow_unused=True)
    whole = network(images, segmentation=True)
    loss = part[1].of(whole.metric_depth).sum() + part[1].of(whole.segmentation).square().sum()
    expected = torch.autograd.grad(loss, list(network.parameters()), allow_unused=True)
    for a, b in zip(gradients, expected, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            torch.testing.assert_close(a, b)
