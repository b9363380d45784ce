import math

import numpy as np
import pytest

from scenes.rooms import geometry


def triangle_normals(mesh):
    a, b, c = mesh.positions[0::3], mesh.positions[1::3], mesh.positions[2::3]
    face = np.cross(b - a, c - a)
    return face / np.linalg.norm(face, axis=1, keepdims=True)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("sign", [-1, 1])
def test_rectangle_faces_where_told(axis, sign):
    mesh = geometry.rectangle((1, 2, 3), (0.5, 0.25), axis, sign)
    expected = np.zeros(3)
    expected[axis] = sign
    assert np.allclose(mesh.normals, expected)
    assert np.allclose(triangle_normals(mesh), expected)
    assert np.allclose(mesh.positions[:, axis], (1, 2, 3)[axis])


def test_box_is_closed_and_faces_outwards():
    mesh = geometry.box((1, 1, 1), (0.2, 0.4, 0.6))
    a, b, c = (mesh.positions[i::3].astype(float) for i in range(3))
    assert mesh.triangles == 12
    # Divergence theorem: the signed volume of a closed mesh that faces outwards is its volume.
    assert np.einsum("ij,ij->", a, np.cross(b, c)) / 6 == pytest.approx(0.2 * 0.4 * 0.6, rel=1e-4)
    assert np.allclose(triangle_normals(mesh), mesh.normals[::3], atol=1e-5)


def test_yaw_turns_the_front_from_z_to_x():
    mesh = geometry.rectangle((0, 0, 1), (0.1, 0.1), 2, 1).placed((5, 0, 0), math.pi / 2, scale=2)
    assert np.allclose(mesh.positions.mean(0), [7, 0, 0], atol=1e-6)
    assert np.allclose(mesh.normals[0], [1, 0, 0], atol=1e-6)


def test_cylinder_has_its_radius_and_height():
    mesh = geometry.cylinder(0.05, 0.2)
    assert mesh.positions[:, 1].min() == 0
    assert mesh.positions[:, 1].max() == pytest.approx(0.2)
    assert np.linalg.norm(mesh.positions[:, [0, 2]], axis=1).max() == pytest.approx(0.05)
    assert np.allclose(np.linalg.norm(mesh.normals, axis=1), 1, atol=1e-5)


def test_pillow_lies_on_the_ground_and_curtain_hangs_above_it():
    pillow = geometry.pillow(0.5, 0.4, 0.12)
    curtain = geometry.curtain(0.6, 2.0, 5, 0.03, 0.0)
    assert pillow.positions[:, 1].min() >= 0
    assert pillow.positions[:, 1].max() == pytest.approx(0.12, abs=1e-3)
    assert curtain.positions[:, 1].min() == 0
    assert curtain.positions[:, 1].max() == 2
    for mesh in (pillow, curtain):
        assert np.isfinite(mesh.normals).all()
