import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from scenes.rooms import catalogue, objfile

OBJ = """mtllib m/table.mtl
v 0 0 0
v 10 0 0
v 10 5 0
v 0 5 0
v 0 0 20
vt 0 0
vt 1 0
vt 1 1
vt 4e9 0
vn 0 0 1
usemtl wood
f 1/1/1 2/2/1 3/3/1 4/1/1
usemtl glass
f -5/4 -4/2 -1/3
f 1 1 2
"""
MTL = """newmtl wood
Kd 0.5 0.25 0.1
Ks 0.3 0.2 0.1
Ns 80
map_Kd wood.png
newmtl glass
Kd 0.9 0.9 0.9
Tr 0.75
map_Kd missing.png
"""


@pytest.fixture
def furniture(tmp_path, monkeypatch):
    picture = io.BytesIO()
    Image.new("RGB", (600, 300), (255, 0, 0)).save(picture, "PNG")
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as file:
        file.writestr("t/table.obj", OBJ)
        file.writestr("t/m/table.mtl", MTL)
        file.writestr("t/m/wood.png", picture.getvalue())
    archive = zipfile.ZipFile(tmp_path / "x.zip")
    model = catalogue.Model("Sx", "dining", "table", "rooms_n", (2.0, 1.0, 0.5))
    monkeypatch.setattr(catalogue, "archive", lambda library: archive)
    monkeypatch.setattr(catalogue, "entries", lambda: {"Sx": {"model": "/t/table.obj"}})
    monkeypatch.setattr(catalogue, "models", lambda: {"Sx": model})
    objfile.load_parts.cache_clear()
    objfile.load_texture.cache_clear()
    yield objfile.load_parts("Sx")
    archive.close()
    objfile.load_parts.cache_clear()
    objfile.load_texture.cache_clear()


def test_parts_are_split_by_material_and_degenerate_faces_dropped(furniture):
    assert [(part.name, part.mesh.triangles) for part in furniture] == [("wood", 2), ("glass", 1)]


def test_size_is_the_catalogue_s_and_the_base_is_at_the_origin(furniture):
    points = np.concatenate([part.mesh.positions for part in furniture])
    assert np.allclose(np.ptp(points, axis=0), (2.0, 1.0, 0.5))
    assert points[:, 1].min() == 0
    assert np.allclose((points.max(0) + points.min(0))[[0, 2]], 0)


def test_materials(furniture):
    wood, glass = (part.material for part in furniture)
    assert wood.diffuse == (0.5, 0.25, 0.1)
    assert (wood.specular, wood.shininess, wood.opacity) == (0.3, 80.0, 1.0)
    assert wood.texture == "t/m/wood.png"
    assert glass.opacity == 0.25
    assert glass.texture is None


def test_normals_are_the_file_s_or_the_face_s(furniture):
    wood, glass = (part.mesh for part in furniture)
    assert np.allclose(wood.normals, [0, 0, 1])
    a, b, c = glass.positions
    face = np.cross(b - a, c - a)
    assert np.allclose(glass.normals, face / np.linalg.norm(face), atol=1e-6)


def test_absurd_texture_coordinates_become_zero(furniture):
    assert np.allclose(furniture[1].mesh.uv, [[0, 0], [1, 0], [1, 1]])


def test_textures_are_made_small(furniture):
    image = objfile.load_texture("Scopia", "t/m/wood.png")
    assert image.shape == (128, 256, 3)
    assert np.allclose(image[0, 0], [1, 0, 0])
