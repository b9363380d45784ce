"""Predictions of the test sets: made once, and again for whatever else they would depend on."""

import numpy as np
import pytest
import torch
from tiny_evaluations import COUNT

from zdlib.data.sets.ibims import IBimsReader
from zdlib.models.checkpoints import save_checkpoint
from zdlib.models.depth_model import DepthModel
from zdlib.models.factory import build_model
from zdlib.paper.predicted import predict_test_sets, predicted, predictions_path
from zdlib.paper.trained_runs import load_run, open_nyu, predict_run


@pytest.fixture
def run(made):
    profile, paths = made
    for name in ("nyu", "ibims"):
        predictions_path(paths, "control", name).unlink(missing_ok=True)
    return load_run(profile, "control", paths)


@pytest.fixture
def passes(monkeypatch):
    """How many times a network was asked to predict."""
    calls = []
    predict = DepthModel.predict

    def counted(self, images, inference):
        calls.append(len(images))
        return predict(self, images, inference)

    monkeypatch.setattr(DepthModel, "predict", counted)
    return calls


def test_maps_are_those_of_the_network_and_made_once(made, run, passes):
    profile, paths = made
    reader = open_nyu(profile).readers["raw"]
    first = predicted(profile, run, paths, "nyu", reader)
    again = predicted(profile, run, paths, "nyu", reader)
    assert passes == [COUNT]
    direct = predict_run(run, reader, range(COUNT), profile)
    for frame in range(COUNT):
        np.testing.assert_array_equal(first[frame], direct[frame])
        np.testing.assert_array_equal(again[frame], direct[frame])


def test_the_step_serves_both_sets(made, run, passes):
    profile, paths = made
    predict_test_sets(profile, "control", paths)
    reader = IBimsReader(profile.data.ibims.root)
    assert passes == [COUNT, len(reader)]
    maps = predicted(profile, run, paths, "ibims", reader)
    assert passes == [COUNT, len(reader)]
    np.testing.assert_array_equal(maps[0], predict_run(run, reader, range(len(reader)), profile)[0])


def test_other_weights_options_or_data_are_predicted_anew(made, run, passes):
    profile, paths = made
    reader = open_nyu(profile).readers["raw"]
    first = predicted(profile, run, paths, "nyu", reader)
    mirrored = profile.model_copy(update={"evaluate": profile.evaluate.model_copy(update={"flip": True})})
    predicted(mirrored, run, paths, "nyu", reader)
    assert passes == [COUNT, COUNT]
    reader.path.touch()
    predicted(mirrored, run, paths, "nyu", reader)
    assert passes == [COUNT] * 3

    weights = paths.checkpoints / "control.safetensors"
    before = weights.read_bytes()
    try:
        torch.manual_seed(5)
        info = {"train_frames": [0], "selection_frames": [1]}
        save_checkpoint(weights, build_model(profile.model, segmentation=False), profile.model, info)
        other = predicted(profile, load_run(profile, "control", paths), paths, "nyu", reader)
    finally:
        weights.write_bytes(before)
    assert not np.allclose(other[0], first[0])


@pytest.mark.parametrize("damage", ["cut", "empty", "a byte", "no depth"])
def test_a_damaged_file_is_made_again(made, run, damage):
    profile, paths = made
    reader = open_nyu(profile).readers["raw"]
    first = predicted(profile, run, paths, "nyu", reader)
    path = predictions_path(paths, "control", "nyu")
    content = path.read_bytes()
    place = content.index(np.ascontiguousarray(first[3]).tobytes())
    flipped = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
    path.write_bytes(
        {
            "cut": content[: len(content) // 2],
            "empty": b"",
            "a byte": flipped,
            "no depth": content.replace(b"depth", b"DEPTH"),
        }[damage]
    )
    again = predicted(profile, run, paths, "nyu", reader)
    np.testing.assert_array_equal(again[3], first[3])
