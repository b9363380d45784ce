"""Views of a canonical camera, the look of cameras, and the panorama."""

import numpy as np
import pytest

from zdlib.data.sample import Sample
from zdlib.errors import ZDError
from zdlib.geometry import assumed_focal, film_focal, view_focal
from zdlib.train.photographs.items import Kind, PhotographItems, focal_of
from zdlib.train.photographs.taught import perspective, read_radiance
from zdlib.train.photographs.views import as_photographed, random_box, view


def test_a_crop_is_a_longer_lens():
    image, depth = np.zeros((40, 60, 3), np.uint8), np.ones((40, 60), np.float32)
    assert view(image, depth, 50.0, (20, 30)).focal == pytest.approx(25)
    assert view(image, depth, 50.0, (20, 30), (15.0, 10.0, 45.0, 30.0)).focal == pytest.approx(50)


def test_focal_lengths_of_the_three_kinds():
    assert view_focal(90.0, 200) == pytest.approx(100)
    assert film_focal(1872**0.5, 300, 400) == pytest.approx(500)
    assert assumed_focal(480, 640) == pytest.approx(518, rel=0.01), "NYU's Kinect"


def test_boxes_stay_inside_and_keep_the_proportions():
    rng = np.random.default_rng(0)
    for height, width in ((240, 320), (152, 416), (400, 300)):
        for _ in range(50):
            left, top, right, bottom = random_box(rng, height, width, (192, 256))
            assert 0 <= left < right <= width + 1e-9
            assert 0 <= top < bottom <= height + 1e-9
            assert 1.1 < (right - left) / (bottom - top) < 1.55


def test_the_look_changes_and_the_range_does_not():
    image = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    looks = [as_photographed(np.random.default_rng(seed), image) for seed in range(30)]
    assert all(look.dtype == np.float32 and look.min() >= 0 and look.max() <= 1 for look in looks)
    assert np.std([look.mean() for look in looks]) > 0.05
    np.testing.assert_array_equal(looks[3], as_photographed(np.random.default_rng(3), image))


def walls(*focals):
    """Frames of a wall at two metres, by cameras with different lenses."""
    return [
        Sample(
            f"wall_{focal}",
            np.full((60, 80, 3), 90, np.uint8),
            np.full((60, 80), 2.0, np.float32),
            intrinsics=np.diag([focal, focal, 1.0]),
        )
        for focal in focals
    ]


def items(reader, augment, canonical=40.0):
    kind = Kind(min_depth=0.5, max_depth=10, repeats=2)
    return PhotographItems(reader, [(n, kind) for n in range(len(reader))], (30, 40), canonical, augment, seed=1)


def test_the_same_wall_is_farther_for_a_shorter_lens():
    """At half the size focal lengths are 20 and 40; the canonical camera has 40."""
    near, far = (item["depth"].numpy() for item in (items(walls(80, 40), augment=False)[n] for n in range(2)))
    np.testing.assert_allclose(near, np.full((1, 30, 40), 2.0))
    np.testing.assert_allclose(far, np.full((1, 30, 40), 4.0))
    as_it_is = items(walls(40), augment=False, canonical=None)[0]["depth"]
    np.testing.assert_allclose(as_it_is.numpy(), np.full((1, 30, 40), 2.0))


def test_views_are_drawn_by_seed_epoch_and_position():
    several = items(walls(80), augment=True)
    assert len(several) == 2
    first, second, again = several[0], several[1], several[0]
    assert np.array_equal(first["image"], again["image"])
    assert not np.array_equal(first["image"], second["image"])
    assert first["depth"].min() >= 2 * 40 / 80 * 0.5
    assert first["depth"].max() < 2, "a crop is a longer lens, so its wall is nearer in the canonical camera"
    several.set_epoch(2)
    assert not np.array_equal(several[0]["image"], first["image"])


def test_an_unknown_lens_is_assumed():
    sample = walls(80)[0]
    assert focal_of(sample) == 80
    plain = Sample("plain", sample.image, sample.depth)
    assert focal_of(plain) == pytest.approx(assumed_focal(60, 80))


def radiance(rows, encode=True):
    """A `.hdr` file of RGBE pixels (h, w, 4), runs where values repeat."""
    height, width, _ = rows.shape
    body = b""
    for row in rows:
        body += bytes((2, 2, width >> 8, width & 255))
        for channel in row.T:
            if encode and (channel == channel[0]).all():
                body += bytes((128 + width, channel[0]))
            else:
                body += bytes((width,)) + channel.tobytes()
    return b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y %d +X %d\n" % (height, width) + body


def test_radiance_pictures_are_decoded(tmp_path):
    rows = np.random.default_rng(0).integers(1, 255, (4, 16, 4), dtype=np.uint8)
    rows[:, :, 3] = 130
    rows[1, :, 0] = 7
    (tmp_path / "p.hdr").write_bytes(radiance(rows))
    np.testing.assert_allclose(read_radiance(tmp_path / "p.hdr"), rows[..., :3] * 2.0**-6)
    for broken in (b"GIF89a\n\n-Y 1 +X 1\n", radiance(rows)[:-9], radiance(rows).replace(b"-Y", b"+Y")):
        (tmp_path / "p.hdr").write_bytes(broken)
        with pytest.raises(ZDError, match=r"p\.hdr: not a Radiance picture"):
            read_radiance(tmp_path / "p.hdr")


def test_a_view_of_a_panorama_looks_where_it_should():
    panorama = np.full((64, 128, 3), 0.2, np.float32)
    panorama[30:34, 30:34] = 5.0  # at longitude 90°, on the horizon
    ahead, away = perspective(panorama, 90.0, 0.0), perspective(panorama, 270.0, 0.0)
    rows, columns = np.nonzero(ahead[..., 0] > 200)
    assert abs(rows.mean() - 119.5) < 8
    assert abs(columns.mean() - 159.5) < 8
    assert away.max() < 200
    up = perspective(panorama, 90.0, 15.0)
    assert np.nonzero(up[..., 0] > 200)[0].mean() > 150, "a camera that looks up sees it lower"
