"""The real data sets: their list, fetching, and readers, on small made-up files in the true layouts."""

import csv
import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
from downloads_server import serving
from PIL import Image

from zdlib.apps.command_line import main
from zdlib.data.real import fetch as fetching
from zdlib.data.real.hololens import HoloLensReader, stretch
from zdlib.data.real.listed import NAMES, listed_files
from zdlib.data.real.mix import _PICTURES, MixReader
from zdlib.data.real.streets import StreetsReader, nearest_depth
from zdlib.errors import ZDError

POSE = np.array([[0.0, -1, 0, 3], [1, 0, 0, 2], [0, 0, 1, 1], [0, 0, 0, 1]])


def save_pair(image, depth, units, size=(6, 9), value=77):
    for path in (image, depth):
        path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*size, 3), value, np.uint8)).save(image)
    Image.fromarray(np.full(size, units, np.uint16)).save(depth)


@pytest.fixture
def hololens(tmp_path):
    files = [file for file in listed_files("real-hololens") if "/images/" in file.file]
    for number, file in enumerate(files):
        save_pair(tmp_path / file.file, tmp_path / file.file.replace("images", "depth"), 1000 + number)
    folder = tmp_path / "hololens"
    (folder / "K.txt").write_text("500 0 4\n0 510 3\n0 0 1\n")
    (folder / "LICENSE").write_text("MIT")
    lines = [" ".join(map(str, POSE.ravel() + (np.arange(16) == 3) * row)) for row in range(373)]
    (folder / "poses.txt").write_text("\n".join(lines))
    return tmp_path


def test_the_list_names_every_file_once_and_pins_it():
    for name in NAMES:
        files = listed_files(name)
        assert len({file.file for file in files}) == len(files) > 0
        for file in files:
            assert len(file.sha256) == 64
            assert len(file.commit) == 40
            assert file.commit in file.url
    assert len(listed_files("real-hololens")) == 253
    assert listed_files("nonsense") == ()


def test_the_walk_has_three_stretches_with_frames_of_nobody_between():
    names = [stretch(number) for number in range(125)]
    assert [names.count(name) for name in ("first", "middle", "last", "between")] == [61, 16, 42, 6]
    assert "between" not in (names[0], names[60], names[64], names[83])
    for number in range(124):
        assert names[number] == names[number + 1] or "between" in names[number : number + 2]


def test_hololens_gives_depth_intrinsics_and_poses_by_the_authors_rows(hololens):
    reader = HoloLensReader(hololens)
    assert len(reader) == 125
    sample = reader[124]
    assert sample.name == "00378"
    assert sample.scene == "last"
    np.testing.assert_allclose(sample.depth, np.full((6, 9), 1.124), rtol=1e-6)
    np.testing.assert_array_equal(sample.intrinsics, [[500, 0, 4], [0, 510, 3], [0, 0, 1]])
    rows = [file.row for file in listed_files("real-hololens") if file.row >= 0]
    assert rows[-1] == 372
    for number in (0, 1, 124):
        assert reader[number].pose[0, 3] == 3 + rows[number]
    np.testing.assert_array_equal(HoloLensReader(hololens / "hololens")[3].image, reader[3].image)


def test_a_copy_without_the_authors_poses_has_its_own_list(hololens):
    (hololens / "hololens" / "poses.txt").unlink()
    with pytest.raises(ZDError, match=r"poses\.txt: not a text file of numbers .* zdlib data fetch real-hololens"):
        HoloLensReader(hololens)
    with open(hololens / "hololens" / "frames.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["frame", "pose_camera_to_world_row_major_4x4"])
        writer.writerows([number, " ".join(map(str, (POSE + number).ravel()))] for number in range(125))
    np.testing.assert_array_equal(HoloLensReader(hololens)[7].pose, POSE + 7)


@pytest.fixture
def mix(tmp_path):
    for entry in _PICTURES.values():
        save_pair(tmp_path / entry.image, tmp_path / entry.depth, 2000)
    Image.fromarray(np.zeros((60, 90, 3), np.uint8)).save(tmp_path / "promptda/image.jpg")
    camera = json.dumps({"intrinsic_matrix": [600, 0, 0, 0, 610, 0, 32, 24, 1]})
    for entry in _PICTURES.values():
        if entry.camera:
            (tmp_path / entry.camera).write_text("460 0 4\n0 461 3\n0 0 1" if entry.camera.endswith("txt") else camera)
    matrices = [np.vstack([POSE[:3] + n, POSE[3:]]) for n in range(5)]
    log = "\n".join(
        f"{n}\t{n}\t{n + 1}\n" + "\n".join(" ".join(map(str, row)) for row in matrices[n]) for n in range(5)
    )
    (tmp_path / "open3d_rgbd" / "odometry.log").write_text(log)
    return tmp_path


def test_mix_knows_each_camera_s_unit_and_lens(mix):
    samples = {sample.name: sample for sample in MixReader(mix)}
    assert len(samples) == 13
    metres = {name: float(sample.depth.max()) for name, sample in samples.items()}
    assert metres["lingbot_0"] == 2
    assert metres["tum"] == pytest.approx(0.4)
    assert metres["esanet"] == pytest.approx(0.2)
    assert samples["promptda"].image.shape == (6, 9, 3), "reduced to its depth"
    np.testing.assert_array_equal(samples["tum"].intrinsics, [[600, 0, 32], [0, 610, 24], [0, 0, 1]])
    assert samples["lingbot_5"].intrinsics[1, 1] == 461
    assert samples["esanet"].intrinsics is None
    assert samples["open3d_3"].pose[0, 3] == 3 + 3
    assert samples["tum"].pose is None
    assert len(set(MixReader(mix).scenes)) == 9, "five consecutive frames are one scene"


def test_a_picture_of_another_shape_than_its_depth_is_refused(mix):
    Image.fromarray(np.zeros((60, 60, 3), np.uint8)).save(mix / "tum/TUM_color.png")
    with pytest.raises(ZDError, match=r"TUM_depth\.png: .* another shape than its picture's"):
        MixReader(mix)[6]


def quaternion(axis, degrees):
    half = np.radians(degrees) / 2
    return {"qw": np.cos(half)} | {f"q{name}": np.sin(half) * (name == axis) for name in "xyz"}


def pose_json(rotation, translation):
    return {"rotation": rotation, "translation": dict(zip("xyz", translation, strict=True))}


@pytest.fixture
def streets(tmp_path):
    """A scanner at the world's origin; three cameras a metre behind it, one of them turned by 90° about y."""
    folder = tmp_path / "tri_dgp" / "scene_01"
    cameras = {"CAMERA_01": 0, "CAMERA_05": 90, "CAMERA_06": 0}
    points = np.array([[0.0, 0, 4, 9], [0, 0, 7, 9], [1, 0, 4, 9], [0, 0, -6, 9]])
    (folder / "LIDAR").mkdir(parents=True)
    np.savez(folder / "LIDAR" / "a.npz", data=points)
    data = []
    for index in ("0", "1"):  # a second moment, whose files are not there
        name = "a" if index == "0" else "missing"
        scan = {"filename": f"LIDAR/{name}.npz", "pose": pose_json(quaternion("y", 0), (0, 0, 0))}
        data.append({"id": {"index": "0", "name": "LIDAR"}, "datum": {"point_cloud": scan}})
        for camera, degrees in cameras.items():
            pose = pose_json(quaternion("y", degrees), (0, 0, -1))
            image = {"filename": f"rgb/{camera}/{name}.png", "pose": pose}
            data.append({"id": {"index": "0", "name": camera}, "datum": {"image": image}})
    for camera in cameras:
        (folder / "rgb" / camera).mkdir(parents=True)
        Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(folder / "rgb" / camera / "a.png")
    (folder / "scene_x.json").write_text(json.dumps({"data": data}))
    (folder / "calibration").mkdir()
    lens = {"fx": 50.0, "fy": 50.0, "cx": 15.0, "cy": 10.0, "skew": 0.0}
    (folder / "calibration" / "c.json").write_text(
        json.dumps({"names": ["LIDAR", *cameras], "intrinsics": [dict.fromkeys(lens, 0.0)] + [lens] * 3})
    )
    return tmp_path


def test_echoes_land_where_the_two_poses_put_them(streets):
    straight, turned, _ = StreetsReader(streets)
    assert straight.intrinsics[0, 0] == 50
    expected = np.zeros((20, 30), np.float32)
    expected[10, 15] = 5  # the nearer of two on one ray, a metre farther from the camera than from the scanner
    expected[10, 25] = 5
    np.testing.assert_allclose(straight.depth, expected)
    # Turned to look along +x: the echo at x = 1 lies a metre ahead and 5 m to the left, outside the picture.
    assert not turned.depth.any()


def test_a_point_outside_or_behind_counts_for_nothing():
    points = np.array([[0, 0, -1.0], [9, 0, 1]])
    assert not nearest_depth(points, np.array([[1.0, 0, 1], [0, 1, 1], [0, 0, 1]]), (3, 3)).any()


def test_a_missing_street_is_one_line(streets):
    (streets / "tri_dgp/scene_01/rgb/CAMERA_05/a.png").unlink()
    with pytest.raises(ZDError, match=r"CAMERA_05/a\.png: no such file: get it again: zdlib data fetch real-streets"):
        StreetsReader(streets)
    (streets / "tri_dgp/scene_01/scene_x.json").write_text("[]")
    with pytest.raises(ZDError, match="not a scene of DGP"):
        StreetsReader(streets)


@pytest.fixture
def source(monkeypatch):
    """A data set of two files on a server, in the place of real-mix."""
    contents = {"/a": b"first" * 100, "/b": b"second" * 100}
    with serving(contents) as server:
        first = listed_files("real-mix")[0]
        files = tuple(
            replace(
                first,
                file=f"folder{path}",
                url=server.url + path,
                sha256=hashlib.sha256(content).hexdigest(),
                size=len(content),
            )
            for path, content in contents.items()
        )
        monkeypatch.setattr(fetching, "listed_files", lambda name: files if name == "real-mix" else ())
        monkeypatch.delenv("ZD_REAL_DATA", raising=False)
        monkeypatch.delenv("ZD_DATA", raising=False)
        yield server


def test_fetch_brings_what_is_missing(source, tmp_path, capsys):
    assert main(["data", "fetch", "real-mix", "-o", str(tmp_path)]) == 0
    assert (tmp_path / "folder/b").read_bytes() == b"second" * 100
    (tmp_path / "folder/b").write_bytes(b"damaged")
    assert main(["data", "fetch", "real-mix", "-o", str(tmp_path)]) == 0
    assert [path for _, path, _ in source.requests] == ["/a", "/b", "/b"]
    assert "2 files in" in capsys.readouterr().out


def test_fetch_offline_is_one_line_with_the_addresses(source, tmp_path, capsys):
    source.files.clear()
    assert main(["data", "fetch", "real-mix", "-o", str(tmp_path)]) == 1
    line = capsys.readouterr().err.strip().splitlines()[-1]
    first = listed_files("real-mix")[0]
    for part in ("cannot be downloaded", f"github.com/{first.repository}/tree/{first.commit}", "ZD_REAL_DATA"):
        assert part in line


def test_fetch_needs_a_name_and_a_folder(source, capsys):
    assert main(["data", "fetch", "moon", "-o", "x"]) == 1
    assert "choose one of real-hololens, real-mix" in capsys.readouterr().err
    assert main(["data", "fetch", "real-mix"]) == 1
    assert "ZD_DATA is not set" in capsys.readouterr().err


def test_poses_are_pinned_by_their_lines(hololens, tmp_path, monkeypatch):
    """Of the authors' file, whose digest nobody had, only the lines of the listed frames are compared."""
    entry = next(file for file in listed_files("real-hololens") if file.file.endswith("poses.txt"))
    lines = (hololens / "hololens/poses.txt").read_text().splitlines()
    rows = [3, 5]
    entry = replace(entry, sha256=hashlib.sha256("\n".join(lines[row] for row in rows).encode()).hexdigest())
    target = tmp_path / "new"
    fetching._obtain_poses(entry, target, [hololens], rows)
    assert (target / "hololens/poses.txt").read_text().splitlines() == lines
    with serving({"/poses": b"\n".join(line.encode() for line in lines[::-1])}) as server:
        entry = replace(entry, url=f"{server.url}/poses")
        with pytest.raises(ZDError, match="has other poses than the pinned ones"):
            fetching._obtain_poses(entry, tmp_path / "other", [], rows)
    assert not (tmp_path / "other/hololens/poses.txt").exists()
