"""Ground truth of a data set, opened for judging: its frames, splits and sizes, and what a protocol shows of them."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from zdlib.data.registry import KittiDepth, Options, data_set, open_reader
from zdlib.data.sets.nyu import NYUReader, Splits, contiguous_split, mat_file, read_splits
from zdlib.data.splits import split_frames
from zdlib.errors import ZDError
from zdlib.evaluate.judge import Readers
from zdlib.evaluate.viewed import ViewedReader
from zdlib.metrics import protocols
from zdlib.metrics.protocols import Protocol

TrainedOn = Literal["official", "contiguous", "none"]
_GT = "--gt (or ZD_DATA)"  # what names the copy, for the readers' messages


@dataclass(frozen=True)
class Truth:
    """Ground truth, opened.

    Attributes:
        dataset: a name of `zdlib.data.registry`, or `folder`.
        readers: as `zdlib.evaluate.judge` takes them.
        names: of all frames, by frame number; prediction files are called like them.
        data: what tables call it; a copy that is not the whole data set is not called by the data set's name.
        size: height and width of a frame.
        numbered: whether a prediction may also be called by its frame's number.
        official, contiguous: splits, NYU's layout only.
    """

    dataset: str
    readers: Readers
    names: list[str]
    data: str
    size: Callable[[int], tuple[int, ...]]
    numbered: bool = False
    official: Splits | None = None
    contiguous: Splits | None = None

    def frames(self, protocol: Protocol) -> list[int]:
        """The frames that a protocol averages over."""
        official, contiguous = (None if split is None else split.test for split in (self.official, self.contiguous))
        return [int(frame) for frame in protocol.select(len(self.names), official, contiguous)]

    def viewed(self, protocol: Protocol) -> "Truth":
        """The parts of the frames that a protocol with KITTI's benchmark crop shows the model."""
        if isinstance(self.readers, Mapping):
            raise TypeError(f"{protocol.name}: NYU's frames have no benchmark crop")
        return replace(self, readers=ViewedReader(self.readers, protocol), size=lambda _: protocols.KITTI_BENCHMARK)

    def seen(self, trained_on: TrainedOn | None) -> list[int]:
        """The training frames of a split.

        Raises:
            ZDError: the data set has no such split.
        """
        if trained_on in (None, "none"):
            return []
        split = self.official if trained_on == "official" else self.contiguous
        if split is None:
            raise ZDError(f"--trained-on {trained_on}: only data in NYU's layout have this split: leave it out")
        return split.train.tolist()


def open_truth(
    dataset: str,
    gt: Path | None,
    *,
    splits: Path | None = None,
    list_file: Path | None = None,
    metres_per_unit: float = 0.001,
    kitti_depth: KittiDepth | None = None,
) -> Truth:
    """Open a data set's ground truth.

    Args:
        dataset: a name of `zdlib.data.registry`, or `folder` (`zdlib.data.sets.folder`).
        gt: where it is; None looks into `$ZD_DATA` (nyu and ibims).
        splits: NYU's `splits.mat`; None takes the one beside the `.mat`, else, for the 1449 frames of NYU, the official
            split that this library holds.
        list_file: of a folder: pairs of image and depth, one a line; of KITTI's recordings: the frames.
        metres_per_unit: of a folder's depth maps.
        kitti_depth: of KITTI's recordings, which truth; None: the annotated one.

    Raises:
        ZDError: no such data set, or it is not there or not readable.
    """
    if dataset == "nyu":
        return _open_nyu(_located(gt, "nyu_depth_v2_labeled.mat"), splits)
    data_set(dataset)  # a wrong name comes before a missing folder
    gt = _located(gt, "ibims1" if dataset == "ibims" else "")
    options = Options(
        argument=_GT, list_file=list_file, metres_per_unit=metres_per_unit, kitti_depth=kitti_depth or "improved"
    )
    reader = open_reader(dataset, gt, options)
    data = gt.resolve().name if dataset == "folder" else _called(dataset, len(reader))
    return Truth(dataset, reader, reader.names, data, lambda frame: reader[frame].depth.shape)


def _open_nyu(gt: Path, splits: Path | None) -> Truth:
    mat = mat_file(gt)
    raw, inpainted = NYUReader(mat, "raw", _GT), NYUReader(mat, "inpainted", _GT)
    return Truth(
        "nyu",
        {"raw": raw, "inpainted": inpainted},
        raw.names,
        _called("nyu", len(raw)),
        lambda _: raw.shape,
        numbered=True,
        official=split_frames(raw, None, mat, "--splits")
        if splits is None
        else read_splits(splits, len(raw), "--splits"),
        contiguous=contiguous_split(len(raw)),
    )


def _located(gt: Path | None, name: str) -> Path:
    """`gt`, or by default what `$ZD_DATA` holds under `name` (nothing if that is empty)."""
    if gt is not None:
        return gt
    if not name:
        raise ZDError("--gt: name the folder of the ground truth")
    folder = os.environ.get("ZD_DATA")
    if not folder:
        raise ZDError(f"--gt: name {name}, or set ZD_DATA to the folder that holds it")
    return Path(folder) / name


def _called(dataset: str, frames: int) -> str:
    """A number on some other images in a data set's layout must not pass for a number on the data set."""
    known = data_set(dataset)
    name = known.title.partition(",")[0]
    return name if frames in known.frames else f"{frames} frames in the layout of {name}"


def find_protocol(dataset: str, name: str | None, argument: str = "--protocol") -> Protocol:
    """The protocol of this name, with or without its data set (`standard`, `nyu/standard`); None is the usual one.

    A folder has no protocol of its own: any other's pixel rules (`nyu/standard`) are applied to all its frames.

    Raises:
        ZDError: no such protocol, or one of another data set; none is named for a folder.
    """
    if dataset == "folder":
        if name is None:
            raise ZDError(f"{argument}: name the protocol whose pixel rules apply to the folder (nyu/standard, …)")
        rules = protocols.get(name)
        return replace(rules, name=f"folder/{name.replace('/', '-')}", frames="all", depth_source="only")
    name = name or data_set(dataset).protocol
    protocol = protocols.get(name if "/" in name else f"{dataset}/{name}")
    if protocol.dataset not in (dataset, *data_set(dataset).judged_as):
        raise ZDError(f"{argument} {name}: is not a protocol of {dataset}: see zdlib/metrics/protocols.py")
    return protocol
