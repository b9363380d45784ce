"""Files of three layouts through every command, bit for bit; and damaged ones, in one line."""

import json
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file
from tiny_depth_anything import TINY, official_state, tiny_network
from tiny_models import enliven

from zdlib.apps.command_line import main
from zdlib.errors import ZDError
from zdlib.models import catalogue
from zdlib.models.checkpoints import content_hash, load_exactly
from zdlib.models.depth_anything import checkpoints, registry
from zdlib.models.depth_anything.architecture import MetricBinsConfig
from zdlib.models.depth_anything.checkpoints import create_model, network_of, save_checkpoint, save_official
from zdlib.models.depth_anything.official_keys import from_official, to_official
from zdlib.models.depth_model import Convention

METRIC = TINY.model_copy(update={"max_depth": 20.0})
BINS = MetricBinsConfig(
    encoder=TINY.encoder, taps=TINY.taps, channels=TINY.channels, decoder_channels=16, input_size=(56, 56),
    keep_aspect_ratio=True, bin_embedding_dim=16,
)  # fmt: skip
TRACE = "never-to-exist"


@pytest.fixture(autouse=True)
def _tiny_networks_alone(monkeypatch, tmp_path):
    for module in (checkpoints, registry):
        monkeypatch.setattr(module, "ARCHITECTURES", {"tiny": TINY, "tiny_metric": METRIC, "tiny_bins": BINS})
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A file in each layout, and a picture."""
    folder = tmp_path_factory.mktemp("good")
    model = tiny_network()
    model.encoder.mask_token.data.fill_(0.5)
    save_checkpoint(folder / "ours.safetensors", model, {"note": "a text"})
    save_official(folder / "theirs.pth", model)
    bins = network_of(BINS)
    enliven(bins, 3)
    save_official(folder / "bins.pt", bins)
    picture = np.random.default_rng(0).integers(0, 255, (60, 90, 3), dtype=np.uint8)
    Image.fromarray(picture).save(folder / "room.png")
    return folder


def predict(good: Path, weights: Path, out: str, *options: str) -> int:
    return main(["predict", str(good / "room.png"), "--weights", str(weights), "-o", out, *options])


def test_the_authors_layout_there_and_back_bit_for_bit(good, tmp_path, capsys):
    steps = [
        (good / "theirs.pth", "ours.safetensors", ["--model", "tiny"]),
        (tmp_path / "ours.safetensors", "hub.safetensors", ["--layout", "transformers"]),
        (tmp_path / "hub.safetensors", "again.safetensors", ["--model", "tiny"]),
        (tmp_path / "again.safetensors", "back.pth", []),
    ]
    for source, target, options in steps:
        assert main(["convert", str(source), str(tmp_path / target), *options]) == 0
    before, after = (torch.load(path, weights_only=True) for path in (good / "theirs.pth", tmp_path / "back.pth"))
    assert before.keys() == after.keys()
    assert all(torch.equal(value, after[key]) and value.dtype == after[key].dtype for key, value in before.items())
    assert before["pretrained.mask_token"].unique().tolist() == [0.5]
    maps = []
    for number, (path, options) in enumerate(
        ((good / "theirs.pth", ["--model", "tiny"]), (tmp_path / "hub.safetensors", ["--model", "tiny"]),
         (tmp_path / "again.safetensors", []), (good / "ours.safetensors", ["--model", "tiny"]))
    ):  # fmt: skip
        assert predict(good, path, str(number), *options) == 0
        maps.append(np.load(tmp_path / str(number) / "room_inverse_depth.npy"))
    assert all(np.array_equal(maps[0], other) for other in maps)
    assert "relative inverse depth" in capsys.readouterr().out


def test_relative_depth_says_so_in_its_files(good, tmp_path):
    assert predict(good, good / "ours.safetensors", "out") == 0
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {f"room_inverse_depth{end}" for end in (".npy", ".png", "_preview.png")}
    depth = np.load(tmp_path / "out" / "room_inverse_depth.npy")
    grey = np.array(Image.open(tmp_path / "out" / "room_inverse_depth.png"))
    assert (grey.dtype, grey.shape) == (np.uint8, depth.shape)
    assert depth.flat[grey.argmax()] == depth.max()


def test_metric_depth_is_in_metres(good, tmp_path):
    assert predict(good, good / "theirs.pth", "out", "--model", "tiny_metric", "--precision", "bf16") == 0
    depth = np.load(tmp_path / "out" / "room.npy")
    assert 0 <= depth.min() < depth.max() <= 20
    assert np.array(Image.open(tmp_path / "out" / "room.png")).max() == np.round(depth.max() * 1000)


def test_metric_bins_are_found_by_their_tensors(good, tmp_path):
    assert predict(good, good / "bins.pt", "out") == 0
    assert main(["convert", str(good / "bins.pt"), str(tmp_path / "bins.safetensors")]) == 0
    assert main(["convert", str(tmp_path / "bins.safetensors"), str(tmp_path / "back.pt")]) == 0
    before, after = (torch.load(path, weights_only=True)["model"] for path in (good / "bins.pt", tmp_path / "back.pt"))
    assert before.keys() == after.keys()
    assert all(torch.equal(value, after[key]) for key, value in before.items())
    assert predict(good, tmp_path / "bins.safetensors", "again") == 0
    assert np.array_equal(*(np.load(tmp_path / name / "room.npy") for name in ("out", "again")))
    for layout in (["--layout", "transformers"],):
        assert main(["convert", str(good / "bins.pt"), str(tmp_path / "x.safetensors"), *layout]) == 1


def test_what_a_file_holds(good, capsys):
    assert main(["info", str(good / "ours.safetensors")]) == 0
    shown = capsys.readouterr().out
    assert '"note": "a text"' in shown
    assert main(["info", "tiny"]) == 0
    assert '"taps": [' in capsys.readouterr().out
    assert main(["info"]) == 0
    listed = capsys.readouterr().out.split()
    assert {"tiny", "tiny_bins", "zoe_swin2_b"} <= set(listed)
    assert listed == catalogue.list_models()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["info", "{good}/theirs.pth"], "its tensors fit tiny, tiny_metric alike: say which it is with --model"),
        (["info", "{good}/theirs.pth", "--model", "moon"], "moon: no such model: choose one of"),
        (["info", "{good}/theirs.pth", "--model", "tiny_bins"], "theirs.pth: not a checkpoint of this model"),
        (["info", "{good}/theirs.pth", "--model", "zoe_swin2_t"], "theirs.pth: not a checkpoint of this model"),
        (["info", "{good}/bins.pt", "--model", "tiny"], "bins.pt: not a checkpoint of this model: unknown keys"),
        (["info", "{good}/ours.safetensors", "--model", "tiny_metric"], "holds another model than tiny_metric"),
        (["convert", "{good}/theirs.pth", "x.pt"], "one must end in .pt or .pth"),
        (["convert", "{good}/ours.safetensors", "x.safetensors"], "one must end in .pt or .pth"),
    ],
)
def test_wrong_use_is_said_in_one_line(good, tmp_path, capsys, arguments, message):
    assert main([text.format(good=good) for text in arguments]) == 1
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_hub_file_needs_a_name(tmp_path):
    path = tmp_path / "model.safetensors"
    checkpoints.save_transformers(path, tiny_network())
    with pytest.raises(ZDError, match="a Depth Anything of transformers: say which it is with --model"):
        catalogue.load_depth_model(path)
    with pytest.raises(ZDError, match="transformers has no metric bins"):
        catalogue.load_depth_model(path, "tiny_bins")
    assert catalogue.load_depth_model(path, "tiny_metric").convention == Convention(max_depth=20.0)


# ---------------------------------------------------------------------------------------------------------- damage
class Evil:
    def __reduce__(self):
        return os.mkdir, (TRACE,)


def change(path: Path, edit) -> None:
    """Change what a file holds, and sign one of ours anew: nothing is damaged, it is another model's."""
    if path.suffix == ".pth":
        tensors = torch.load(path, weights_only=True)
        edit(tensors, "pretrained.norm.bias")
        torch.save(tensors, path)
        return
    with safe_open(path, framework="pt") as file:
        tensors = {key: file.get_tensor(key) for key in list(file.keys())}
        description = json.loads(file.metadata()["zdlib"])
    edit(tensors, "encoder.model.norm.bias")
    del description["sha256"]
    description["sha256"] = content_hash(tensors, description)
    save_file(tensors, path, {"zdlib": json.dumps(description)})


def flip_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 16
    path.write_bytes(content)


def bomb(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\0" * 10**7)


DAMAGE = {
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-1000]),
    "empty": lambda path: path.write_bytes(b""),
    "bit flipped": flip_bit,
    "key missing": lambda path: change(path, lambda tensors, key: tensors.pop(key)),
    "key extra": lambda path: change(path, lambda tensors, _: tensors.update(mystery=torch.zeros(1))),
    "wrong shape": lambda path: change(path, lambda tensors, key: tensors.update({key: torch.zeros(3)})),
    "code, zipped": lambda path: torch.save({"model": Evil()}, path),
    "code, pickled": lambda path: path.write_bytes(pickle.dumps({"model": Evil()})),
    "zip bomb": bomb,
    "a text": lambda path: path.write_text("not found"),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
    "a list for a description": lambda path: save_file({"x": torch.zeros(1)}, path, {"zdlib": "[1]"}),
}


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_said_in_one_line_and_nothing_is_written(good, tmp_path, capsys, suffix, damage):
    path, other = tmp_path / f"bad{suffix}", {".pth": ".safetensors", ".safetensors": ".pth"}[suffix]
    path.write_bytes((good / {".pth": "theirs.pth", ".safetensors": "ours.safetensors"}[suffix]).read_bytes())
    DAMAGE[damage](path)
    before = sorted(tmp_path.iterdir())
    for named in ([], ["--model", "tiny"]):
        show = ["predict", str(good / "room.png"), "--weights", str(path), "-o", str(tmp_path / "out")]
        for command in (show, ["convert", str(path), str(tmp_path / f"out{other}")], ["info", str(path)]):
            assert main([*command, *named]) == 1
            captured = capsys.readouterr()
            assert captured.err.startswith(f"zdlib: {path}: ")
            assert captured.err.count("\n") == 1
            assert captured.out == ""
            assert sorted(tmp_path.iterdir()) == before
    assert not Path(TRACE).exists()


def test_wrapped_files_are_the_same(good):
    tensors = torch.load(good / "theirs.pth", weights_only=True)
    model = create_model("tiny")
    load_exactly(model, from_official(model, {f"module.{key}": value for key, value in tensors.items()}, "x"), "x")
    assert all(torch.equal(value, tensors[key]) for key, value in to_official(model).items())
    without = {key: value for key, value in tensors.items() if key != "pretrained.mask_token"}
    assert not from_official(model, without, "x")["encoder.mask_token"].any()


@pytest.mark.slow
def test_an_official_file_of_the_real_size_says_what_it_may_be(tmp_path, monkeypatch):
    monkeypatch.undo()
    torch.save(official_state("v1_vits", 0, 1.0, 0.0), tmp_path / "depth_anything_v2_vits.pth")
    with pytest.raises(ZDError) as error:
        catalogue.load_depth_model(tmp_path / "depth_anything_v2_vits.pth")
    for name in ("depth_anything_v1_s", "depth_anything_v2_s", "depth_anything_v2_metric_outdoor_s"):
        assert name in str(error.value)
    model = catalogue.load_depth_model(tmp_path / "depth_anything_v2_vits.pth", "depth_anything_v2_s")
    save_official(tmp_path / "back.pth", model.network)
    before, after = (torch.load(p, weights_only=True) for p in sorted(tmp_path.glob("*.pth")))
    assert before.keys() == after.keys()
    assert all(torch.equal(value, after[key]) for key, value in before.items())
