import numpy as np
import pytest

from scenes.rooms.camera import Camera
from scenes.rooms.planes import View3D, occlusion_edges, planes

NAMES = ["unlabelled", "wall", "floor", "table"]
WALL_Z, BOX_Z, TABLE = 4.0, 2.0, 0.7


def box_room(*, table=False, screen=False):
    """Exact view of a floor (y = 0) and a wall (z = 4), with a table top (y = 0.7) or a free-standing panel (z = 2)."""
    camera = Camera((1.0, 1.5, 0.0), 0.1, -0.25, 0.02, 64, 48, 52.0)
    directions, cosine = camera.rays()
    origin = np.array(camera.origin)
    with np.errstate(divide="ignore"):
        surfaces = [
            ((WALL_Z - origin[2]) / directions[:, 2], np.array([0.0, 0, -1]), 1, None),
            (-origin[1] / directions[:, 1], np.array([0.0, 1, 0]), 2, None),
        ]
        if table:
            surfaces.append(((TABLE - origin[1]) / directions[:, 1], np.array([0.0, 1, 0]), 3, (0.6, 1.6, 1.5, 2.5)))
        if screen:
            surfaces.append(((BOX_Z - origin[2]) / directions[:, 2], np.array([0.0, 0, -1]), 0, (0.8, 1.2, None, None)))
    best = np.full(len(directions), np.inf)
    label, normal = np.zeros(len(directions), int), np.zeros((len(directions), 3))
    for distance, facing, name, extent in surfaces:
        point = origin + directions * distance[:, None]
        hit = (distance > 0) & (distance < best)
        if extent is not None:
            hit &= (point[:, 0] > extent[0]) & (point[:, 0] < extent[1])
            if extent[2] is not None:
                hit &= (point[:, 2] > extent[2]) & (point[:, 2] < extent[3])
        best[hit], label[hit], normal[hit] = distance[hit], name, facing
    shape = (camera.height, camera.width)
    label = label.reshape(shape)
    return View3D(
        (best * cosine).reshape(shape), normal.reshape(*shape, 3), label, label, camera.intrinsics(), camera.pose()
    )


def points(view):
    return view.rays() * view.depth[..., None]


@pytest.mark.parametrize("kind", ["wall", "floor", "table"])
def test_plane_fits_the_depth_and_faces_the_camera(kind):
    view = box_room(table=True)
    numbers, rows = planes(view, kind, NAMES)
    assert len(rows) == 1
    a, b, c, d = rows[0, :4]
    on = numbers == 1
    assert on.sum() == rows[0, 7] == (view.label == NAMES.index(kind)).sum()
    assert np.abs(points(view)[on] @ (a, b, c) + d).max() < 1e-9
    assert np.linalg.norm(rows[0, 4:7]) == pytest.approx(1)
    assert d > 0  # the camera, at the origin, is on the side the normal points to


def test_distance_of_the_floor_is_the_camera_height():
    _, rows = planes(box_room(), "floor", NAMES)
    assert rows[0, 3] == pytest.approx(1.5)


def test_no_plane_of_a_kind_gives_no_rows():
    numbers, rows = planes(box_room(), "table", NAMES)
    assert rows.shape == (0, 8)
    assert not numbers.any()


def test_edges_surround_a_panel_and_no_slanted_surface():
    view = box_room(screen=True)
    edges = occlusion_edges(view)
    panel = view.label == 0
    left, right = np.where(panel[24])[0][[0, -1]]
    assert edges[24, left] == 1
    assert edges[24, right] == 1
    assert edges[24].sum() == 2
    assert not occlusion_edges(box_room()).any()
