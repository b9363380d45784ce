from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest

from zdlib.data.sample import Sample
from zdlib.errors import ZDError
from zdlib.metrics import protocols

STANDARD = protocols.get("nyu/standard")
PUBLISHED = protocols.get("nyu/published")


def frame(depth, mask=None):
    return Sample("a", np.zeros((*depth.shape, 3), np.uint8), depth, mask=mask)


def test_names_and_sources():
    assert {
        "nyu/standard",
        "nyu/standard-291",
        "nyu/published",
        "nyu/published-291",
        "ibims/zoedepth",
        "ibims/published",
        "ibims/koch",
    } <= set(protocols.PROTOCOLS)
    for name, protocol in protocols.PROTOCOLS.items():
        assert protocol.name == name
        assert protocol.note
        assert protocol.source
        assert protocol.min_depth < protocol.max_depth
    with pytest.raises(ZDError, match="choose one of nyu/standard,"):
        protocols.get("nyu/best")
    with pytest.raises(FrozenInstanceError):
        STANDARD.max_depth = 80.0


@pytest.mark.parametrize(
    ("name", "size", "window"),
    [
        ("nyu/standard", (480, 640), (slice(45, 471), slice(41, 601))),
        ("nyu/standard", (240, 320), (slice(22, 236), slice(20, 300))),
        ("nyu/standard", (960, 1280), (slice(90, 942), slice(82, 1202))),
        ("kitti/zoedepth", (352, 1216), (slice(143, 349), slice(43, 1172))),
        ("ibims/koch", (480, 640), (slice(0, 480), slice(0, 640))),
        # Garg's rectangle on KITTI's usual frame: rows 153 to 370, columns 44 to 1196.
        ("kitti/eigen-697", (375, 1242), (slice(153, 371), slice(44, 1197))),
        ("streets/eigen", (128, 416), (slice(52, 126), slice(14, 401))),
        ("kitti/eigen-652-improved", (375, 1242), (slice(0, 375), slice(0, 1242))),
        ("cityscapes/sgdepth", (1024, 2048), (slice(102, 716), slice(204, 1843))),
    ],
)
def test_crop(name, size, window):
    assert protocols.get(name).crop_window(*size) == window
    valid = protocols.get(name).valid(frame(np.full(size, 5.0, np.float32)))
    expected = np.zeros(size, bool)
    expected[window] = True
    np.testing.assert_array_equal(valid, expected)


def test_describe_says_when_the_crop_is_scaled():
    assert STANDARD.describe(480, 640) == (
        "nyu/standard: raw ground truth, 0.001 m < d < 10 m, "
        "Eigen crop rows 45:471, columns 41:601 of 480×640, no masks"
    )
    assert "rows 22:236, columns 20:300 of 240×320 (scaled from 480×640)" in STANDARD.describe(240, 320)
    assert "ground truth, 0 m < d, no crop, data set's masks applied" in protocols.get("ibims/koch").describe(480, 640)


def column(*values):
    """A depth map whose centre row holds the values, inside every crop."""
    depth = np.zeros((48, 64), np.float32)
    depth[24, 10 : 10 + len(values)] = values
    return depth


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("nyu/standard", [False, True, True, True, False, False]),
        ("nyu/published", [False, False, False, True, True, True]),
        ("ibims/zoedepth", [False, True, True, True, False, False]),
        ("ibims/koch", [False, True, True, True, True, True]),
    ],
)
def test_range_is_open(name, expected):
    depth = column(0.0, 0.5, 1.0, 9.999, 10.0, 50.0)
    assert protocols.get(name).valid(frame(depth))[24, 10:16].tolist() == expected


def test_street_protocols_differ_in_what_their_names_say():
    eigen, dense = protocols.get("streets/eigen"), protocols.get("streets/dense")
    assert replace(dense, name=eigen.name, note=eigen.note, kitti_depth="velodyne") == eigen
    kitti = protocols.get("kitti/eigen-697")
    assert replace(kitti, name="", note="", source="", kitti_depth=None) == replace(
        eigen, name="", note="", source="", kitti_depth=None
    )
    for name in ("kitti/eigen-697", "streets/eigen", "streets/dense"):
        near = protocols.get(f"{name}-50")
        assert (near.max_depth, near.clip) == (50.0, (1e-3, 50.0))
        assert protocols.get(f"{name}-scaled").alignment == "median"
    depth = np.full((128, 416), 60.0, np.float32)
    assert protocols.get("streets/eigen").valid(frame(depth)).any()
    assert not protocols.get("streets/eigen-50").valid(frame(depth)).any()
    far = np.full((128, 416), 85.0, np.float32)
    assert protocols.get("kitti/eigen-652-improved").valid(frame(far)).all(), "every annotated pixel"
    assert protocols.get("streets/dense-whole").valid(frame(far)).all()


def test_median_scaling_takes_the_ratio_of_valid_pixels():
    depth = np.zeros((128, 416), np.float32)
    depth[60:100, 50:350] = np.linspace(2, 40, 300, dtype=np.float32)
    depth[0, 0] = 70  # outside the crop
    pred = np.where(depth > 0, depth / 4, 9).astype(np.float32)
    pred[60, 50:60] = -1  # wrong, but few
    protocol = protocols.get("streets/dense-scaled")
    prepared, valid = protocol.prepare(pred, frame(depth))
    good = valid & (pred > 0)
    assert (prepared[good] / depth[good]).mean() == pytest.approx(1, abs=0.02)
    assert prepared[60, 50] == np.float32(1e-3), "clamped after scaling"
    metric, _ = protocols.get("streets/dense").prepare(pred, frame(depth))
    np.testing.assert_allclose(metric[good], pred[good])
    ratio = protocol.median_ratio
    assert ratio(pred, depth, np.zeros_like(valid)) == 1, "no pixel"
    assert ratio(np.full_like(depth, np.nan), depth, valid) == 1
    assert ratio(-pred, depth, pred > 0) == 1
    assert ratio(depth / 2, depth, valid) == pytest.approx(2)


def test_the_inverse_is_enlarged_where_the_authors_enlarge_disparity():
    pred = np.array([[1.0, 4.0]], np.float32)
    wide = protocols.get("kitti/eigen-697").prepare(pred, frame(np.ones((1, 4), np.float32)))[0]
    # Between 1 and 1/4 with corners not aligned: 1, 1 - 3/16, 1/4 + 3/16, 1/4.
    np.testing.assert_allclose(wide, 1 / np.array([[1, 13 / 16, 7 / 16, 4 / 16]]), rtol=1e-6)
    nothing = protocols.get("kitti/eigen-697").prepare(0 * pred, frame(np.ones((1, 4), np.float32)))[0]
    np.testing.assert_array_equal(nothing, np.full((1, 4), 1e-3, np.float32))


def test_relative_inverse_depth_is_fitted():
    depth = np.random.default_rng(0).uniform(2, 60, (128, 416)).astype(np.float32)
    relative = (3 - 7 / depth).astype(np.float32)  # falls where inverse depth rises: a negative scale is a scale
    prepared, valid = protocols.get("streets/relative").prepare(relative, frame(depth))
    np.testing.assert_allclose(prepared[valid], depth[valid], rtol=1e-3)
    assert valid.any()
    for name, far in (("nyu/relative", 10), ("kitti/relative", 80), ("streets/relative", 80)):
        assert (protocols.get(name).alignment, protocols.get(name).clip[1]) == ("inverse", far)


def test_masks_count_where_the_protocol_says_so():
    depth, mask = column(2.0, 2.0), np.ones((48, 64), bool)
    mask[24, 10] = False
    counts = {
        name: protocols.get(f"ibims/{name}").valid(frame(depth, mask)).sum() for name in ("zoedepth", "published")
    }
    assert counts == {"zoedepth": 1, "published": 2}


def test_prepare_clamps_after_resizing_and_keeps_its_input():
    depth = column(2.0)
    pred = column(-1.0, 0.0, np.nan, np.inf, -np.inf, 20.0, 3.0)
    before = pred.copy()
    prepared, _ = STANDARD.prepare(pred, frame(depth))
    np.testing.assert_array_equal(prepared[24, 10:17], np.float32([1e-3, 1e-3, 1e-3, 10, 1e-3, 10, 3]))
    prepared, _ = PUBLISHED.prepare(pred, frame(depth))
    np.testing.assert_array_equal(prepared[24, 10:17], np.float32([1, 1, 1, 10_000, 1, 20, 3]))
    np.testing.assert_array_equal(pred, before)


def test_koch_does_not_judge_missing_predictions():
    depth = column(*[2.0] * 7)
    pred = column(-1.0, 0.0, np.nan, np.inf, -np.inf, 20.0, 3.0)
    prepared, valid = protocols.get("ibims/koch").prepare(pred, frame(depth))
    assert valid[24, 10:17].tolist() == [False] * 5 + [True] * 2
    np.testing.assert_array_equal(prepared, pred)


def test_resizing_aligns_corners():
    ramp = np.linspace(1, 3, 5, dtype=np.float32)[None].repeat(4, axis=0)
    np.testing.assert_allclose(protocols.resize(ramp, (7, 9))[3], np.linspace(1, 3, 9), rtol=1e-6)
    assert protocols.resize(ramp, (4, 5)) is ramp


def test_frames():
    official, contiguous = np.array([0, 5]), np.array([8, 9])
    chosen = {
        name: protocols.get(name).select(10, official, contiguous).tolist()
        for name in ("nyu/standard", "nyu/standard-291", "nyu/published", "nyu/published-291", "ibims/koch")
    }
    assert chosen == {
        "nyu/standard": [0, 5],
        "nyu/standard-291": [8, 9],
        "nyu/published": list(range(10)),
        "nyu/published-291": [8, 9],
        "ibims/koch": list(range(10)),
    }
    with pytest.raises(ValueError, match="needs official_test"):
        STANDARD.select(10)


KITTI = protocols.get("kitti/zoedepth")


def test_the_kitti_benchmark_crop_comes_first():
    depth = np.arange(375 * 1242, dtype=np.float32).reshape(375, 1242) % 79 + 1
    labels = np.zeros(depth.shape, np.uint8)
    whole = Sample(
        "a",
        np.zeros((375, 1242, 3), np.uint8),
        depth,
        labels=labels,
        mask=depth > 5,
        intrinsics=np.array([[721.5, 0, 609.6], [0, 721.5, 172.9], [0, 0, 1]]),
    )
    shown = KITTI.view(whole)
    # The last 352 rows, and the middle 1216 columns.
    np.testing.assert_array_equal(shown.depth, depth[23:375, 13:1229])
    np.testing.assert_array_equal(shown.mask, shown.depth > 5)
    assert shown.image.shape == (352, 1216, 3)
    assert shown.labels.shape == (352, 1216)
    np.testing.assert_allclose(shown.intrinsics, [[721.5, 0, 596.6], [0, 721.5, 149.9], [0, 0, 1]])
    np.testing.assert_array_equal(KITTI.view(shown).depth, shown.depth)
    # Garg's crop of the crop: the same pixels in either frame.
    assert KITTI.crop_window(352, 1216) == (slice(143, 349), slice(43, 1172))
    assert KITTI.crop_window(375, 1242) == (slice(166, 372), slice(56, 1185))
    np.testing.assert_array_equal(depth[KITTI.valid(whole)], shown.depth[KITTI.valid(shown)])
    assert "KITTI benchmark crop, Garg crop rows 166:372" in KITTI.describe(375, 1242)
    assert STANDARD.view(whole) is whole


def test_a_frame_smaller_than_the_benchmark_crop_is_refused():
    for size in ((351, 1216), (352, 1215)):
        for call in (KITTI.crop_window, lambda *size: KITTI.view(frame(np.ones(size, np.float32)))):
            with pytest.raises(ZDError, match="smaller than the KITTI benchmark crop, 1216×352: use the frames"):
                call(*size)
