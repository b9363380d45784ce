"""Pictures, lenses, patterns, videos and clouds of points of `zdlib predict`."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image, ImageOps

from zdlib.apps.command_line import main
from zdlib.apps.prediction.points import cloud_files, points_of
from zdlib.apps.prediction.sources import exif_focal, picture_files, read_photograph, upright, video_frames
from zdlib.errors import ZDError
from zdlib.models.checkpoints import save_checkpoint
from zdlib.models.choice import PACKAGED_CARD, PACKAGED_FILE, chosen_model
from zdlib.models.factory import build_model
from zdlib.models.zoe.architecture import Architecture

SMALL = Architecture(
    encoder="tf_efficientnet_lite0",
    input_size=(64, 96),
    decoder_channels=16,
    bin_embedding_dim=16,
    keep_aspect_ratio=True,
)


def exif(**tags):
    made = Image.Exif()
    made.get_ifd(ExifTags.IFD.Exif).update({ExifTags.Base[name].value: value for name, value in tags.items()})
    return made


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "light.safetensors"
    torch.manual_seed(0)
    save_checkpoint(path, build_model(SMALL), SMALL, {"convention": {"canonical_focal": 80.0}})
    return str(path)


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "room.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 96, 3), dtype=np.uint8)).save(path)
    return path


@pytest.mark.parametrize(
    ("tags", "focal"),
    [
        ({"FocalLengthIn35mmFilm": 28}, 28 * 500 / 1872**0.5),
        ({"FocalLengthIn35mmFilm": 0}, None),
        ({"FocalLength": 4.2}, None),
        # 10 mm at 100 pixels per mm; the picture was reduced to a half since.
        (
            {
                "FocalLength": 10.0,
                "FocalPlaneXResolution": 2540.0,
                "FocalPlaneResolutionUnit": 2,
                "ExifImageWidth": 800,
            },
            500.0,
        ),
        ({}, None),
    ],
)
def test_the_focal_length_of_exif(tags, focal):
    found = exif_focal(exif(**tags), 300, 400)
    assert found == (None if focal is None else pytest.approx(focal))


def test_a_picture_is_turned_upright_and_its_lens_with_it(tmp_path):
    image = np.zeros((20, 40, 3), np.uint8)
    image[:, :10] = 255
    made = exif(FocalLengthIn35mmFilm=50)
    made[ExifTags.Base.Orientation] = 6  # turned by 90° to the right when shown
    Image.fromarray(image).save(tmp_path / "p.jpg", exif=made, quality=95)
    photograph = read_photograph(tmp_path / "p.jpg")
    assert photograph.image.shape == (40, 20, 3)
    assert photograph.image[:8].min() > 200
    assert photograph.focal == pytest.approx(50 * 2000**0.5 / 1872**0.5)


def test_each_orientation_is_that_of_pillow():
    image = np.random.default_rng(0).integers(0, 255, (4, 6, 3), dtype=np.uint8)
    for orientation in range(1, 9):
        turned = Image.fromarray(image)
        turned.getexif()[ExifTags.Base.Orientation] = orientation
        np.testing.assert_array_equal(upright(image, orientation), np.asarray(ImageOps.exif_transpose(turned)))
    np.testing.assert_array_equal(upright(image, "wrong"), image)


def test_bad_pictures_are_one_line(tmp_path):
    (tmp_path / "x.jpg").write_bytes(b"\xff\xd8 no picture")
    for name in ("x.jpg", "none.jpg"):
        with pytest.raises(ZDError, match=rf"{name}: .*: name an image file"):
            read_photograph(tmp_path / name)


def test_folders_and_patterns(tmp_path):
    for name in ("b.jpg", "a.PNG", "c.mp4", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    assert [path.name for path in picture_files([tmp_path])] == ["a.PNG", "b.jpg", "c.mp4"]
    assert [path.name for path in picture_files([tmp_path / "*.jpg"])] == ["b.jpg"]
    assert picture_files([tmp_path / "none.jpg"]) == [tmp_path / "none.jpg"], "whoever reads it says that it is missing"
    with pytest.raises(ZDError, match=r"\*\.tif: no file has such a name"):
        picture_files([tmp_path / "*.tif"])


def test_metres_follow_the_field_of_view(picture, weights, tmp_path):
    depths = {}
    for fov in ("60", "90"):
        assert main(["predict", str(picture), "--weights", weights, "--fov", fov, "-o", str(tmp_path / fov)]) == 0
        depths[fov] = np.load(tmp_path / fov / "room.npy")
    ratio = np.tan(np.radians(45)) / np.tan(np.radians(30))
    np.testing.assert_allclose(depths["60"], ratio * depths["90"], rtol=1e-5)


@pytest.mark.parametrize("degrees", ["0", "180", "wide"])
def test_an_impossible_field_of_view_is_refused(picture, degrees, capsys):
    with pytest.raises(SystemExit):
        main(["predict", str(picture), "--fov", degrees])
    assert "give degrees between 1 and 170" in capsys.readouterr().err


def test_points_lie_where_the_lens_sees_them():
    depth = np.full((4, 6), 2.0, np.float32)
    depth[:, 4:] = 9  # a step: the pixels beside it are on neither surface
    image = np.arange(72, dtype=np.uint8).reshape(4, 6, 3)
    points, colours = points_of(image, depth, focal=10.0)
    assert len(points) == 4 * 4
    np.testing.assert_allclose(points[0], [-2.5 / 10 * 2, 1.5 / 10 * 2, -2], rtol=1e-6)
    np.testing.assert_array_equal(colours[0], image[0, 0])


def test_clouds_are_files_that_others_read(picture, weights, tmp_path):
    trimesh = pytest.importorskip("trimesh", reason="the extra points is not installed")
    assert main(["predict", str(picture), "--weights", weights, "--points", "-o", str(tmp_path / "out")]) == 0
    depth = np.load(tmp_path / "out/room.npy")
    for kind in ("ply", "glb"):
        loaded = trimesh.load(tmp_path / f"out/room.{kind}")
        cloud = next(iter(loaded.geometry.values())) if kind == "glb" else loaded
        vertices = np.asarray(cloud.vertices)
        assert len(vertices) == len(points_of(np.zeros((*depth.shape, 3), np.uint8), depth, 50.0)[0])
        assert -depth.max() - 1e-4 <= vertices[:, 2].min() <= vertices[:, 2].max() <= -depth.min() + 1e-4
    with pytest.raises(ZDError, match="no pixel of this depth lies on a surface"):
        cloud_files(np.zeros((3, 3, 3), np.uint8), np.zeros((3, 3), np.float32), 5.0)


@pytest.mark.parametrize(("extra", "module", "arguments"), [("points", "trimesh", ["--points"]), ("video", "av", [])])
def test_a_missing_extra_is_named_before_anything_is_loaded(
    picture, weights, tmp_path, without_package, capsys, extra, module, arguments
):
    without_package(module)
    source = tmp_path / "walk.mp4" if extra == "video" else picture
    source.touch()
    assert main(["predict", str(source), "--weights", weights, *arguments, "-o", str(tmp_path / "out")]) == 1
    assert f"pip install 'zdlib[{extra}]'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_video_becomes_a_video(weights, tmp_path):
    av = pytest.importorskip("av", reason="the extra video is not installed")
    with av.open(str(tmp_path / "walk.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=Fraction(5))
        stream.width, stream.height = 96, 64
        for number in range(4):
            frame = av.VideoFrame.from_ndarray(np.full((64, 96, 3), 60 * number, np.uint8), format="rgb24")
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    out = tmp_path / "out"
    assert main(["predict", str(tmp_path / "walk.mp4"), "--weights", weights, "-o", str(out)]) == 0
    frames = list(video_frames(out / "walk_depth.mp4"))
    assert len(frames) == 4
    assert frames[0].shape == (64, 96, 3)
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    assert main(["predict", str(tmp_path / "bad.mp4"), "--weights", weights, "-o", str(out)]) == 1
    assert [path.name for path in out.iterdir()] == ["walk_depth.mp4"]


def test_the_network_in_the_box_needs_no_option(picture, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["predict", "room.png"]) == 0
    printed = capsys.readouterr()
    assert printed.err.startswith("zdlib: zoe_light: the light network that comes with zdlib")
    assert "--model" in printed.err
    depth = np.load(tmp_path / "depth" / "room.npy")
    assert depth.shape == (64, 96)
    assert 0.05 < depth.min() < depth.max() < 100


def test_the_box_holds_half_precision_and_a_card():
    assert PACKAGED_FILE.stat().st_size <= 9_000_000
    card = PACKAGED_CARD.read_text(encoding="utf-8")
    for word in ("AbsRel", "HoloLens", "Rooms-N", "METER", "fails", "SHA-256"):
        assert word in card
    model = chosen_model("zoe_light")
    assert model.convention.canonical_focal == pytest.approx(207.5)
    assert all(parameter.dtype == torch.float32 for parameter in model.network.parameters())
