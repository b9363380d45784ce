"""The data sets that can be read, by name: how to open a copy, what it should hold, which protocol judges it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from zdlib.data.sample import Reader
from zdlib.data.sets.ddad import DDADReader
from zdlib.data.sets.diml import DIMLIndoorReader, DIMLOutdoorReader
from zdlib.data.sets.diode import DiodeReader
from zdlib.data.sets.hypersim import HyperSimReader
from zdlib.data.sets.ibims import IBimsReader
from zdlib.data.sets.kitti import KittiReader
from zdlib.data.sets.nyu import NYUReader
from zdlib.data.sets.sunrgbd import SunRGBDReader
from zdlib.data.sets.vkitti2 import VirtualKittiReader
from zdlib.errors import ZDError


@dataclass(frozen=True)
class DataSet:
    """One readable data set.

    Attributes:
        title: its name in prose, and the part that is read.
        protocol: name of the protocol that its numbers are usually reported under.
        frames: how many frames a full copy has; several where there is a choice.
        open: gives the reader of a copy, which messages call ROOT as the command line does; with False, missing files
            are reported when their frame is read.
    """

    title: str
    protocol: str
    frames: tuple[int, ...]
    open: Callable[[Path, bool], Reader]


def nyu_mat(root: Path) -> Path:
    """NYU's `.mat`: the file itself, or that in a folder."""
    return root / "nyu_depth_v2_labeled.mat" if root.is_dir() else root


def _nyu(root: Path, complete: bool) -> Reader:
    return NYUReader(nyu_mat(root), argument="ROOT")


READERS: dict[str, DataSet] = {
    "nyu": DataSet("NYU Depth v2, labelled part", "nyu/standard", (1449,), _nyu),
    "ibims": DataSet("iBims-1", "ibims/zoedepth", (100,), lambda root, complete: IBimsReader(root, argument="ROOT")),
    "sunrgbd": DataSet(
        "SUN RGB-D, test part",
        "sunrgbd/zoedepth",
        (5050,),
        lambda root, complete: SunRGBDReader(root, complete=complete),
    ),
    "diode_indoor": DataSet(
        "DIODE Indoor, validation part",
        "diode_indoor/zoedepth",
        (325,),
        lambda root, complete: DiodeReader(root, "indoors", complete),
    ),
    "diode_outdoor": DataSet(
        "DIODE Outdoor, validation part",
        "diode_outdoor/zoedepth",
        (446,),
        lambda root, complete: DiodeReader(root, "outdoor", complete),
    ),
    "hypersim": DataSet("HyperSim, test part", "hypersim/zoedepth", (7690,), HyperSimReader),
    "kitti": DataSet(
        "KITTI, Eigen's test frames with ground truth",
        "kitti/zoedepth",
        (652,),
        lambda root, complete: KittiReader(root, complete=complete),
    ),
    "vkitti2": DataSet(
        "Virtual KITTI 2, camera 0 (1701 frames with ZoeDepth's test.txt)",
        "vkitti2/zoedepth",
        (1701, 21260),
        VirtualKittiReader,
    ),
    "ddad": DataSet("DDAD, validation part", "ddad/zoedepth", (3950,), DDADReader),
    "diml_indoor": DataSet("DIML Indoor, test part of the sample", "diml_indoor/zoedepth", (503,), DIMLIndoorReader),
    "diml_outdoor": DataSet(
        "DIML Outdoor, test part of the sample", "diml_outdoor/zoedepth", (500,), DIMLOutdoorReader
    ),
}


def data_set(name: str) -> DataSet:
    """The data set of this name.

    Raises:
        ZDError: there is none; the known names are listed.
    """
    if name not in READERS:
        raise ZDError(f"{name}: no such data set: choose one of {', '.join(READERS)}")
    return READERS[name]


def open_reader(name: str, root: Path) -> Reader:
    """The reader of a copy of a data set; for NYU, with depth as measured.

    Args:
        name: a key of `READERS`.
        root: the folder that the reader's module describes; for NYU, the `.mat` file or its folder.

    Raises:
        ZDError: no data set of this name; the copy is missing or incomplete.
    """
    return data_set(name).open(Path(root), True)
