"""A damaged or hostile checkpoint gives one clear line from every command, and leaves nothing half-written."""

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
from tiny_models import NATIVE
from torch import Tensor

from zdlib.apps.command_line import main
from zdlib.models import checkpoints, registry
from zdlib.models.checkpoints import content_hash, save_checkpoint, save_official
from zdlib.models.factory import build_model
from zdlib.models.zoe.architecture import Architecture

TINY = Architecture(encoder="beit_test_patch16_64", input_size=(NATIVE, NATIVE), bin_embedding_dim=16)
NARROW = TINY.model_copy(update={"decoder_channels": 16})  # the official layout has no place for it
TRACE = "never-to-exist"


class Evil:
    def __reduce__(self):
        return os.mkdir, (TRACE,)


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A checkpoint in each format, and a picture."""
    folder = tmp_path_factory.mktemp("good")
    torch.manual_seed(0)
    save_checkpoint(folder / "model.safetensors", build_model(NARROW), NARROW, {})
    save_official(folder / "model.pt", build_model(TINY))
    picture = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    Image.fromarray(picture).save(folder / "room.png")
    return folder


@pytest.fixture(autouse=True)
def _only_the_tiny_model(monkeypatch, tmp_path):
    for module in (checkpoints, registry):
        monkeypatch.setattr(module, "ARCHITECTURES", {"tiny": TINY})
    monkeypatch.chdir(tmp_path)


def change_tensors(path: Path, change) -> None:
    """Change what a file holds and sign it anew: nothing is damaged, it is another model's."""
    if path.suffix == ".pt":
        content = torch.load(path, weights_only=True)
        change(content["model"], "conv2.bias")
        torch.save(content, path)
        return
    with safe_open(path, framework="pt") as file:
        tensors = {key: file.get_tensor(key) for key in list(file.keys())}
        description = json.loads(file.metadata()["zdlib"])
    change(tensors, "head.conv.bias")
    del description["sha256"]
    description["sha256"] = content_hash(tensors, description)
    save_file(tensors, path, {"zdlib": json.dumps(description)})


def flip_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 16
    path.write_bytes(content)


def remove(tensors: dict[str, Tensor], key: str) -> None:
    del tensors[key]


def add(tensors: dict[str, Tensor], key: str) -> None:
    tensors["mystery"] = torch.zeros(1)


def reshape(tensors: dict[str, Tensor], key: str) -> None:
    tensors[key] = torch.zeros(3)


def bomb(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\0" * 10**7)


def foreign_metadata(path: Path, description: str) -> None:
    save_file({"x": torch.zeros(1)}, path, {"zdlib": description})


DAMAGE = {
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-1000]),
    "truncated to its beginning": lambda path: path.write_bytes(path.read_bytes()[:100]),
    "empty": lambda path: path.write_bytes(b""),
    "bit flipped": flip_bit,
    "key missing": lambda path: change_tensors(path, remove),
    "key extra": lambda path: change_tensors(path, add),
    "wrong shape": lambda path: change_tensors(path, reshape),
    "code, zipped": lambda path: torch.save({"model": Evil()}, path),
    "code, pickled": lambda path: path.write_bytes(pickle.dumps({"model": Evil()})),
    "zip bomb": bomb,
    "a text": lambda path: path.write_text("not found"),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
    "a number for a description": lambda path: foreign_metadata(path, "5"),
    "a list for a description": lambda path: foreign_metadata(path, "[1]"),
}


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
@pytest.mark.parametrize("damage", DAMAGE)
def test_every_command_says_it_in_one_line(good, tmp_path, capsys, suffix, damage):
    path, other = tmp_path / f"bad{suffix}", {".pt": ".safetensors", ".safetensors": ".pt"}[suffix]
    path.write_bytes((good / f"model{suffix}").read_bytes())
    DAMAGE[damage](path)
    before = sorted(tmp_path.iterdir())
    predict = ["predict", str(good / "room.png"), "--weights", str(path), "-o", str(tmp_path / "out")]
    for command in (predict, ["convert", str(path), str(tmp_path / f"out{other}")], ["info", str(path)]):
        assert main(command) == 1
        captured = capsys.readouterr()
        assert captured.err.startswith(f"zdlib: {path}: ")
        assert captured.err.count("\n") == 1
        assert len(captured.err) < 1000
        assert captured.out == ""
        assert sorted(tmp_path.iterdir()) == before


def test_the_undamaged_files_pass(good, tmp_path):
    converted = tmp_path / "model.safetensors"
    assert main(["convert", str(good / "model.pt"), str(converted)]) == 0
    assert main(["convert", str(converted), str(tmp_path / "back.pt")]) == 0
    depths = []
    for number, path in enumerate((good / "model.pt", converted, tmp_path / "back.pt")):
        assert main(["predict", str(good / "room.png"), "--weights", str(path), "-o", str(tmp_path / str(number))]) == 0
        depths.append(np.load(tmp_path / str(number) / "room.npy"))
    assert np.array_equal(depths[0], depths[1])
    assert np.array_equal(depths[0], depths[2])
    assert main(["info", str(good / "model.safetensors")]) == 0
