"""Teacher, labelling and student: what a batch holds, what it teaches, and the same bits after a kill."""

import os
import signal

import numpy as np
import pandas as pd
import pytest
import tiny_training
import torch
import yaml
from PIL import Image

from zdlib.apps.command_line import main
from zdlib.config import ModelConfig, Profile, RunConfig, TrainConfig, load_profile
from zdlib.data.sets.folder import FolderReader
from zdlib.errors import ZDError
from zdlib.files import read_json
from zdlib.losses.depth_anything import labelled_loss, normalised_disparity
from zdlib.models.catalogue import load_depth_model
from zdlib.paths import RunPaths
from zdlib.train import pseudo_labels
from zdlib.train.frames import open_frames
from zdlib.train.method import find_method
from zdlib.train.methods.depth_anything import DepthAnythingTraining, MixedBatches, Options, description, mix
from zdlib.train.pseudo_labels import METRES_PER_UNIT, pseudo_depth, write_pseudo_labels
from zdlib.train.run import train
from zdlib.train.step import Trainer

TEACHER = {"title": "teacher", "method": "depth_anything"}
STUDENT = TEACHER | {"title": "student", "options": {"pseudo": ["pseudo"], "perturb": True}}
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A folder for ZD_ROOT: a trained teacher, its labels of nine pictures, and a profile with both kinds of sets."""
    folder = tmp_path_factory.mktemp("checkout")
    patch = pytest.MonkeyPatch()
    patch.setenv("ZD_ROOT", str(folder))
    patch.delenv("ZD_TRAIN", raising=False)
    patch.setitem(
        tiny_training.CONTENT, "runs", {"control": {"title": "c", "seg_weight": 0.0}, "distill": {"title": "d"}}
    )
    tiny_training.make_profile(
        folder, epochs=1, batch_size=6, validations_per_epoch=1, save_minutes=0, clip_grad_norm=1.0
    )
    content = yaml.safe_load((folder / "profiles" / "tiny.yaml").read_text())
    content |= {"runs": {"teacher": TEACHER}, "data": {"train": content["data"]["train"]}}
    write_profile(folder, "tiny", content)
    result = train(load_profile("tiny"), "teacher")
    rng = np.random.default_rng(0)
    for number in range(9):
        path = folder / "pictures" / f"walk_{number // 5}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)).save(path)
    label = [
        "data",
        "label",
        str(folder / "pictures"),
        "--weights",
        str(result.checkpoint),
        "-o",
        str(folder / "pseudo"),
    ]
    assert main(label) == 0
    pseudo = {"set": "folder", "name": "pseudo", "root": str(folder / "pseudo"), "metres_per_unit": METRES_PER_UNIT}
    content["data"]["train"].append(pseudo)
    content |= {
        "runs": {"student": STUDENT, "plain": STUDENT | {"options": {"pseudo": ["pseudo"], "alignment": False}}}
    }
    write_profile(folder, "both", content)
    yield folder
    patch.undo()


def write_profile(folder, name, content):
    (folder / "profiles" / f"{name}.yaml").write_text(yaml.safe_dump({**content, "name": name}))


def batch_of(profile: Profile, run: str = "student", number: int = 0):
    """The method, its network and one batch."""
    method = find_method(profile, profile.runs[run])
    torch.manual_seed(0)
    network = method.network(CPU)
    feed = method.feed(open_frames(profile, profile.runs[run]), torch.Generator().manual_seed(1))
    feed.items.set_epoch(1)
    positions = list(feed.order)[number]
    return method, network, torch.utils.data.default_collate([feed.items[position] for position in positions])


# ------------------------------------------------------------------------------------------------------ pseudo labels
def test_labels_are_a_data_set_with_provenance(checkout):
    reader = FolderReader(checkout / "pseudo", metres_per_unit=METRES_PER_UNIT)
    assert len(reader) == 9
    assert set(reader.scenes) == {"walk_0", "walk_1"}
    weights = RunPaths("tiny").checkpoints / "teacher.safetensors"
    teacher = load_depth_model(weights)
    record = read_json(checkout / "pseudo" / "pseudo_labels.json")
    assert record["pictures"] == 9
    assert record["teacher"]["run"] == "teacher"
    assert len(record["teacher"]["sha256"]) == 64
    for sample in reader:
        assert (checkout / "pictures" / sample.scene / f"{sample.name.rpartition('_')[2]}.png").is_file()
        inverse = torch.from_numpy(teacher(sample.image))[None, None]
        depth = torch.from_numpy(sample.depth)[None, None]
        assert 1 <= depth.min() <= depth.max() <= 5
        if inverse.max() > inverse.min():
            everywhere = torch.ones_like(depth, dtype=torch.bool)
            said, _ = normalised_disparity(depth, everywhere)
            assert labelled_loss(said, inverse, everywhere) < 1e-2  # rounding alone, of a map with little in it


def test_what_a_label_says_is_affine_in_disparity():
    inverse = np.random.default_rng(0).random((20, 30), dtype=np.float32) * 7 + 3
    disparity = 1 / (pseudo_depth(inverse) * METRES_PER_UNIT)
    assert np.corrcoef(disparity.ravel(), inverse.ravel())[0, 1] > 1 - 1e-8
    assert disparity.max() == pytest.approx(1, abs=1e-4)
    assert disparity.min() == pytest.approx(0.2, abs=1e-4)
    assert len(np.unique(pseudo_depth(np.full((3, 4), 2.0, np.float32)))) == 1


def test_labelling_that_was_killed_goes_on_and_keeps_what_is_there(checkout, tmp_path, monkeypatch):
    weights = RunPaths("tiny").checkpoints / "teacher.safetensors"
    teacher, whole, count = load_depth_model(weights), pseudo_labels.write_bytes, 0

    def killed(path, content):
        nonlocal count
        count += 1
        if count == 8:  # between a map and its picture
            raise KeyboardInterrupt
        whole(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(pseudo_labels, "write_bytes", killed)
        with pytest.raises(KeyboardInterrupt):
            write_pseudo_labels(teacher, weights, checkout / "pictures", tmp_path / "pseudo")
    done = {path: path.stat().st_mtime_ns for path in (tmp_path / "pseudo" / "rgb").rglob("*.png")}
    assert len(done) == 3
    assert write_pseudo_labels(teacher, weights, checkout / "pictures", tmp_path / "pseudo") == (6, 9)
    assert all(path.stat().st_mtime_ns == time for path, time in done.items())
    for path in (checkout / "pseudo").rglob("*.*"):
        assert (tmp_path / "pseudo" / path.relative_to(checkout / "pseudo")).read_bytes() == path.read_bytes()


def test_labels_of_another_teacher_are_refused(checkout, tmp_path):
    weights = RunPaths("tiny").checkpoints / "teacher.safetensors"
    teacher = load_depth_model(weights)
    (tmp_path / "other.safetensors").write_bytes(weights.read_bytes() + b" ")
    for arguments, message in (
        (
            (teacher, tmp_path / "other.safetensors", checkout / "pictures", checkout / "pseudo"),
            "its labels have teacher",
        ),
        ((teacher, weights, checkout / "pictures", checkout / "profiles"), "holds something else"),
        ((teacher, weights, checkout / "nowhere", tmp_path / "out"), "no such folder"),
        ((teacher, weights, checkout / "profiles", tmp_path / "out"), "no .jpeg, .jpg, .png in it"),
    ):
        with pytest.raises(ZDError, match=message):
            write_pseudo_labels(*arguments)
    (tmp_path / "two").mkdir()
    for name in ("a.png", "a.jpg"):
        (tmp_path / "two" / name).write_bytes(b"")
    with pytest.raises(ZDError, match="same name, as far as files go"):
        write_pseudo_labels(teacher, weights, tmp_path / "two", tmp_path / "out")


# ------------------------------------------------------------------------------------------------------------ batches
def test_a_batch_holds_one_labelled_frame_for_two_others(checkout):
    _, _, batch = batch_of(load_profile("both"))
    profile = load_profile("both")
    method = find_method(profile, profile.runs["student"])
    feed = method.feed(open_frames(profile, profile.runs["student"]), torch.Generator())
    assert len(feed.items) == 6 + 9  # all that is unlabelled trains, a quarter of the rest selects
    assert batch["pseudo"].tolist() == [False, False, True, True, True, True]
    assert not batch["box"][:2].any()
    assert set(batch) == {"image", "depth", "mask", "index", "pseudo", "box"}


def test_teachers_labels_are_of_clean_pictures(checkout):
    """Depth of a pseudo-labelled item is the stored one; its image is not."""
    profile = load_profile("both")
    method = find_method(profile, profile.runs["student"])
    frames = open_frames(profile, profile.runs["student"])
    items = method.feed(frames, torch.Generator()).items
    changed = 0
    for epoch in range(3):
        items.set_epoch(epoch)
        for position in range(len(items)):
            item = items[position]
            sample = frames.reader[item["index"]]
            clean = torch.from_numpy(sample.image.copy()).movedim(-1, 0).float() / 255
            if item["pseudo"]:
                assert torch.equal(item["depth"][0], torch.from_numpy(sample.depth))
                changed += not torch.equal(item["image"], clean)
            else:
                straight = torch.equal(item["image"], clean)
                assert straight or torch.equal(item["image"], clean.flip(-1))
                assert torch.equal(item["depth"][0].flip(-1) if not straight else item["depth"][0],
                                   torch.from_numpy(sample.depth))  # fmt: skip
    assert changed > 10


def test_an_item_is_a_function_of_seed_epoch_and_frame(checkout):
    profile = load_profile("both")
    method = find_method(profile, profile.runs["student"])
    frames = open_frames(profile, profile.runs["student"])
    one, two = (method.feed(frames, torch.Generator()).items for _ in range(2))
    for items in (one, two):
        items.set_epoch(2)
    last = len(one) - 1
    two[0]
    before = one[last]
    assert all(torch.equal(torch.as_tensor(before[key]), torch.as_tensor(two[last][key])) for key in before)
    two.set_epoch(3)
    assert not torch.equal(before["image"], two[last]["image"])


def test_boxes_come_from_the_picture_before():
    images, target = torch.rand(4, 3, 6, 8), torch.rand(4, 1, 6, 8)
    mask = torch.rand(4, 1, 6, 8) > 0.2
    pseudo = torch.tensor([False, True, True, True])
    boxes = torch.tensor([[0, 0, 0, 0], [1, 3, 2, 7], [0, 0, 0, 0], [0, 6, 0, 8]])
    mixed = mix(images, target, mask, boxes, pseudo)
    assert torch.equal(mixed.images[0], images[0])
    expected = images[1].clone()
    expected[:, 1:3, 2:7] = images[3][:, 1:3, 2:7]
    assert torch.equal(mixed.images[1], expected)
    assert torch.equal(mixed.images[2], images[2])
    assert torch.equal(mixed.images[3], images[2])
    assert mixed.box.sum((1, 2, 3)).tolist() == [10, 0, 48]
    assert torch.equal(mixed.inside[0], target[3])
    assert torch.equal(mixed.valid[2], mask[2])


def test_an_epoch_is_one_pass_over_what_is_unlabelled():
    batches = MixedBatches(4, 11, 2, 3, torch.Generator().manual_seed(0))
    first = list(batches)
    assert len(first) == len(batches) == 3
    labelled = [position for batch in first for position in batch if position < 4]
    pseudo = [position for batch in first for position in batch if position >= 4]
    assert len(set(pseudo)) == len(pseudo) == 9
    assert sorted(labelled[:4]) == [0, 1, 2, 3]
    again = MixedBatches(4, 11, 2, 3, torch.Generator().manual_seed(0))
    again.skip = 2
    assert list(again) == first[2:]
    with pytest.raises(ZDError, match="2 pseudo-labelled frames fill no batch"):
        MixedBatches(4, 2, 2, 3, torch.Generator())


# ----------------------------------------------------------------------------------------------------------- learning
def test_losses_are_the_average_of_their_parts(checkout):
    method, network, batch = batch_of(load_profile("both"))
    parts = method.losses(network, batch)
    assert set(parts) == {"total", "labelled", "unlabelled", "features"}
    assert parts["total"].item() == pytest.approx(sum(v.item() for k, v in parts.items() if k != "total") / 3, rel=1e-5)
    assert parts["features"].item() == 0  # the encoder is still the frozen one
    with torch.no_grad():
        for parameter in network.network.encoder.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    assert method.losses(network, batch)["features"].item() > 0
    plain, network, batch = batch_of(load_profile("both"), "plain")
    assert set(plain.losses(network, batch)) == {"total", "labelled", "unlabelled"}
    assert network.frozen is None


def test_the_frozen_encoder_gets_no_gradient_and_does_not_move(checkout):
    method, network, batch = batch_of(load_profile("both"))
    network.train()
    assert not network.frozen.training
    assert network.network.training
    before = {key: value.clone() for key, value in network.frozen.state_dict().items()}
    optimizer, schedule = method.optimisation(network, steps=4)
    rates = []
    for _ in range(4):
        rates.append([group["lr"] for group in optimizer.param_groups])
        optimizer.zero_grad()
        method.losses(network, batch)["total"].backward()
        optimizer.step()
        schedule.step()
    np.testing.assert_allclose(np.array(rates)[:, 1], 1e-3 * np.array([1, 0.75, 0.5, 0.25]))
    np.testing.assert_allclose(np.array(rates)[:, 0], np.array(rates)[:, 1] / 10)
    assert all(torch.equal(value, before[key]) for key, value in network.frozen.state_dict().items())
    assert all(parameter.grad is None for parameter in network.frozen.parameters())


def test_a_crop_is_a_square(checkout):
    profile = load_profile("both", changes=["runs.student.options.crop=true", "runs.student.options.gradient_weight=2"])
    method, network, batch = batch_of(profile)
    assert batch["image"].shape == (6, 3, 48, 48)
    assert torch.isfinite(method.losses(network, batch)["total"])


def test_a_killed_student_ends_as_if_it_never_had_been(checkout):
    profile = load_profile("both", changes=["train.epochs=2"])
    whole = train(profile, "student", RunPaths("whole"))
    assert list(whole.steps) == ["step", "epoch", "lr", "total", "labelled", "unlabelled", "features", "grad_norm"]
    child = os.fork()
    if not child:  # which must not come back from here
        step, count = Trainer.step, 0

        def killed(self, batch):
            nonlocal count
            count += 1
            if count == 3:
                os.kill(os.getpid(), signal.SIGKILL)
            return step(self, batch)

        Trainer.step = killed
        try:
            train(profile, "student", RunPaths("killed"))
        finally:
            os._exit(1)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    resumed = train(profile, "student", RunPaths("killed"), "resume")
    assert resumed.checkpoint.read_bytes() == whole.checkpoint.read_bytes()
    pd.testing.assert_frame_equal(resumed.steps, whole.steps)
    model = load_depth_model(whole.checkpoint)
    assert model.convention.kind == "relative"
    assert model.info["options"]["pseudo"] == ["pseudo"]
    assert model.info["sets"][1]["title"] == "pseudo"
    assert not any(key.startswith("frozen") for key in model.network.state_dict())


@pytest.mark.parametrize(
    ("options", "train_", "message"),
    [
        ({"teacher": 1}, {}, "options.teacher: Extra inputs are not permitted: depth_anything has pseudo, ratio"),
        ({"cutmix": 2}, {}, "options.cutmix"),
        ({"pseudo": ["x"]}, {"accumulate": 2}, "train.accumulate"),
    ],
)
def test_wrong_options_are_explained(options, train_, message):
    model = ModelConfig(encoder="tf_efficientnet_lite0", encoder_weights="none", input_size=(64, 64))
    with pytest.raises(ZDError, match=message):
        DepthAnythingTraining(
            model, TrainConfig(**train_), RunConfig(title="x", method="depth_anything", options=options)
        )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["runs.student.options.pseudo=[moon]"], "data.train has no 'moon': choose from boxes, pseudo"),
        (["runs.student.options.pseudo=[boxes, pseudo]"], "names all training sets"),
        (["train.batch_size=1"], "too small for both kinds"),
    ],
)
def test_what_cannot_be_mixed_is_explained(checkout, changes, message):
    profile = load_profile("both", changes=changes)
    method, frames = find_method(profile, profile.runs["student"]), open_frames(profile, profile.runs["student"])
    with pytest.raises(ZDError, match=message):
        method.feed(frames, torch.Generator())


def test_networks_of_profiles():
    assert Options().ratio == 2
    section = {"encoder": "vit_base_patch14_dinov2", "encoder_weights": "none", "input_size": (518, 686)}
    found = description(ModelConfig(**section))
    assert (found.taps, found.decoder_channels, found.shortest_side) == ((2, 5, 8, 11), 128, 518)
    with pytest.raises(ZDError, match="vit_tiny_patch14: choose one of"):
        description(ModelConfig(**section | {"encoder": "vit_tiny_patch14"}))
