import numpy as np
import pytest

from scenes.rooms import catalogue, generate, layout, pack
from scenes.rooms.__main__ import main
from scenes.rooms.render import RenderScene


class EmptyRoom(RenderScene):
    """Stands in for a loaded scene: four walls at a distance that depends on the direction, without a renderer."""

    def __init__(self, room):
        self.size = np.array([room.width, room.height, room.depth])
        self.labels = np.array([1, 2], np.int32)
        self.instances = np.array([1, 2], np.int32)

    def cast(self, origins, directions):
        with np.errstate(divide="ignore"):
            exits = np.where(directions > 0, (self.size - origins) / directions, -origins / directions)
        return exits.min(1), (directions[:, 1] < -0.2).astype(np.int64), np.zeros(directions.shape, np.float32)


def test_cameras_are_the_seed_s_and_enough():
    plan = generate.PLANS["rooms_n"]
    _, room = layout.build_room(1000, plan.name)
    names = ["unlabelled", "wall", "floor"]
    first = generate.choose_cameras(plan, 1000, room, EmptyRoom(room), names)
    again = generate.choose_cameras(plan, 1000, room, EmptyRoom(room), names)
    assert len(first) == plan.views
    assert first == again
    assert first != generate.choose_cameras(plan, 1001, room, EmptyRoom(room), names)
    assert all((view.width, view.height, view.focal) == (320, 240, 259.43) for view in first)


def test_plans_have_their_own_seeds():
    seeds = [set(range(plan.first_seed, plan.first_seed + plan.scenes)) for plan in generate.PLANS.values()]
    assert not seeds[0] & seeds[1]


def test_finished_images_are_not_rendered_again(tmp_path, monkeypatch):
    plan = generate.PLANS["rooms_i"]
    for seed in range(plan.first_seed, plan.first_seed + plan.scenes):
        for view in range(plan.views):
            (tmp_path / f"rooms_i_{seed:05d}_{view}.npz").touch()
    monkeypatch.setattr(generate, "views", None)
    assert list(generate.render_scenes(plan, tmp_path)) == []


def one_line(capsys):
    text = capsys.readouterr().err
    assert text.startswith("error: ")
    assert text.count("\n") == 1
    return text


def test_wrong_part_is_one_line(tmp_path, capsys):
    assert main(["generate", "--work", str(tmp_path), "--part", "2", "--parts", "2"]) == 1
    assert "--part 2" in one_line(capsys)


def test_missing_furniture_is_one_line(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(generate, "views", lambda plan, seed: catalogue.furniture_folder())
    monkeypatch.setenv(catalogue.FURNITURE_VARIABLE, str(tmp_path / "none"))
    assert main(["generate", "--work", str(tmp_path)]) == 1
    assert "sweethome3d-furniture" in one_line(capsys)


def test_a_damaged_image_is_one_line_and_leaves_no_store(tmp_path, capsys):
    (tmp_path / "rooms_n_01000_0.npz").write_bytes(b"PK half an image")
    assert main(["pack", "--work", str(tmp_path), "--stores", str(tmp_path / "out")]) == 1
    assert "rooms_n_01000_0.npz" in one_line(capsys)
    assert not (tmp_path / "out").exists()


def test_data_set_names():
    assert set(pack.NAMES) == set(generate.PLANS) == set(pack.DEPTH_SCALES)
    assert pytest.approx(50 / 65535) == pack.DEPTH_SCALES["rooms_i"]
