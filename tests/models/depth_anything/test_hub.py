"""Depth Anything by name from a hub: a local server, small random weights in both layouts that the hub has."""

import io

import numpy as np
import pytest
import torch
from downloads_server import serving
from huggingface_hub import constants
from PIL import Image
from safetensors.torch import save
from tiny_depth_anything import TINY, tiny_network

from zdlib.apps.command_line import main
from zdlib.errors import ZDError
from zdlib.models.choice import chosen_model
from zdlib.models.depth_anything import registry
from zdlib.models.depth_anything.depth_model import DepthAnythingModel
from zdlib.models.depth_anything.official_keys import to_official
from zdlib.models.depth_anything.transformers_keys import to_transformers
from zdlib.models.depth_model import Convention
from zdlib.models.hub import HUB, on_hub

NAME = "depth_anything_v2_s"
HF, AUTHORS = HUB[NAME]
PATHS = [f"/{release.repository}/resolve/main/{release.file}" for release in (HF, AUTHORS)]


def pickled(tensors: dict[str, torch.Tensor]) -> bytes:
    content = io.BytesIO()
    torch.save(tensors, content)
    return content.getvalue()


@pytest.fixture(scope="module")
def network():
    return tiny_network()


@pytest.fixture
def hub(network, tmp_path, monkeypatch):
    monkeypatch.setitem(registry.ARCHITECTURES, NAME, TINY)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_ETAG_TIMEOUT", 1)
    contents = save(to_transformers(network)), pickled(to_official(network))
    with serving(dict(zip(PATHS, contents, strict=True))) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server


PICTURE = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)


def expected(network):
    return DepthAnythingModel(network, Convention(kind="relative"))(PICTURE)


@pytest.mark.parametrize("name", [NAME, HF.repository, AUTHORS.repository])
def test_a_name_is_enough_in_both_layouts(hub, network, name):
    said = []
    model = chosen_model(name, say=said.append)
    np.testing.assert_array_equal(model(PICTURE), expected(network))
    assert model.convention.kind == "relative"
    (line,) = said
    assert "Apache-2.0" in line
    assert (AUTHORS.file if name == AUTHORS.repository else HF.file) in line
    count = len(hub.requests)
    chosen_model(name, say=said.append)
    assert (len(said), len(hub.requests)) == (1, count), "the second time, no network is needed"


def test_where_one_layout_is_missing_the_other_is_taken(hub, network):
    del hub.files[PATHS[0]]
    np.testing.assert_array_equal(chosen_model(NAME, say=lambda _: None)(PICTURE), expected(network))
    hub.files.clear()
    chosen_model(NAME, say=lambda _: None)  # from the cache, whichever layout lies there


def test_nothing_in_the_authors_layout_is_run(hub, tmp_path):
    class Evil:
        def __reduce__(self):
            return (tmp_path / "trace").mkdir, ()

    hub.files[PATHS[1]] = pickled({"model": Evil()})
    with pytest.raises(ZDError, match="nothing in it was run"):
        chosen_model(AUTHORS.repository, say=lambda _: None)
    assert not (tmp_path / "trace").exists()


def test_without_both_the_first_is_named(hub):
    hub.files.clear()
    with pytest.raises(ZDError, match=r"V2-Small-hf/resolve/main/model\.safetensors: cannot be downloaded"):
        chosen_model(NAME, say=lambda _: None)


def test_a_broken_download_is_no_reason_to_take_another_file(hub, tmp_path):
    hub.break_after = 1000
    with pytest.raises(ZDError, match=r"model\.safetensors: cannot be downloaded"):
        chosen_model(NAME, say=lambda _: None)
    assert not any(path == PATHS[1] for _, path, _ in hub.requests)


def test_predict_fetches_once(hub, tmp_path, network, capsys):
    Image.fromarray(PICTURE).save(tmp_path / "room.png")
    command = ["predict", str(tmp_path / "room.png"), "--model", NAME, "-o", str(tmp_path / "out")]
    assert main(command) == 0
    assert "from http://127.0.0.1" in capsys.readouterr().err
    depth = np.load(tmp_path / "out" / "room_inverse_depth.npy")
    np.testing.assert_array_equal(depth, expected(network))
    assert main([*command[:-1], str(tmp_path / "again")]) == 0
    assert "from http" not in capsys.readouterr().err
    assert sum(verb == "GET" for verb, _, _ in hub.requests) == 1
    assert main([*command, "--points"]) == 1
    assert f"{NAME}: gives relative depth" in capsys.readouterr().err


def test_every_network_of_both_versions_has_a_release_in_each_layout():
    vits = {key for key, config in registry.ARCHITECTURES.items() if key.startswith("depth_anything_v")}
    assert vits <= set(HUB)
    for key in vits:
        layouts = [release.file.rpartition(".")[2] for release in HUB[key]]
        assert layouts[0] == "safetensors"
        assert layouts[1] in ("pth", "bin")
    names = [release.repository for releases in HUB.values() for release in releases]
    assert len(names) == len(set(names))
    assert on_hub("depth-anything/Depth-Anything-V2-Metric-VKITTI-Large") == (
        "depth_anything_v2_metric_outdoor_l",
        (HUB["depth_anything_v2_metric_outdoor_l"][1],),
    )
    assert on_hub("zoe_swin2_b") is None
