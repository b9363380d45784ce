"""What networks without depth labels are judged on: Streets-K's test clips with all that the renderer knows, and more.

Frames come from the stores in git (`data/streets`, `data/rooms`), so that a judgement needs no written layout.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, UInt8

from zdlib.config import load_profile
from zdlib.data.registry import open_entry
from zdlib.data.sample import Sample
from zdlib.data.splits import split_frames
from zdlib.data.streets.store import Store, open_store
from zdlib.evaluate.baselines import CONSTANT, MEAN_INVERSE_MAP, MEAN_MAP, baselines_up_to
from zdlib.metrics import protocols
from zdlib.metrics.depth import depth_metrics
from zdlib.metrics.protocols import Protocol
from zdlib.paper.photographs import frames
from zdlib.paths import resolve

STREETS_K, STREETS_V = "data/streets/streets_k.h5", "data/streets/streets_v.h5"
DENSE, EIGEN = "streets/dense", "streets/eigen"
FARTHEST = 80.0  # metres
METRICS = ("abs_rel", "delta1", "rmse")
PICTURES = (1, 52)  # test frames whose disparities of every level are kept to be looked at: a dry street, a wet one
QUARTERS = 4.0  # of a pixel of the recorded picture: the unit that they are kept in
SCALES = {"as predicted": "none", "median-scaled": "median"}


@dataclass(frozen=True)
class StreetFrame:
    """A frame of Streets-K as the renderer knows it.

    Attributes:
        number: of the frame among those of its part.
        sample: picture, exact depth, labels, intrinsics; the scene is the clip.
        right: the second camera's picture.
        occluded: not seen by the right camera.
        moving: belongs to something that moves.
        disparity: of the left camera, pixels; 0 where there is no depth.
        scan: the sample with what the scanner measured for depth: the truth of `streets/eigen`.
    """

    number: int
    sample: Sample
    right: UInt8[np.ndarray, "h w 3"]
    occluded: Bool[np.ndarray, "h w"]
    moving: Bool[np.ndarray, "h w"]
    disparity: Float32[np.ndarray, "h w"]
    scan: Sample

    def truth(self, protocol: str) -> Sample:
        """The sample with the depth that a protocol means."""
        return self.scan if protocol == EIGEN else self.sample


def street_store() -> Store:
    """Streets-K, of which git has the file."""
    return open_store(resolve(STREETS_K))


def street_frames(part: str = "test", store: Store | None = None) -> Iterator[StreetFrame]:
    """All frames of a part of Streets-K, clip by clip; middle ones have the numbers 1, 4, 7 and so on."""
    store = store or street_store()
    for place, clip in enumerate(store.of_split(part)):
        for moment in range(store.frames):
            yield street_frame(store, clip, moment, place * store.frames + moment)


def wet_scenes() -> set[str]:
    """The test clips of Streets-K whose road is wet, by name."""
    store = street_store()
    return {f"clip {store.seeds[clip]}" for clip in store.of_split("test") if store.clip(clip).weather == "wet"}


def baseline_depths() -> Iterator[tuple[str, Float32[np.ndarray, "h w"], StreetFrame]]:
    """What needs no picture, learnt from the training part: its name and its depth for each test frame."""
    training = [frame.sample for frame in street_frames("train")]
    maps = baselines_up_to(FARTHEST, training, range(len(training)))
    for frame in street_frames():
        for title in (CONSTANT, MEAN_MAP, MEAN_INVERSE_MAP):
            yield title, maps[title], frame


def street_frame(store: Store, clip: int, moment: int, number: int) -> StreetFrame:
    """One of them."""
    frame = store.frame(clip, moment)
    assert frame.right is not None
    product = np.float32(store.intrinsics[0, 0] * store.baseline)
    sample = Sample(
        name=f"{store.seeds[clip]}_{moment}",
        image=frame.left,
        depth=frame.depth,
        labels=frame.labels,
        scene=f"clip {store.seeds[clip]}",
        intrinsics=store.intrinsics,
    )
    disparity = np.divide(product, frame.depth, out=np.zeros_like(frame.depth), where=frame.depth > 0)
    assert frame.points is not None
    scan = replace(sample, depth=store.lidar_depth(frame.points))
    return StreetFrame(number, sample, frame.right, frame.occluded, frame.moving, disparity, scan)


@dataclass(frozen=True)
class OtherData:
    """A data set that no network of these studies has seen.

    Attributes:
        title: in tables.
        protocol: whose pixels count.
        frames: its test frames with their numbers.
    """

    title: str
    protocol: Protocol
    frames: list[tuple[int, Sample]]


def zero_shot(names: Iterable[str] = ("Streets-V", "Rooms-N", "real-streets")) -> Iterator[OtherData]:
    """Rendered streets of another make, rendered rooms, and three real pictures (`ZD_DATA` names their folder).

    Raises:
        ZDError: the real pictures are not there.
    """
    for name in names:
        if name == "Streets-V":
            store = open_store(resolve(STREETS_V))
            samples = [_single(store, clip) for clip in range(len(store))]
            yield OtherData(name, protocols.get(DENSE), list(enumerate(samples)))
            continue
        profile = load_profile("photographs")
        entry = next(e for e in (*profile.data.train, *profile.data.tests) if e.title == name)
        reader: Any = open_entry(entry)
        if name == "Rooms-N":
            chosen = split_frames(reader, entry.split).test.tolist()
            rules = replace(protocols.get("nyu/standard"), name="rooms/standard")
        else:
            chosen, rules = list(range(len(reader))), protocols.get(entry.protocol or "")
        yield OtherData(name, rules, list(frames(reader, chosen)))


def _single(store: Store, clip: int) -> Sample:
    frame = store.frame(clip)
    name = f"{store.name} {store.seeds[clip]}"
    return Sample(name, frame.left, frame.depth, frame.labels, scene=name, intrinsics=store.intrinsics)


def image_rows(
    depth: Float32[np.ndarray, "_ _"], sample: Sample, protocol: Protocol, scales: Iterable[str] = tuple(SCALES)
) -> list[dict[str, Any]]:
    """Metrics of one prediction, one row per scale; of a picture without a pixel that counts there is none."""
    rows = []
    for scale in scales:
        pred, valid = replace(protocol, alignment=SCALES[scale]).prepare(depth, sample)  # type: ignore[arg-type]
        if valid.any():
            scores = depth_metrics(pred, sample.depth, valid)
            rows.append({"scale": scale, **{metric: scores[metric] for metric in METRICS}})
    return rows
