import contextlib
import json
import os
import pickle
import zipfile

import numpy as np
import pytest
import torch
from golden_models import errors, official_state
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open

from zdlib.errors import ZDError
from zdlib.models import checkpoints
from zdlib.models.checkpoints import (
    load_checkpoint,
    load_exactly,
    load_weights,
    read_pickle,
    save_checkpoint,
    save_official,
)
from zdlib.models.depth_model import Convention, Inference
from zdlib.models.factory import build_model, create_model, load_depth_model
from zdlib.models.registry import ARCHITECTURES, architecture
from zdlib.models.zoe.architecture import Architecture
from zdlib.models.zoe.network import ZoeDepth
from zdlib.models.zoe.official_keys import from_official, official_keys, to_official
from zdlib.recipes import RECIPES

SMALL = Architecture(
    encoder="tf_efficientnet_lite0",
    input_size=(64, 96),
    decoder_channels=16,
    bin_embedding_dim=16,
    segmentation_channels=(16, 16, 8, 8, 8),
)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    torch.manual_seed(0)
    model = build_model(SMALL, segmentation=True).eval()
    path = tmp_path_factory.mktemp("checkpoint") / "model.safetensors"
    save_checkpoint(path, model, SMALL, {"recipe": "corrected", "delta1": 0.9})
    return path, model


def test_round_trip(saved):
    path, model = saved
    loaded, info = load_checkpoint(path)
    assert info == {"recipe": "corrected", "delta1": 0.9}
    assert loaded.unet is None
    assert not loaded.training
    images = torch.rand(1, 3, 64, 96)
    assert torch.equal(loaded(images).metric_depth, model(images).metric_depth)
    whole, _ = load_checkpoint(path, segmentation=True)
    for key, value in model.state_dict().items():
        assert torch.equal(whole.state_dict()[key], value)


# --- what the depth of a checkpoint means ---


def test_a_checkpoint_says_what_its_depth_means(saved, tmp_path, monkeypatch):
    """Values, not a name: another table of recipes changes nothing."""
    convention = Convention(metres_per_unit=1000.0, portrait_resize=True, min_depth=1.0, max_depth=9.0, void="class")
    path, info = tmp_path / "c.safetensors", {"recipe": "corrected", "convention": convention.model_dump()}
    save_checkpoint(path, saved[1], SMALL, info)
    monkeypatch.setattr(checkpoints, "RECIPES", {})
    model = load_depth_model(path, segmentation=True)
    assert model.convention == convention
    assert model.info == info
    x = torch.rand(1, 3, 48, 64)
    squeezed = torch.nn.functional.interpolate(x, (64, 48), mode="bilinear")
    with torch.inference_mode():
        expected = saved[1](squeezed).metric_depth * 1000
    assert torch.equal(model.depth(x, Inference(flip=False)), expected)


@pytest.mark.parametrize("recipe", sorted(RECIPES))
def test_a_checkpoint_of_version_0_1_names_its_recipe(saved, tmp_path, recipe):
    """As they were written then: format zdlib-1, and no values."""
    old = {"profile": "demo", "run": "distill", "title": "x", "recipe": recipe, "seg_weight": 0.1, "seed": 43}
    save_checkpoint(tmp_path / "old.safetensors", saved[1], SMALL, old)
    assert load_depth_model(tmp_path / "old.safetensors").convention == Convention.of(RECIPES[recipe])


def test_a_converted_checkpoint_of_version_0_1_is_in_metres(saved, tmp_path):
    save_checkpoint(tmp_path / "old.safetensors", saved[1], SMALL, {"converted_from": "ZoeD.pt"})
    assert load_depth_model(tmp_path / "old.safetensors").convention == Convention()


@pytest.mark.parametrize(
    "info", [{"recipe": "of tomorrow"}, {"convention": {"feet_per_unit": 1}}, {"convention": 3}, {"recipe": []}]
)
def test_depth_of_unknown_meaning_is_refused(saved, tmp_path, info):
    save_checkpoint(tmp_path / "new.safetensors", saved[1], SMALL, info)
    with pytest.raises(ZDError, match=r"new\.safetensors: what its depth means was written by another version"):
        load_depth_model(tmp_path / "new.safetensors")


def test_equal_models_give_equal_bytes(saved, tmp_path):
    path, model = saved
    save_checkpoint(tmp_path / "again.safetensors", model, SMALL, {"delta1": 0.9, "recipe": "corrected"})
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()


def test_segmentation_that_is_not_there(tmp_path):
    save_checkpoint(tmp_path / "depth.safetensors", build_model(SMALL), SMALL, {})
    with pytest.raises(ZDError, match="no segmentation head"):
        load_checkpoint(tmp_path / "depth.safetensors", segmentation=True)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_is_noticed(saved, tmp_path, place, bit):
    content = bytearray(saved[0].read_bytes())
    content[int(place**4 * len(content))] ^= 1 << bit  # half of them in the header's first part
    (tmp_path / "bad.safetensors").write_bytes(content)
    with pytest.raises(ZDError, match=r"bad\.safetensors"):
        load_checkpoint(tmp_path / "bad.safetensors")


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 0.999))
def test_truncation_is_noticed(saved, tmp_path, share):
    content = saved[0].read_bytes()
    (tmp_path / "bad.safetensors").write_bytes(content[: int(share * len(content))])
    with pytest.raises(ZDError, match=r"bad\.safetensors"):
        load_checkpoint(tmp_path / "bad.safetensors")


def test_a_missing_file_and_a_foreign_one(tmp_path):
    from safetensors.torch import save_file

    with pytest.raises(ZDError, match="no such file"):
        load_checkpoint(tmp_path / "nowhere.safetensors")
    save_file({"x": torch.zeros(1)}, tmp_path / "foreign.safetensors")
    with pytest.raises(ZDError, match="not a checkpoint of this project"):
        load_checkpoint(tmp_path / "foreign.safetensors")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("head.conv.bias"), "head.conv.bias is missing"),
        (lambda s: s.update(extra=torch.zeros(1)), "extra is unknown"),
        (lambda s: s.update({"head.conv.bias": torch.zeros(3)}), r"head.conv.bias is \(3,\), not \(16,\)"),
    ],
)
def test_keys_and_shapes_are_checked(saved, change, message):
    state = dict(saved[1].state_dict())
    change(state)
    with pytest.raises(ZDError, match=message):
        load_exactly(saved[1], state, "file")


# --- the authors' checkpoints ---


@pytest.fixture(scope="module")
def official(tmp_path_factory):
    path = tmp_path_factory.mktemp("official") / "ZoeD_swin2_t.pt"
    state = official_state("swin2_t")
    torch.save({"model": {f"module.{key}": value for key, value in state.items()}}, path)
    return path, state


def test_an_official_checkpoint_gives_the_reference_depth(official):
    path, _ = official
    found = errors(create_model("zoe_swin2_t", weights=str(path)), "zoe_swin2_t_256x256")
    assert max(found.values()) < 1e-4, found


def test_an_official_checkpoint_is_in_metres_and_unsqueezed(official):
    model = load_depth_model(official[0])
    assert model.convention == Convention(metres_per_unit=1.0, portrait_resize=False)
    assert model.network.config == architecture("zoe_swin2_t")
    with pytest.raises(ZDError, match="--device tpu9: cannot be used"):
        load_depth_model(official[0], device="tpu9")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("keys", "name"),
    [("swin2_t", "zoe_swin2_t"), ("swin2_b", "zoe_swin2_b"), ("swin2_l", "zoe_swin2_l"), ("beit_b", "zoe_beit_b"),
     ("beit_l", "zoe_beit_l"), ("nk", "zoe_nk_beit_l")],
)  # fmt: skip
def test_key_map_is_complete_and_one_to_one(keys, name):
    with torch.device("meta"):
        model = ZoeDepth(ARCHITECTURES[name])
    rows = (torch_row.split("\t") for torch_row in _key_table(keys))
    expected = {key: (shape, kind) for key, shape, _, kind in rows}
    mapped = official_keys(model.state_dict(), model.config)
    assert len(set(mapped.values())) == len(mapped)
    parameters = {key for key, (_, kind) in expected.items() if kind == "param"}
    assert set(mapped.values()) == parameters
    for ours, theirs in mapped.items():
        assert str(tuple(model.state_dict()[ours].shape)) == expected[theirs][0]


def _key_table(name: str) -> list[str]:
    from golden_models import GOLDEN

    return (GOLDEN / "state_dict_keys" / f"{name}.tsv").read_text().splitlines()


def test_round_trip_to_the_official_layout_is_exact(official, tmp_path):
    path, state = official
    save_official(tmp_path / "back.pt", create_model("zoe_swin2_t", weights=str(path)))
    back = torch.load(tmp_path / "back.pt", weights_only=True)["model"]
    assert set(back) == set(state)
    for key, value in state.items():
        assert back[key].dtype == value.dtype
        if "attn_mask" not in key and "log_binomial_transform" not in key:  # the recipe leaves constants at zero
            assert torch.equal(back[key], value), key
    assert back["core.core.pretrained.model.layers.0.blocks.1.attn_mask"].unique().tolist() == [-100.0, 0.0]
    assert back["conditional_log_binomial.log_binomial_transform.k_idx"].flatten().tolist() == list(range(64))


def test_midas_files_fill_encoder_and_decoder(official, tmp_path):
    prefix = "core.core."
    midas = {key.removeprefix(prefix): value for key, value in official[1].items() if key.startswith(prefix)}
    torch.save(midas, tmp_path / "dpt_swin2_tiny_256.pt")
    config = architecture("zoe_swin2_t", encoder_weights=str(tmp_path / "dpt_swin2_tiny_256.pt"))
    torch.manual_seed(5)
    plain = build_model(architecture("zoe_swin2_t"))
    torch.manual_seed(5)
    model = build_model(config)
    assert torch.equal(model.head.conv.weight, plain.head.conv.weight)
    for part in ("encoder", "decoder"):
        for value, theirs in zip(getattr(model, part).parameters(), getattr(plain, part).parameters(), strict=True):
            assert not torch.equal(value, theirs)
    del midas["scratch.layer1_rn.weight"]
    torch.save(midas, tmp_path / "part.pt")
    with pytest.raises(ZDError, match=r"reduce\.0\.weight is missing"):
        load_weights(plain, tmp_path / "part.pt")


def test_an_unknown_key_is_listed(official):
    model = create_model("zoe_swin2_t")
    with pytest.raises(ZDError, match=r"unknown keys core\.core\.mystery"):
        from_official(model, official[1] | {"core.core.mystery": torch.zeros(1)}, "file")


def test_another_models_checkpoint_is_refused(official):
    with pytest.raises(ZDError, match=r"ZoeD_swin2_t\.pt"):
        create_model("zoe_swin2_t", weights=str(official[0]), bin_type="normed")


def test_models_the_authors_code_cannot_express(saved):
    with pytest.raises(ZDError, match="no place"):
        to_official(saved[1])


class Evil:
    def __reduce__(self):
        return os.mkdir, ("/tmp/this-must-never-exist",)


@pytest.mark.parametrize("protocol", ["zip", "legacy"])
def test_code_is_never_run(tmp_path, protocol):
    path = tmp_path / "evil.pt"
    if protocol == "zip":
        torch.save({"model": Evil()}, path)
    else:
        path.write_bytes(pickle.dumps({"model": Evil()}))
    with pytest.raises(ZDError, match=r"evil\.pt: damaged, or holds more than tensors"):
        read_pickle(path)
    assert not os.path.exists("/tmp/this-must-never-exist")


def test_a_zip_bomb_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "bomb.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\0" * 10**7)
    with pytest.raises(ZDError, match="compressed inside"):
        read_pickle(tmp_path / "bomb.pt")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7), cut=st.booleans())
def test_a_damaged_pt_is_refused_or_harmless(tmp_path, place, bit, cut):
    path, weights = tmp_path / "model.pt", {"a.weight": torch.arange(300.0), "b": torch.ones(2, 3)}
    torch.save(weights, path)
    content = bytearray(path.read_bytes())
    if cut:
        content = content[: int(place * len(content))]
    else:
        content[int(place * len(content))] ^= 1 << bit
    path.write_bytes(content)
    with contextlib.suppress(ZDError):
        found = read_pickle(path)
        # What still loads was hit where nothing is kept, a time stamp say.
        assert all(torch.equal(found[key], value) for key, value in weights.items())


def test_metadata_can_be_read_without_the_tensors(saved):
    with safe_open(saved[0], framework="np") as file:
        assert Architecture.model_validate(json.loads(file.metadata()["zdlib"])["config"]) == SMALL
        assert np.isfinite(file.get_tensor("head.conv.weight")).all()
