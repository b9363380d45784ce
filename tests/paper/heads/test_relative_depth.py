"""The pictures of relative depth are kept small, drawn without weights, and say whose weights they are of."""

from dataclasses import replace

import numpy as np
import pytest

from zdlib.config import ModelConfig
from zdlib.data.sample import Sample
from zdlib.errors import ZDError
from zdlib.files import read_json, sha256
from zdlib.models.depth_model import Convention
from zdlib.models.factory import build_model
from zdlib.models.zoe.depth_model import ZoeDepthModel
from zdlib.paper.heads import relative_depth
from zdlib.paths import RunPaths


def sample(number):
    rng = np.random.default_rng(number)
    depth = rng.uniform(1, 5, (48, 64)).astype(np.float32)
    depth[:4] = 0
    return Sample(f"room {number}", rng.integers(0, 256, (48, 64, 3)).astype(np.uint8), depth)


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """Two networks, whose pictures of two frames are kept."""
    monkeypatch.setenv("ZD_ROOT", str(tmp_path))
    (tmp_path / "profiles").mkdir()
    config = ModelConfig(
        encoder="tf_efficientnet_lite0",
        encoder_weights="none",
        input_size=(64, 96),
        decoder_channels=16,
        n_bins=8,
        bin_embedding_dim=8,
    )
    model = ZoeDepthModel(build_model(config).eval(), Convention(), {"title": "a network"})
    monkeypatch.setattr(relative_depth, "load_depth_model", lambda path: model)
    monkeypatch.setattr(relative_depth, "load_profile", lambda name: None)
    monkeypatch.setattr(relative_depth, "_frames", lambda profile: {"Rooms-N": [sample(0), sample(1)]})
    for name in ("before", "after"):
        (tmp_path / name).write_text(name)
    relative_depth.keep(tmp_path / "before", tmp_path / "after", RunPaths("relative"))
    return tmp_path


def test_what_is_kept_says_whose_it_is_and_is_small(kept):
    folder = kept / "results/relative/pictures"
    record = read_json(folder / "pictures.json")
    assert [entry["frame"] for entry in record["frames"]] == ["room 0", "room 1"]
    assert record["weights"]["after"] == {"sha256": sha256(kept / "after"), "title": "a network"}
    assert len(list(folder.iterdir())) == 1 + 2 * 5
    assert sum(path.stat().st_size for path in folder.iterdir()) < 250_000


def test_the_grid_needs_no_weights(kept, monkeypatch):
    monkeypatch.delattr(relative_depth, "load_depth_model")
    figure = relative_depth.grid("Rooms-N")
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles == ["RGB", "relative, stage one", "relative, fine-tuned", "ground truth", "prediction"]
    with pytest.raises(
        ZDError, match=r"has no picture of Rooms-I: python -m zdlib\.paper\.heads\.relative_depth makes"
    ):
        relative_depth.grid("Rooms-I")


def test_a_map_without_unit_fills_eight_bits():
    values = np.array([[0.2, 0.3], [0.4, 0.7]], np.float32)
    assert relative_depth._stretched(values).tolist() == [[0, 51], [102, 255]]
    assert not relative_depth._stretched(np.full((2, 2), 3, np.float32)).any()
    assert relative_depth._units(np.array([[0, 1.2344], [3, 99]], np.float32)).tolist() == [[0, 1234], [3000, 65535]]


def test_other_networks_have_no_relative_depth(monkeypatch, tmp_path):
    monkeypatch.setattr(relative_depth, "load_depth_model", lambda path: replace(sample(0)))
    with pytest.raises(ZDError, match="relative depth is that of ZoeDepth's decoder: name two of its checkpoints"):
        relative_depth.keep(tmp_path, tmp_path, RunPaths("relative"))
