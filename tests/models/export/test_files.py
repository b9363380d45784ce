"""Exported files: ONNX Runtime and torch.export compute what PyTorch does, of every family, and say what it means."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny_depth_anything
import torch
from tiny_models import ENCODERS, enliven, tiny_model

from zdlib.errors import ZDError
from zdlib.models.depth_anything.depth_model import DepthAnythingModel
from zdlib.models.depth_model import Convention, DepthModel, Inference
from zdlib.models.export import files
from zdlib.models.export.pictures import Pictures, example, trace
from zdlib.models.factory import create_model
from zdlib.models.meter import MeterModel
from zdlib.models.zoe.architecture import Domain
from zdlib.models.zoe.depth_model import ZoeDepthModel

onnx = pytest.importorskip("onnx", reason="the extra export is not installed")
pytest.importorskip("onnxruntime", reason="the extra export is not installed")

SIZE = (72, 100)
AGREEMENT = 1e-4  # of the depth's range
BEIT, SWIN, SWIN2 = ENCODERS
DOMAINS = (Domain(name="nyu"), Domain(name="kitti", max_depth=80.0))
FEW = {"n_attractors": (2, 2, 2, 2), "n_bins": 16}
NK = {"domains": DOMAINS, "projector_hidden": 16, "bottleneck": 4, "rel_depth_in_output": False}


def zoe(encoder: str, convention: Convention | None = None, **changes: object) -> ZoeDepthModel:
    return ZoeDepthModel(tiny_model(encoder, **FEW, **changes), convention)


def meter() -> MeterModel:
    model = MeterModel("meter_nyu")
    enliven(model.network, 0)
    return model


FAMILIES = {
    "light": lambda: zoe("tf_efficientnet_lite0", Convention(canonical_focal=60.0, metres_per_unit=2.0)),
    "swin": lambda: zoe(SWIN, Convention(portrait_resize=True)),
    "swin2": lambda: zoe(SWIN2),
    "beit": lambda: zoe(BEIT, keep_aspect_ratio=True),
    "k": lambda: zoe(BEIT, bin_type="normed"),
    "nk": lambda: zoe(BEIT, **NK),
    "depth anything": lambda: DepthAnythingModel(tiny_depth_anything.tiny_network(), Convention(kind="relative")),
    "depth anything, metric": lambda: DepthAnythingModel(tiny_depth_anything.tiny_network(max_depth=20.0)),
    "meter": meter,
}


def slow_but(*fast: str) -> list[object]:
    """All families; those that are not named as slow ones."""
    return [pytest.param(name, marks=() if name in fast else pytest.mark.slow) for name in FAMILIES]


def inference(family: str) -> Inference:
    """Every option once, and the fixed head of NK."""
    changes = {"beit": {"pad": True}, "swin2": {"flip": True}, "light": {"focal": 90.0}, "nk": {"domain": "kitti"}}
    return replace(Inference(flip=False, full_size=True), **changes.get(family, {}))


def expected(model: DepthModel, options: Inference, pictures: torch.Tensor) -> np.ndarray:
    return model.depth(pictures.permute(0, 3, 1, 2).float() / 255, options)[:, 0].numpy()


@pytest.fixture(scope="module")
def light(tmp_path_factory):
    """The light network and its file."""
    model, path = FAMILIES["light"](), tmp_path_factory.mktemp("light") / "light.onnx"
    assert files.export(model, inference("light"), SIZE, path, "light") <= AGREEMENT
    return model, path


def check_onnx(model: DepthModel, options: Inference, path: Path) -> None:
    """Another number of pictures than was traced, and others."""
    pictures = example(SIZE, 3)
    depth = files.onnx_session(path)(pictures.numpy())
    assert depth.shape == (3, *SIZE)
    assert files.relative_difference(depth, expected(model, options, pictures)) <= AGREEMENT
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_onnx_runtime_computes_what_pytorch_does_for_the_light_network(light):
    check_onnx(light[0], inference("light"), light[1])


@pytest.mark.parametrize("family", slow_but("depth anything")[1:])
def test_onnx_runtime_computes_what_pytorch_does(family, tmp_path):
    model, options, path = FAMILIES[family](), inference(family), tmp_path / "model.onnx"
    assert files.export(model, options, SIZE, path, family) <= AGREEMENT
    check_onnx(model, options, path)


@pytest.mark.parametrize("family", slow_but("depth anything"))
def test_an_exported_program_computes_what_pytorch_does(family, tmp_path):
    model, options = FAMILIES[family](), inference(family)
    path = tmp_path / "model.pt2"
    assert files.export(model, options, SIZE, path, family) <= AGREEMENT
    said = {"zdlib.json": ""}
    program = torch.export.load(path, extra_files=said)
    pictures = example(SIZE, 3)
    with torch.no_grad():
        depth = program.module()(pictures).numpy()
    assert files.relative_difference(depth, expected(model, options, pictures)) <= AGREEMENT
    assert json.loads(said["zdlib.json"]) == files.describe(model, options, SIZE, family)


def test_a_file_says_what_its_numbers_mean(light):
    model, path = light
    held = onnx.load(path)
    said = files.describe(model, inference("light"), SIZE, "light")
    assert {entry.key: entry.value for entry in held.metadata_props} == said
    assert said["unit"] == "metres"
    assert said["focal_length"].startswith("90 pixels")
    (given,), (made,) = held.graph.input, held.graph.output
    assert (given.name, made.name) == ("pictures", "depth")
    assert given.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert [side.dim_param or side.dim_value for side in given.type.tensor_type.shape.dim] == ["batch", *SIZE, 3]
    assert [side.dim_value for side in made.type.tensor_type.shape.dim][1:] == list(SIZE)


def test_domains_limits_and_relative_depth_are_named():
    routed = files.describe(FAMILIES["nk"](), Inference(flip=False, full_size=True), SIZE, "nk")
    assert routed["domain"] == "by the router"
    assert files.describe(FAMILIES["nk"](), inference("nk"), SIZE, "nk")["domain"] == "kitti"
    assert files.describe(FAMILIES["meter"](), inference("meter"), SIZE, "meter")["max_depth"] == "10"
    relative = files.describe(FAMILIES["depth anything"](), inference("depth anything"), SIZE, "da")
    assert relative["unit"].startswith("none: inverse depth")
    assert relative["output"].startswith("inverse_depth:")


def test_a_file_that_computes_something_else_is_not_written(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_run_program", lambda path, pictures: np.zeros((1, *SIZE), np.float32))
    model, options = FAMILIES["depth anything"](), inference("depth anything")
    with pytest.raises(ZDError, match=r"^small: its \.pt2 would differ from PyTorch by .*, and is not written"):
        files.export(model, options, SIZE, tmp_path / "small.pt2", "small")
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_traced_is_one_line(tmp_path):
    class Odd(DepthAnythingModel):
        def forward(self, images, domain=None):
            depth = super().forward(images, domain)
            return depth if float(depth.mean()) > 0 else -depth  # a graph has no such choice

    model = Odd(tiny_depth_anything.tiny_network(), Convention(kind="relative"))
    with pytest.raises(ZDError, match=r"^odd: cannot be written as \.onnx \(.*\): use `zdlib predict`$") as raised:
        files.export(model, inference("odd"), SIZE, tmp_path / "odd.onnx", "odd")
    assert len(str(raised.value)) < 400
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("family", ["depth anything", pytest.param("swin2", marks=pytest.mark.slow)])
def test_the_network_is_left_as_it_was(family):
    model, options = FAMILIES[family](), inference("any")
    pictures = example(SIZE)
    before = expected(model, options, pictures)
    kinds = [type(part) for part in (model, *model.network.modules())]
    attention = torch.nn.functional.scaled_dot_product_attention
    model.network.train()
    trace(Pictures(model, options, SIZE), pictures)
    assert model.network.training
    assert [type(part) for part in (model, *model.network.modules())] == kinds
    assert torch.nn.functional.scaled_dot_product_attention is attention
    np.testing.assert_array_equal(expected(model, options, pictures), before)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["zoe_swin2_t", "zoe_nk_beit_l"])
def test_networks_in_full_size(name, tmp_path):
    """As released but for their weights; BEiT-L with six of its blocks, which differ in nothing."""
    torch.manual_seed(0)
    network = create_model(name)
    if name == "zoe_nk_beit_l":
        network.encoder.model.blocks = network.encoder.model.blocks[:6]
        network.encoder.taps = [1, 2, 4, 5]
    enliven(network, 0)
    model = ZoeDepthModel(network)
    assert (
        files.export(model, Inference(flip=False, full_size=True), (240, 320), tmp_path / "n.onnx", name) <= AGREEMENT
    )
