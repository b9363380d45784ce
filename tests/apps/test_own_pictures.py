"""A folder of one's own pictures trains and is judged, through the command line, from a profile of ten lines."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rgbd
import tiny_training
import torch
import yaml
from PIL import Image
from safetensors import safe_open

from zdlib.apps.command_line import main
from zdlib.apps.evaluate_command import _text
from zdlib.config import ModelConfig, load_profile
from zdlib.files import sha256
from zdlib.models.checkpoints import save_checkpoint
from zdlib.models.choice import PACKAGED_FILE
from zdlib.models.depth_model import Convention
from zdlib.models.factory import build_model
from zdlib.recipes import RECIPES

COUNT = 12
PLACES = ("hall",) * 6 + ("office",) * 3 + ("test_attic",) + ("test_stairs",) * 2  # of the pictures
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """Twelve pictures of four places, a checkpoint to start from, and the profile that names both."""
    monkeypatch.setenv("ZD_ROOT", str(tmp_path))
    monkeypatch.setenv("ZD_DATA", str(tmp_path))
    (tmp_path / "profiles").mkdir()
    for place in set(PLACES):
        for part in ("rgb", "depth"):
            (tmp_path / "pictures" / part / place).mkdir(parents=True)
    for number, place in enumerate(PLACES):
        image, depth, _ = rgbd.scene(48, 64, seed=number)
        Image.fromarray(image).save(tmp_path / f"pictures/rgb/{place}/{number:03d}.png")
        units = np.rint(depth * 1000).astype(np.uint16)
        Image.fromarray(units).save(tmp_path / f"pictures/depth/{place}/{number:03d}.png")
    torch.manual_seed(0)
    model = ModelConfig.model_validate(tiny_training.CONTENT["model"])
    info = {"convention": Convention.of(RECIPES["corrected"]).model_dump()}
    save_checkpoint(tmp_path / "start.safetensors", build_model(model, segmentation=True), model, info)
    write_profile(tmp_path)
    return tmp_path


def write_profile(folder, **changes):
    """The shipped profile's own lines, on top of a tiny one."""
    base = {"name": "tiny", **{key: tiny_training.CONTENT[key] for key in ("model", "train")}}
    (folder / "profiles/tiny.yaml").write_text(yaml.safe_dump(base))
    content = yaml.safe_load((ROOT / "profiles/own_pictures.yaml").read_text())
    content |= {"name": "mine", "extends": "tiny", "train": {"epochs": 1}}
    content["runs"]["tuned"]["start_from"] = "start.safetensors"
    (folder / "profiles/mine.yaml").write_text(yaml.safe_dump(content | changes))


def trained(*options):
    return main(["train", "--profile", "mine", "--run", "tuned", *options])


def refused(capsys, *options):
    """The one line of a refusal."""
    assert trained(*options) == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("zdlib: ")]
    assert len(lines) == 1
    return lines[0]


def test_it_trains_from_the_checkpoint_and_is_judged_before_and_after(checkout, capsys):
    assert trained() == 0
    folder = checkout / "results/mine"
    steps = pd.read_csv(folder / "checkpoints/tuned_steps.csv")
    assert np.isfinite(steps[["total", "silog", "grad_norm"]]).all(axis=None)
    with safe_open(folder / "checkpoints/tuned.safetensors", "pt") as file:
        info = json.loads(file.metadata()["zdlib"])["info"]
    assert info["sets"] == [
        {"set": "folder", "root": "$ZD_DATA/pictures", "title": "pictures", "frames": COUNT},
    ]
    capsys.readouterr()
    assert main(["evaluate", "--profile", "mine", "--run", "tuned"]) == 0
    printed = capsys.readouterr().out
    assert "| pictures | folder/nyu-standard | before (start.safetensors) | 3 | 0 |" in printed
    assert "| pictures | folder/nyu-standard | fine-tuned | 3 | 0 |" in printed
    table = pd.read_csv(folder / "evaluate/tuned.csv")
    assert (table["abs_rel_low"] <= table["abs_rel"]).all()
    judged = pd.read_csv(folder / "evaluate/tuned_0.csv")
    assert table["abs_rel"].iloc[1] == pytest.approx(judged["abs_rel"].mean())
    assert set(judged["scene"]) == {"test_attic", "test_stairs"}
    assert info["train_frames"] == [0, 1, 2, 3, 4, 5]  # the hall
    assert info["selection_frames"] == [6, 7, 8]  # the last place by name that is no test
    assert set(judged["frame"]) == {9, 10, 11}
    gains = pd.read_csv(folder / "evaluate/tuned_gains.csv").set_index("metric")
    difference = table["abs_rel"].iloc[1] - table["abs_rel"].iloc[0]
    assert gains.loc["abs_rel", "difference"] == pytest.approx(difference)
    record = json.loads((folder / "provenance/evaluate_tuned.json").read_text())
    assert list(record["inputs"]) == ["start.safetensors", "results/mine/checkpoints/tuned.safetensors"]
    assert {Path(path).name for path in record["outputs"]} == {"tuned.csv", "tuned_0.csv", "tuned_gains.csv"}
    assert any(line.startswith("file zdlib/data/sets/folder.py ") for line in record["depends"])
    assert main(["evaluate", "--profile", "mine", "--run", "tuned", "--baselines"]) == 0
    table = pd.read_csv(folder / "evaluate/tuned.csv")
    floors = ["constant depth", "mean depth map", "mean inverse depth map"]
    assert table["method"].tolist()[:3] == floors
    assert len(pd.read_csv(folder / "evaluate/mean_depth_map_0.csv")) == 3


def test_training_begins_with_the_weights_that_it_starts_from(checkout):
    """With learning rates of nothing, the weights are those of the file; without it, they are not."""
    options = ["--set", "train.lr=1e-30", "--set", "train.weight_decay=0", "--set", "train.encoder_lr_factor=1"]
    assert trained(*options, "--out", "from_file") == 0
    assert trained(*options, "--set", "runs.tuned.start_from=null", "--out", "from_seed") == 0
    names = (
        "start.safetensors",
        *(f"results/{out}/checkpoints/tuned.safetensors" for out in ("from_file", "from_seed")),
    )
    first, same, other = (weights(checkout / name) for name in names)
    assert set(same) == {name for name in first if not name.startswith("unet.")}
    learnt = [name for name in same if name.startswith("head.") and name.endswith(".weight")]
    assert all(torch.allclose(first[name], same[name], atol=1e-12) for name in learnt)
    assert not all(torch.allclose(first[name], other[name], atol=1e-3) for name in learnt)


def weights(path):
    with safe_open(path, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)


def test_a_split_by_name_and_frames_of_two_sets_and_sizes(checkout):
    shutil.copytree(checkout / "pictures", checkout / "more")
    for path in (checkout / "more").rglob("*.png"):
        Image.open(path).resize((96, 72), Image.Resampling.NEAREST).save(path)
    (checkout / "held_out.txt").write_text("hall_000\nhall_001\n")
    first = {"set": "folder", "root": "$ZD_DATA/pictures", "split": "$ZD_DATA/held_out.txt"}
    second = {"set": "folder", "root": "$ZD_DATA/more", "size": [48, 64]}
    test = first | {"protocol": "nyu/standard"}
    write_profile(checkout, data={"train": [first, second], "tests": [test]})
    assert trained() == 0
    with safe_open(checkout / "results/mine/checkpoints/tuned.safetensors", "pt") as file:
        info = json.loads(file.metadata()["zdlib"])["info"]
    used = {*info["train_frames"], *info["selection_frames"]}
    assert used == set(range(2, 2 * COUNT))
    assert main(["evaluate", "--profile", "mine", "--run", "tuned"]) == 0
    assert pd.read_csv(checkout / "results/mine/evaluate/tuned_0.csv", dtype={"name": str})["name"].tolist() == [
        "hall_000",
        "hall_001",
    ]


def test_what_cannot_train_is_refused_in_one_line(checkout, capsys):
    out = ("--out", "x", "--set")
    assert "run 'fine-tuned': trains a segmentation head, but pictures has no labels" in refused(
        capsys, *out, "runs.tuned.seg_weight=0.1"
    )
    assert "start.safetensors: its unit is 1 m, that of recipe published 1000 m" in refused(
        capsys, *out, "runs.tuned.recipe=published"
    )
    assert "absent.safetensors: no such file" in refused(capsys, *out, "runs.tuned.start_from=absent.safetensors")
    assert "take the checkpoint of this very model" in refused(capsys, *out, "model.decoder_channels=8")
    assert "data.train: names no data set" in refused(capsys, *out, "data.train=[]")
    Image.fromarray(np.zeros((40, 64, 3), np.uint8)).save(checkout / "pictures/rgb/hall/005.png")
    Image.fromarray(np.full((40, 64), 900, np.uint16)).save(checkout / "pictures/depth/hall/005.png")
    line = refused(capsys)
    assert "hall_005: (40, 64) pixels, the first frame has (48, 64): give the profile's data.train one size" in line


def test_what_cannot_be_judged_is_refused_in_one_line(checkout, capsys):
    def line(*options):
        assert main(["evaluate", "--profile", "mine", *options]) == 1
        return capsys.readouterr().err

    assert "no run 'tune': choose one of tuned" in line("--run", "tune")
    assert "tuned.safetensors: no such file" in line("--run", "tuned")
    change = "data.tests.0.protocol=nyu/standart"
    assert "nyu/standart: no such evaluation protocol" in line("--run", "tuned", "--out", "x", "--set", change)
    write_profile(checkout, data={"train": [{"set": "folder", "root": "$ZD_DATA/pictures"}]})
    assert "data.tests: is empty: name what to judge on" in line("--run", "tuned")


def test_the_paper_s_pipeline_says_that_it_is_not_for_this_profile(checkout):
    from zdlib.errors import ZDError
    from zdlib.pipeline.layout import Layout

    with pytest.raises(ZDError, match="need sets nyu and ibims in data: train and judge this one with `zdlib train`"):
        Layout("mine")


def test_the_shipped_profile_is_complete():
    profile = load_profile("own_pictures", ROOT)
    assert profile.data.train[0].split == profile.data.tests[0].split
    assert not profile.runs["tuned"].segments
    assert (ROOT / profile.runs["tuned"].start_from).samefile(PACKAGED_FILE)


def test_the_readme_states_what_the_committed_run_gave():
    folder, readme = ROOT / "results/own_pictures", (ROOT / "README.md").read_text()
    shown = readme.partition("<!-- own:begin")[2].partition("-->\n")[2].partition("\n<!-- own:end -->")[0]
    table = pd.read_csv(folder / "evaluate/tuned.csv")
    assert shown == _text(table).partition("\n\n")[0]
    gain = pd.read_csv(folder / "evaluate/tuned_gains.csv").set_index("metric").loc["abs_rel"]
    words = "AbsRel changes by {:.3f} (95 % interval {:.3f} to {:.3f}".format(*gain[["difference", "low", "high"]])
    assert words.replace("-", "−") in readme
    before, after = (table["abs_rel"].iloc[place] for place in (-2, -1))
    assert f"AbsRel {before:.3f} before, {after:.3f} after" in (ROOT / "profiles/own_pictures.yaml").read_text()


def test_the_committed_run_began_with_the_network_in_the_box_and_its_tables_are_those_it_wrote():
    record = json.loads((ROOT / "results/own_pictures/provenance/evaluate_tuned.json").read_text())
    began_with = record["inputs"][PACKAGED_FILE.relative_to(ROOT).as_posix()]
    again = "train and evaluate again: README, Own data, the whole way"
    assert began_with == sha256(PACKAGED_FILE), f"zoe_light is another one now: {again}"
    written = {path: sha256(ROOT / path) for path in record["outputs"]}
    assert written == record["outputs"]
    training = json.loads((ROOT / "results/own_pictures/checkpoints/tuned_training.json").read_text())
    assert training["identity"]["content of run.start_from"] == began_with
    weights = "results/own_pictures/checkpoints/tuned.safetensors"
    assert training["outputs"]["tuned.safetensors"] == record["inputs"][weights]
