"""The control study's treatments: what they change, and that they change nothing else."""

from dataclasses import replace

import numpy as np
import pytest
import safetensors.torch
import tiny_training
import torch

from zdlib.config import Profile
from zdlib.errors import ZDError
from zdlib.models.zoe.guided import hidden_labels
from zdlib.paths import RunPaths
from zdlib.train.frames import open_frames
from zdlib.train.method import find_method
from zdlib.train.methods.label_study import LabelledReader, Relabelled, donors
from zdlib.train.run import train
from zdlib.train.setup import set_up


@pytest.fixture(scope="module")
def profile(tmp_path_factory):
    folder = tmp_path_factory.mktemp("labels")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZD_ROOT", str(folder))
        yield tiny_training.make_profile(folder, epochs=1, validations_per_epoch=1)


def with_run(profile: Profile, **changes) -> Profile:
    model = profile.model.model_copy(update=changes.pop("model", {}))
    run = profile.runs["distill"].model_copy(update={"method": "label_study", **changes})
    return profile.model_copy(update={"runs": {"a": run}, "model": model})


def feed(profile: Profile):
    run = profile.runs["a"]
    frames = open_frames(profile, run)
    return frames, find_method(profile, run).feed(frames, torch.Generator().manual_seed(0)).items


def test_without_options_it_is_zoe_distill_to_the_bit(profile):
    # With packaged weights: of random ones it lets the statistics be learnt.
    asked = [with_run(profile, method=m, model={"encoder_weights": "packaged"}) for m in ("zoe_distill", "label_study")]
    first, second = (train(a, "a", RunPaths(f"same{i}")).checkpoint for i, a in enumerate(asked))
    first, second = (safetensors.torch.load_file(path) for path in (first, second))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_shuffled_labels_are_other_frames_and_all_of_them():
    numbers = donors(np.arange(10, 30), seed=3)
    assert sorted(numbers) == sorted(numbers.values()) == list(range(10, 30))
    assert all(frame != donor for frame, donor in numbers.items())
    assert numbers != donors(np.arange(10, 30), seed=4)


def test_a_relabelled_frame_keeps_everything_else(profile):
    frames, _ = feed(with_run(profile))
    relabelled = Relabelled(frames.reader, {0: 1, 1: 0})
    assert len(relabelled) == len(frames.reader)
    assert np.array_equal(relabelled[0].labels, frames.reader[1].labels)
    assert np.array_equal(relabelled[0].image, frames.reader[0].image)
    assert np.array_equal(relabelled[0].depth, frames.reader[0].depth)


class Numbered:
    """Frames whose labels are their numbers."""

    def __init__(self, reader):
        self.reader = reader

    def __len__(self):
        return len(self.reader)

    def __getitem__(self, index):
        sample = self.reader[index]
        return replace(sample, labels=np.full_like(sample.labels, index))


def test_shuffling_changes_the_labels_that_are_trained_on_alone(profile):
    frames = open_frames(profile, profile.runs["distill"])
    frames = replace(frames, reader=Numbered(frames.reader))
    sets = []
    for labels in ("true", "shuffled"):
        asked = with_run(profile, options={"labels": labels})
        sets.append(find_method(asked, asked.runs["a"]).feed(frames, torch.Generator().manual_seed(0)).items)
    items = [(sets[0][i], sets[1][i]) for i in range(len(sets[0]))]
    assert all(torch.equal(a["image"], b["image"]) and torch.equal(a["depth"], b["depth"]) for a, b in items)
    assert all(a["labels"].max() == a["index"] != b["labels"].max() for a, b in items)
    assert sorted(int(b["labels"].max()) for _, b in items) == sorted(sets[0].indices.tolist())


def test_a_share_is_of_whole_scenes_and_lies_within_larger_ones(profile):
    chosen = {}
    for share in (0.25, 0.5, 1.0):
        frames, items = feed(with_run(profile, options={"share": share}))
        chosen[share] = set(items.indices.tolist())
        scenes = {frames.reader.scenes[i] for i in chosen[share]}
        whole = {i for i in frames.roles.train.tolist() if frames.reader.scenes[i] in scenes}
        assert chosen[share] == whole
    assert chosen[0.25] <= chosen[0.5] < chosen[1.0]


def test_pictures_carry_their_own_labels_for_a_network_that_is_told_them(profile):
    frames, items = feed(with_run(profile, seg_weight=0.0, model={"label_input": True}))
    item = items[0]
    assert torch.equal(hidden_labels(item["image"]), item["labels"])
    sample = LabelledReader(frames.reader)[3]
    carried = hidden_labels(torch.from_numpy(sample.image).movedim(-1, 0).float() / 255)
    assert np.array_equal(carried.numpy(), frames.reader[3].labels)


def test_a_guided_run_trains_its_guides(profile):
    result = train(with_run(profile, seg_weight=0.0, model={"label_input": True}), "a", RunPaths("guided"))
    weights = safetensors.torch.load_file(result.checkpoint)
    assert all(weights[key].abs().max() > 0 for key in weights if key.startswith("guides."))


def test_gradients_of_the_two_losses_are_reported_and_leave_the_network_alone(profile):
    asked = with_run(profile, options={"report_gradients": True})
    run = asked.runs["a"]
    setup = set_up(asked, run, open_frames(asked, run), torch.device("cpu"), steps=4)
    before = {key: value.clone() for key, value in setup.network.state_dict().items()}
    scores = setup.validate()
    assert scores["gradient_depth"] > 0
    assert scores["gradient_segmentation"] > 0
    assert -1 <= scores["gradient_cosine"] <= 1
    assert all(torch.equal(before[key], value) for key, value in setup.network.state_dict().items())
    assert all(parameter.grad is None for parameter in setup.network.parameters())


def test_statistics_are_learnt_where_no_weights_bring_them(profile):
    run = with_run(profile).runs["a"]
    network = find_method(with_run(profile), run).network(torch.device("cpu"))
    norms = [m for m in network.encoder.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert norms
    assert all(norm.training for norm in norms)


@pytest.mark.parametrize("options", [{"labels": "some"}, {"share": 0.0}, {"share": 1.5}, {"lables": "true"}])
def test_wrong_options_are_named(profile, options):
    asked = with_run(profile, options=options)
    with pytest.raises(ZDError, match=next(iter(options))):
        find_method(asked, asked.runs["a"])
