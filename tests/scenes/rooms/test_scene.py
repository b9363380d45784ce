import numpy as np
import pytest

from scenes.rooms import catalogue, scene
from scenes.rooms.geometry import box
from scenes.rooms.objfile import Material, Part
from scenes.rooms.scene import Piece, Placement, Surface

CUBE = box((0, 0.5, 0), (1, 1, 1))


def piece(label="wall", instance=1, **surface):
    return Piece(CUBE, Surface(**surface), label, instance)


def test_pieces_of_one_look_become_one_batch():
    ids = {"unlabelled": 0}
    grouped = scene.batches([piece("wall", 1, colour=(1, 0, 0)), piece("floor", 2, colour=(0, 0, 1))], ids)
    assert ids == {"unlabelled": 0, "wall": 1, "floor": 2}
    (batch,) = grouped.values()
    assert batch.mesh().triangles == 24
    assert batch.per_triangle(batch.labels).tolist() == [1] * 12 + [2] * 12
    assert batch.per_triangle(batch.instances).tolist() == [1] * 12 + [2] * 12
    colours = batch.vertex_colours()
    assert colours[0, 0] > colours[0, 2]
    assert colours[-1, 2] > colours[-1, 0]


def test_looks_that_differ_are_kept_apart():
    lamp = (1.0, 1.0, 1.0)
    pieces = [piece(), piece(gloss=1), piece(texture=("wood", 1)), piece(texture=("wood", 2)), piece(radiance=lamp)]
    assert len(scene.batches(pieces, {"unlabelled": 0})) == 5


def test_texture_scale_goes_into_the_coordinates():
    (batch,) = scene.batches([piece(texture=("wood", 1), uv_scale=3.0)], {"unlabelled": 0}).values()
    assert np.allclose(batch.mesh().uv, 3 * CUBE.uv)


@pytest.fixture
def bookcase(monkeypatch):
    parts = (
        Part("wood", Material(diffuse=(0.9, 0.9, 0.9)), CUBE),
        Part("Books_1", Material(diffuse=(0.9, 0.1, 0.1), specular=0.5, shininess=90.0), CUBE),
        Part("pane", Material(opacity=0.3), CUBE),
        Part("helper", Material(opacity=0.0), CUBE),
    )
    model = catalogue.Model("S9", "shelf", "bookshelf", "rooms_n", (1.0, 1.0, 1.0))
    monkeypatch.setattr(scene, "load_parts", lambda model_id: parts)
    monkeypatch.setattr(catalogue, "models", lambda: {"S9": model})


def test_books_in_a_bookcase_have_their_own_label(bookcase):
    ids = {"unlabelled": 0}
    grouped = scene.batches([Placement("S9", (0, 0, 0), 0.0, "bookshelf", 4)], ids)
    labels = {coat: batch.labels for coat, batch in grouped.items()}
    assert set(ids) == {"unlabelled", "bookshelf", "books"}
    assert {tuple(values) for values in labels.values()} == {(ids["bookshelf"],), (ids["books"],)}
    assert sorted(coat.opacity for coat in grouped) == [0.35, 1.0, 1.0]  # the invisible helper is left out
    assert sorted(coat.gloss for coat in grouped) == [0, 0, 2]


def test_an_unlabelled_model_stays_so_in_all_its_parts(bookcase):
    ids = {"unlabelled": 0}
    scene.batches([Placement("S9", (0, 0, 0), 0.0, "unlabelled", 4)], ids)
    assert ids == {"unlabelled": 0}


def test_only_grey_parts_take_the_tint(bookcase):
    placed = Placement("S9", (0, 0, 0), 0.0, "bookshelf", 4, tint=(0.5, 0.25, 1.0))
    grouped = scene.batches([placed], {"unlabelled": 0})
    colours = {coat.gloss: batch.colours[0] for coat, batch in grouped.items() if coat.opacity == 1}
    assert colours[0] == pytest.approx((0.45, 0.225, 0.9))
    assert colours[2] == (0.9, 0.1, 0.1)


def test_linear_colours_are_those_of_real_surfaces():
    linear = scene.to_linear(np.array([0.0, 0.5, 1.0], np.float32))
    assert linear[0] == pytest.approx(0.005)
    assert linear[1] == pytest.approx(0.214, abs=1e-3)
    assert linear[2] == pytest.approx(0.88)
