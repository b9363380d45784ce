"""What is compared with what: each evaluation protocol is one named, immutable object.

A protocol moves a number more than a method does, so it is data: which frames, which ground truth, which pixels of it,
and what is done to a prediction first. Two protocols never share a column of a table.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int64

from zdlib import geometry
from zdlib.data.sample import Sample
from zdlib.errors import ZDError
from zdlib.metrics.relative import aligned_depth

Crop = Literal["none", "eigen", "eigen_kitti", "garg", "sgdepth"]
Alignment = Literal["none", "median", "inverse"]
Frames = Literal["all", "official_test", "contiguous_test"]

# Rows and columns, half open, as shares of the height and width they were given for. Eigen's indoor crop is 45:471,
# 41:601 of 480×640; the two KITTI crops are published as these very fractions (Garg et al., 2016; Eigen et al., 2014),
# and so is SGDepth's of Cityscapes, which leaves out the car's bonnet (Klingner et al., 2020).
_CROPS: Mapping[str, tuple[float, float, float, float]] = MappingProxyType(
    {
        "eigen": (45 / 480, 471 / 480, 41 / 640, 601 / 640),
        "garg": (0.40810811, 0.99189189, 0.03594771, 0.96405229),
        "eigen_kitti": (0.3324324, 0.91351351, 0.0359477, 0.96405229),
        "sgdepth": (0.1, 0.7, 0.1, 0.9),
    }
)


KITTI_BENCHMARK = (352, 1216)  # rows and columns of the crop that KITTI's depth benchmark evaluates


@dataclass(frozen=True)
class Protocol:
    """How predictions are judged on one data set.

    Attributes:
        name: `<data set>/<protocol>`; tables and files carry it.
        note: what it is, and what to beware of.
        source: the paper or code that defines it.
        min_depth, max_depth: ground truth counts where min_depth < d < max_depth, metres.
        clip: predictions are clamped to this closed interval, metres, after resizing (infinity to its end, NaN to its
            beginning); None leaves them as they are, and then a prediction ≤ 0 or not finite is not judged.
        crop: part of the image that counts.
        use_mask: whether the data set's own mask (`Sample.mask`) excludes pixels.
        frames: which frames are averaged over.
        align_corners: of the bilinear enlargement of a prediction to the ground truth's size.
        own_size: whether predictions handed in as files may have another size than the ground truth.
        depth_source: which of NYU's two ground truths; other data sets have one.
        alignment: what a prediction is given of the truth before it is clamped: nothing; of the image's valid pixels
            the `median` ratio of truth and prediction (a network that cannot know its scale); or scale and shift of
            the `inverse` depth by least squares, where predictions are relative inverse depth (MiDaS).
        enlarged: whether the depth or its inverse is interpolated.
        kitti_depth: which ground truth of KITTI's raw recordings; None where the data set has one.
        kitti_benchmark: whether only the crop of KITTI's depth benchmark is shown to the model (`view`); `crop` is
            then a part of that crop.
    """

    name: str
    note: str
    source: str
    min_depth: float
    max_depth: float
    clip: tuple[float, float] | None
    crop: Crop
    use_mask: bool
    frames: Frames = "all"
    align_corners: bool = True
    own_size: bool = True
    depth_source: Literal["raw", "inpainted", "only"] = "only"
    alignment: Alignment = "none"
    enlarged: Literal["depth", "inverse"] = "depth"
    kitti_depth: Literal["improved", "velodyne", "velodyne_forward"] | None = None
    kitti_benchmark: bool = False

    @property
    def dataset(self) -> str:
        """The part of the name before the slash."""
        return self.name.partition("/")[0]

    def crop_window(self, height: int, width: int) -> tuple[slice, slice]:
        """Rows and columns that count in an image of this size.

        Eigen's indoor crop is scaled to sizes other than 480×640 (ZoeDepth's code applies the numbers of 480×640 to
        every size); the KITTI crops round down, as published.

        Raises:
            ZDError: the image is smaller than the KITTI benchmark crop that the protocol begins with.
        """
        if self.kitti_benchmark:
            outer = benchmark_window(height, width)
            inner = replace(self, kitti_benchmark=False).crop_window(*KITTI_BENCHMARK)
            rows, columns = (
                slice(start.start + part.start, start.start + part.stop)
                for start, part in zip(outer, inner, strict=True)
            )
            return rows, columns
        if self.crop == "none":
            return slice(0, height), slice(0, width)
        top, bottom, left, right = _CROPS[self.crop]
        edges = (top * height, bottom * height, left * width, right * width)
        rows_columns = [round(edge) if self.crop == "eigen" else int(edge) for edge in edges]
        return slice(*rows_columns[:2]), slice(*rows_columns[2:])

    def view(self, sample: Sample) -> Sample:
        """The part of a frame that the model is shown and judged on: all of it, but for the KITTI benchmark crop.

        Idempotent. A prediction and the sample it is judged with must show the same part: both this, or both the whole
        frame (`crop_window` finds the same pixels in either).

        Raises:
            ZDError: the frame is smaller than the crop.
        """
        if not self.kitti_benchmark:
            return sample
        rows, columns = benchmark_window(*sample.depth.shape)
        intrinsics = sample.intrinsics
        if intrinsics is not None:
            intrinsics = intrinsics - np.array([[0, 0, columns.start], [0, 0, rows.start], [0, 0, 0]])
        return replace(
            sample,
            image=sample.image[rows, columns],
            depth=sample.depth[rows, columns],
            labels=None if sample.labels is None else sample.labels[rows, columns],
            mask=None if sample.mask is None else sample.mask[rows, columns],
            intrinsics=intrinsics,
        )

    def describe(self, height: int, width: int) -> str:
        """One line for captions: ground truth, range, crop at this image size, masks."""
        truth = {"raw": "raw ground truth", "inpainted": "in-painted ground truth", "only": "ground truth"}
        top = f" < {self.max_depth:g} m" if np.isfinite(self.max_depth) else ""
        parts = [f"{self.name}: {truth[self.depth_source]}", f"{self.min_depth:g} m < d{top}"]
        if self.kitti_benchmark:
            parts.append("KITTI benchmark crop")
        if self.crop == "none":
            parts.append("no crop")
        else:
            rows, columns = self.crop_window(height, width)
            scaled = self.crop == "eigen" and (height, width) != (480, 640)
            name = {"eigen": "Eigen", "garg": "Garg", "eigen_kitti": "Eigen's KITTI", "sgdepth": "SGDepth"}[self.crop]
            parts.append(
                f"{name} crop rows {rows.start}:{rows.stop}, columns {columns.start}:{columns.stop} of {height}×{width}"
                + (" (scaled from 480×640)" if scaled else "")
            )
        parts.append("data set's masks applied" if self.use_mask else "no masks")
        if self.alignment != "none":
            parts.append(
                {"median": "median-scaled", "inverse": "scale and shift of the inverse fitted"}[self.alignment]
            )
        return ", ".join(parts)

    def valid(self, sample: Sample) -> Bool[np.ndarray, "h w"]:
        """The ground-truth pixels that count in this frame."""
        depth = sample.depth
        inside = np.zeros(depth.shape, dtype=np.bool_)
        window = self.crop_window(*depth.shape)
        inside[window] = (depth[window] > self.min_depth) & (depth[window] < self.max_depth)
        if self.use_mask and sample.mask is not None:
            inside &= sample.mask
        return inside

    def prepare(
        self, pred: Float[np.ndarray, "ph pw"], sample: Sample
    ) -> tuple[Float32[np.ndarray, "h w"], Bool[np.ndarray, "h w"]]:
        """Bring a prediction to the ground truth's size and range, and say which pixels count.

        Args:
            pred: metres (relative inverse depth where that is what is aligned), at any size; it is not changed.
            sample: the frame it was predicted for.

        Returns:
            The prediction, resized (bilinear), aligned and clamped, and the mask of pixels that count.
        """
        pred = self._enlarge(np.asarray(pred, dtype=np.float32), sample.depth.shape)
        valid = self.valid(sample)
        if self.alignment == "median":
            pred = pred * np.float32(self.median_ratio(pred, sample.depth, valid))
        elif self.alignment == "inverse":
            pred = aligned_depth(pred, sample.depth, valid, self.max_depth)
        if self.clip is None:
            return pred, valid & (pred > 0) & np.isfinite(pred)
        low, high = (np.float32(end) for end in self.clip)
        # fmax drops NaN in favour of the other operand, which is the beginning of the range.
        return np.minimum(np.fmax(pred, low), high), valid

    @staticmethod
    def median_ratio(
        pred: Float32[np.ndarray, "h w"], depth: Float32[np.ndarray, "h w"], valid: Bool[np.ndarray, "h w"]
    ) -> float:
        """Median truth over median prediction of an image's valid pixels; 1 where that is no positive number."""
        if not valid.any():
            return 1.0
        middle = float(np.median(pred[valid]))
        ratio = float(np.median(depth[valid])) / middle if middle > 0 else np.nan
        return ratio if np.isfinite(ratio) and ratio > 0 else 1.0

    def _enlarge(self, pred: Float32[np.ndarray, "ph pw"], size: tuple[int, ...]) -> Float32[np.ndarray, "h w"]:
        if self.enlarged == "depth" or pred.shape == tuple(size):
            return resize(pred, size, self.align_corners)
        nearest = np.float32(1e-3 if self.clip is None else self.clip[0])  # a depth of 0 has no inverse
        return 1 / resize(1 / np.fmax(pred, nearest), size, self.align_corners)

    def select(
        self,
        n: int,
        official_test: Int64[np.ndarray, " t"] | None = None,
        contiguous_test: Int64[np.ndarray, " c"] | None = None,
    ) -> Int64[np.ndarray, " k"]:
        """The frames this protocol averages over, 0-based.

        Args:
            n: how many frames the data set has.
            official_test: test frames of NYU's official split.
            contiguous_test: the last part of the contiguous split, held out by the original paper.

        Raises:
            ValueError: the protocol needs a split that was not given.
        """
        if self.frames == "all":
            return np.arange(n, dtype=np.int64)
        chosen = official_test if self.frames == "official_test" else contiguous_test
        if chosen is None:
            raise ValueError(f"protocol {self.name}: needs {self.frames}")
        return chosen


def benchmark_window(height: int, width: int) -> tuple[slice, slice]:
    """Rows and columns of KITTI's depth benchmark crop: the last rows, the middle columns.

    Raises:
        ZDError: the image is smaller.
    """
    top, left = height - KITTI_BENCHMARK[0], (width - KITTI_BENCHMARK[1]) // 2
    if top < 0 or left < 0:
        raise ZDError(
            f"image of {width}×{height}: smaller than the KITTI benchmark crop, {KITTI_BENCHMARK[1]}×"
            f"{KITTI_BENCHMARK[0]}: use the frames at their original size"
        )
    return slice(top, height), slice(left, left + KITTI_BENCHMARK[1])


def resize(
    depth: Float32[np.ndarray, "h w"], size: tuple[int, ...], align_corners: bool = True
) -> Float32[np.ndarray, "H W"]:
    """Bilinear, by default with aligned corners as in every evaluation of ZoeDepth's family; may return `depth`."""
    if depth.shape == tuple(size):
        return depth
    tensor = torch.from_numpy(np.ascontiguousarray(depth))[None, None]
    return geometry.resize(tensor, size, align_corners)[0, 0].numpy()


_ZOEDEPTH = "ZoeDepth (Bhat et al., 2023), Tables 1 and 7, and its evaluation code"
_ORIGINAL = "the original Zoe-Distill repository's evaluation notebooks"
_KOCH = "Koch et al., Evaluation of CNN-based single-image depth estimation methods (2018), and its evaluation code"
_INFINITY = float("inf")


def _zoedepth(name: str, low: float, high: float, crop: Crop, note: str) -> Protocol:
    return Protocol(name, note, _ZOEDEPTH, low, high, (max(low, 1e-3), high), crop, use_mask=True)


_NYU_STANDARD = Protocol(
    name="nyu/standard",
    note="NYU Depth V2 as ZoeDepth's Table 1 reports it: the 654 official test frames, holes of the sensor stay out.",
    source=_ZOEDEPTH,
    min_depth=1e-3,
    max_depth=10.0,
    clip=(1e-3, 10.0),
    crop="eigen",
    use_mask=False,
    frames="official_test",
    depth_source="raw",
)
_NYU_PUBLISHED = Protocol(
    name="nyu/published",
    note="The original's headline row: every labelled frame, training frames included, in-painted ground truth, and "
    "in kilometres: its bounds 1e-3 and 10 mean that nothing nearer than 1 m counts and nothing is too far. "
    "Errors are given in metres here.",
    source=_ORIGINAL,
    min_depth=1.0,
    max_depth=10_000.0,
    clip=(1.0, 10_000.0),
    crop="eigen",
    use_mask=False,
    frames="all",
    depth_source="inpainted",
)
_GARG = "Garg et al. (ECCV 2016) and Godard et al. (CVPR 2017), evaluation code"
_EIGEN_697 = Protocol(
    name="kitti/eigen-697",
    note="KITTI, Eigen's 697 test frames against the projected scan, whose depth is the scanner's forward coordinate "
    "(0.27 m more than the camera's). The inverse depth is enlarged, as there.",
    source=_GARG,
    min_depth=1e-3,
    max_depth=80.0,
    clip=(1e-3, 80.0),
    crop="garg",
    use_mask=False,
    align_corners=False,
    enlarged="inverse",
    kitti_depth="velodyne_forward",
)
_EIGEN_652 = replace(
    _EIGEN_697,
    name="kitti/eigen-652-improved",
    note="KITTI, the 652 of Eigen's 697 test frames with annotated depth: no crop, every annotated pixel counts.",
    source="Godard et al. (ICCV 2019, monodepth2), evaluation code; truth of Uhrig et al. (3DV 2017)",
    min_depth=0.0,
    max_depth=_INFINITY,
    crop="none",
    kitti_depth="improved",
)
_SGDEPTH = Protocol(
    name="cityscapes/sgdepth",
    note="Cityscapes, depth of the given disparity, rows 10 to 70 % and columns 10 to 90 %, median-scaled.",
    source="Klingner et al. (ECCV 2020, SGDepth), evaluation code",
    min_depth=1e-3,
    max_depth=80.0,
    clip=(1e-3, 80.0),
    crop="sgdepth",
    use_mask=False,
    align_corners=False,
    enlarged="inverse",
    alignment="median",
)
_STREETS = "as kitti/eigen-697, on rendered streets"
_STREETS_EIGEN = replace(
    _EIGEN_697,
    name="streets/eigen",
    note="Rendered streets in KITTI's layout as KITTI is judged: the projected scan, here with the camera's depth, "
    "since a 0.27 m shift would be an error.",
    source=_STREETS,
    kitti_depth="velodyne",
)
_STREETS_DENSE = replace(
    _STREETS_EIGEN,
    name="streets/dense",
    note="The same crop and range with the renderer's dense depth: what a scan hides (glass, thin things, rows above "
    "its highest beam) counts, too.",
    kitti_depth="improved",
)


def _also(protocol: Protocol, ending: str, note: str, **changes: Any) -> Protocol:
    """A protocol that differs in little."""
    return replace(protocol, name=f"{protocol.name}-{ending}", note=f"{protocol.note} {note}", **changes)


def _scaled(protocol: Protocol) -> Protocol:
    return _also(protocol, "scaled", "Median-scaled per image.", alignment="median")


def _up_to_50(protocol: Protocol) -> Protocol:
    return _also(protocol, "50", "Up to 50 m.", max_depth=50.0, clip=(1e-3, 50.0))


def _relative(protocol: Protocol, far: float) -> Protocol:
    note = "Predictions are relative inverse depth; scale and shift are fitted per image (MiDaS)."
    return replace(
        _also(protocol, "", note),
        name=f"{protocol.dataset}/relative",
        source="Ranftl et al. (TPAMI 2022, MiDaS), pixels of " + protocol.name,
        max_depth=min(far, protocol.max_depth),
        clip=(1e-3, far),
        align_corners=True,
        enlarged="depth",
        alignment="inverse",
    )


_STREET_PROTOCOLS = (
    _EIGEN_697,
    _up_to_50(_EIGEN_697),
    _scaled(_EIGEN_697),
    _EIGEN_652,
    _scaled(_EIGEN_652),
    _SGDEPTH,
    _also(_SGDEPTH, "metric", "Here without the scaling.", alignment="none"),
    _STREETS_EIGEN,
    _up_to_50(_STREETS_EIGEN),
    _scaled(_STREETS_EIGEN),
    _STREETS_DENSE,
    _up_to_50(_STREETS_DENSE),
    _scaled(_STREETS_DENSE),
    _also(
        _STREETS_DENSE,
        "whole",
        "Here the whole picture, up to 250 m.",
        crop="none",
        max_depth=250.0,
        clip=(1e-3, 250.0),
    ),
    _relative(_NYU_STANDARD, 10.0),
    _relative(_EIGEN_652, 80.0),
    _relative(_STREETS_DENSE, 80.0),
)
_KITTI_NOTE = "KITTI Eigen test frames, the 652 of 697 with ground truth, after the KITTI benchmark crop (352×1216)."
_DIODE_NOTE = "Depth within the range counts, whatever the data set's validity mask says: ZoeDepth does not use it."

_INDOOR = Protocol(
    name="real-hololens/indoor",
    note="Real indoor frames with a sensor's depth: every pixel it measured between 0.3 and 10 m.",
    source="this project",
    min_depth=0.3,
    max_depth=10.0,
    clip=(0.3, 10.0),
    crop="none",
    use_mask=False,
)

_ALL = (
    _NYU_STANDARD,
    replace(
        _NYU_STANDARD,
        name="nyu/standard-291",
        note="The standard pixels on the 291 frames that the original held out (137 of them official training frames): "
        "comparable with no benchmark, but a held-out number for its split.",
        frames="contiguous_test",
    ),
    _NYU_PUBLISHED,
    replace(
        _NYU_PUBLISHED,
        name="nyu/published-291",
        note="The original's way of counting pixels on the 291 frames that it held out.",
        frames="contiguous_test",
    ),
    Protocol(
        name="ibims/zoedepth",
        note="iBims-1 as ZoeDepth's Table 10 reports it. ZoeDepth clamps predictions to [0, 10] m, where a zero has "
        "an infinite logarithm; the lower end is 1 mm here, which changes no other prediction.",
        source="ZoeDepth (Bhat et al., 2023), Tables 7 and 10, and its evaluation code",
        min_depth=0.0,
        max_depth=10.0,
        clip=(1e-3, 10.0),
        crop="eigen",
        use_mask=True,
    ),
    Protocol(
        name="ibims/published",
        note="iBims-1 as the original counted it: the same crop, but the data set's masks ignored, nothing nearer than "
        "1 m, no 10 m cap. Errors are given in metres here.",
        source=_ORIGINAL,
        min_depth=1.0,
        max_depth=10_000.0,
        clip=(1.0, 10_000.0),
        crop="eigen",
        use_mask=False,
    ),
    Protocol(
        name="ibims/koch",
        note="iBims-1 as its authors evaluate: masks, every distance, no crop, no clamping.",
        source=_KOCH,
        min_depth=0.0,
        max_depth=_INFINITY,
        clip=None,
        crop="none",
        use_mask=True,
        own_size=False,
    ),
    _zoedepth("sunrgbd/zoedepth", 1e-3, 8.0, "eigen", "SUN RGB-D, 5050 test frames."),
    replace(
        _zoedepth("diode_indoor/zoedepth", 1e-3, 10.0, "eigen", f"DIODE Indoor, 325 validation frames. {_DIODE_NOTE}"),
        use_mask=False,
    ),
    _zoedepth("hypersim/zoedepth", 1e-3, 80.0, "eigen", "HyperSim, 7690 test frames, planar depth."),
    replace(_zoedepth("kitti/zoedepth", 1e-3, 80.0, "garg", _KITTI_NOTE), kitti_benchmark=True),
    replace(
        _zoedepth(
            "vkitti2/zoedepth",
            1e-3,
            80.0,
            "garg",
            "Virtual KITTI 2, 1701 frames (an unpublished random draw) after the KITTI benchmark crop.",
        ),
        kitti_benchmark=True,
    ),
    _zoedepth("ddad/zoedepth", 1e-3, 80.0, "garg", "DDAD, 3950 validation frames."),
    _zoedepth("diml_outdoor/zoedepth", 2.0, 80.0, "garg", "DIML Outdoor, 500 test frames."),
    _zoedepth(
        "diml_indoor/zoedepth",
        0.0,
        10.0,
        "eigen",
        "DIML Indoor, 503 test frames; in ZoeDepth's code, but not in its Table 7.",
    ),
    replace(
        _zoedepth("diode_outdoor/zoedepth", 1e-3, 80.0, "garg", f"DIODE Outdoor, 446 validation frames. {_DIODE_NOTE}"),
        use_mask=False,
    ),
    *_STREET_PROTOCOLS,
    _INDOOR,
    replace(_INDOOR, name="real-mix/indoor"),
    replace(
        _INDOOR,
        name="real-streets/outdoor",
        note="Real street pictures with a laser scanner's echoes: every pixel that has one between 1 and 80 m.",
        min_depth=1.0,
        max_depth=80.0,
        clip=(1.0, 80.0),
    ),
)
PROTOCOLS: Mapping[str, Protocol] = MappingProxyType({protocol.name: protocol for protocol in _ALL})


def get(name: str) -> Protocol:
    """The protocol of this name.

    Raises:
        ZDError: there is none; the known names are listed.
    """
    if name not in PROTOCOLS:
        raise ZDError(f"{name}: no such evaluation protocol: choose one of {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]
