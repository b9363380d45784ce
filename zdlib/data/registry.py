"""The data sets that can be read, by key: how to open a copy, what it should hold, which protocol judges it.

Profiles (`data.train`, `data.tests`), `zdlib data`, `zdlib score`, training and evaluation all open data here. A reader
is named by its module and imported when its data set is opened: what one data set is read by is no business of the
others, and a training depends on the readers it uses.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from zdlib.config import AnySet, CityscapesConfig, FolderConfig, KittiRawConfig
from zdlib.data.sample import Frames
from zdlib.errors import ZDError, named_in_profile
from zdlib.paths import resolve

Depth = Literal["raw", "inpainted"]
KittiDepth = Literal["improved", "velodyne", "velodyne_forward", "none"]


@dataclass(frozen=True)
class Options:
    """How a copy is opened. Each data set takes those that mean something for it (`DataSet.takes`).

    Attributes:
        argument: what the user named the copy by; for messages.
        complete: refuse at once if a file is missing; else when its frame is read.
        depth: which of NYU's two.
        kitti_depth: which of KITTI's ground truths.
        part: of Cityscapes: `train`, `val` or `test`.
        list_file: of a folder, pairs of image and depth, one per line (None = pair by name); of KITTI's recordings, its
            frames (None = all).
        image_folder, depth_folder: of a folder, whose files are paired by stem.
        metres_per_unit: of a folder's depth maps.
    """

    argument: str = "ROOT"
    complete: bool = True
    depth: Depth = "raw"
    kitti_depth: KittiDepth = "improved"
    part: str = "val"
    list_file: Path | None = None
    image_folder: str = "rgb"
    depth_folder: str = "depth"
    metres_per_unit: float = 0.001


@dataclass(frozen=True)
class DataSet:
    """One readable data set.

    Attributes:
        title: its name in prose, and the part that is read.
        protocol: name of the protocol that its numbers are usually reported under; empty where there is none.
        frames: how many frames a full copy has; several where there is a choice, none where any number is right.
        reader: `module:class`; the class is called with the root and the options that it takes.
        source: where to get a copy.
        judged_as: other data sets whose protocols apply to it.
        takes: the fields of `Options` that the reader has a use for.
        fixed: further arguments of the reader.
    """

    title: str
    protocol: str
    frames: tuple[int, ...]
    reader: str
    source: str
    judged_as: tuple[str, ...] = ()
    takes: tuple[str, ...] = ("complete",)
    fixed: Mapping[str, Any] = field(default_factory=dict)

    def open(self, root: Path, options: Options = Options()) -> Frames[Any]:
        """The reader of a copy.

        Args:
            root: the folder or file that the reader's module describes.
            options: those that the data set does not take are left alone.

        Raises:
            ZDError: the copy is missing or incomplete.
        """
        module, _, name = self.reader.partition(":")
        chosen = {key: getattr(options, key) for key in self.takes}
        reader: Frames[Any] = getattr(import_module(module), name)(root, **self.fixed, **chosen)
        return reader

    @property
    def file(self) -> Path:
        """The source file of its reader, relative to the folder that holds the library."""
        return Path(*self.reader.partition(":")[0].split(".")).with_suffix(".py")


_SETS, _REAL = "zdlib.data.sets", "zdlib.data.real"
_HERE, _FETCHED = "the file is in this repository", "zdlib data fetch NAME"
_DIODE = "https://diode-dataset.org: val.tar.gz"
_DIML = "https://dimlrgbd.github.io: the test part of the sample data set"

READERS: dict[str, DataSet] = {
    "nyu": DataSet(
        "NYU Depth v2, labelled part",
        "nyu/standard",
        (1449,),
        f"{_SETS}.nyu:NYUReader",
        "the NYU Depth Dataset V2 page of Nathan Silberman, New York University: 'Labeled dataset (~2.8 GB)'",
        takes=("argument", "depth"),
    ),
    "ibims": DataSet(
        "iBims-1",
        "ibims/zoedepth",
        (100,),
        f"{_SETS}.ibims:IBimsReader",
        "the iBims-1 page of Tobias Koch, Technical University of Munich: 'ibims1_core_mat' or 'ibims1_core_raw'",
        takes=("argument",),
    ),
    "sunrgbd": DataSet(
        "SUN RGB-D, test part",
        "sunrgbd/zoedepth",
        (5050,),
        f"{_SETS}.sunrgbd:SunRGBDReader",
        "https://rgbd.cs.princeton.edu: SUNRGBD.zip and SUNRGBDtoolbox.zip",
    ),
    "diode_indoor": DataSet(
        "DIODE Indoor, validation part",
        "diode_indoor/zoedepth",
        (325,),
        f"{_SETS}.diode:DiodeReader",
        _DIODE,
        fixed={"part": "indoors"},
    ),
    "diode_outdoor": DataSet(
        "DIODE Outdoor, validation part",
        "diode_outdoor/zoedepth",
        (446,),
        f"{_SETS}.diode:DiodeReader",
        _DIODE,
        fixed={"part": "outdoor"},
    ),
    "hypersim": DataSet(
        "HyperSim, test part",
        "hypersim/zoedepth",
        (7690,),
        f"{_SETS}.hypersim:HyperSimReader",
        "https://github.com/apple/ml-hypersim: the test scenes' final_preview and geometry_hdf5 files",
    ),
    "kitti": DataSet(
        "KITTI, Eigen's test frames with ground truth",
        "kitti/zoedepth",
        (652,),
        f"{_SETS}.kitti:KittiReader",
        "https://www.cvlibs.net/datasets/kitti: the raw drives and data_depth_annotated; ZoeDepth's list of frames",
    ),
    "kitti_raw": DataSet(
        "KITTI, raw recordings",
        "kitti/eigen-697",
        (),
        f"{_SETS}.kitti_raw:KittiRawReader",
        "https://www.cvlibs.net/datasets/kitti: the raw drives with their calibrations, and data_depth_annotated",
        judged_as=("kitti", "streets"),
        takes=("list_file", "kitti_depth", "complete"),
    ),
    "cityscapes": DataSet(
        "Cityscapes, finely labelled part",
        "cityscapes/sgdepth",
        (2975, 500, 1525),
        f"{_SETS}.cityscapes:CityscapesReader",
        "https://www.cityscapes-dataset.com: leftImg8bit, gtFine, disparity and camera, _trainvaltest.zip each",
        judged_as=("streets",),
        takes=("part", "complete"),
    ),
    "vkitti2": DataSet(
        "Virtual KITTI 2, camera 0 (1701 frames with ZoeDepth's test.txt)",
        "vkitti2/zoedepth",
        (1701, 21260),
        f"{_SETS}.vkitti2:VirtualKittiReader",
        "the Virtual KITTI 2 page of Naver Labs Europe: vkitti_2.0.3_rgb.tar and vkitti_2.0.3_depth.tar",
        judged_as=("streets",),
    ),
    "ddad": DataSet(
        "DDAD, validation part",
        "ddad/zoedepth",
        (3950,),
        f"{_SETS}.ddad:DDADReader",
        "https://github.com/TRI-ML/DDAD: the validation part, exported with its development kit",
    ),
    "diml_indoor": DataSet(
        "DIML Indoor, test part of the sample",
        "diml_indoor/zoedepth",
        (503,),
        f"{_SETS}.diml:DIMLIndoorReader",
        _DIML,
    ),
    "diml_outdoor": DataSet(
        "DIML Outdoor, test part of the sample",
        "diml_outdoor/zoedepth",
        (500,),
        f"{_SETS}.diml:DIMLOutdoorReader",
        _DIML,
    ),
    "rooms": DataSet(
        "one of the embedded rooms' stores", "", (704, 68), "zdlib.data.rooms.reader:RoomsReader", _HERE, takes=()
    ),
    "streets": DataSet(
        "single frames of the embedded streets",
        "",
        (152, 64),
        "zdlib.data.streets.reader:StreetFrames",
        _HERE,
        takes=(),
    ),
    "real-hololens": DataSet(
        "one walk through offices, HoloLens",
        "real-hololens/indoor",
        (125,),
        f"{_REAL}.hololens:HoloLensReader",
        _FETCHED,
    ),
    "real-mix": DataSet(
        "real indoor frames of six cameras", "real-mix/indoor", (13,), f"{_REAL}.mix:MixReader", _FETCHED
    ),
    "real-streets": DataSet(
        "three real street pictures", "real-streets/outdoor", (3,), f"{_REAL}.streets:StreetsReader", _FETCHED
    ),
    "folder": DataSet(
        "a folder of images and 16-bit depth maps (see zdlib/data/sets/folder.py)",
        "",
        (),
        f"{_SETS}.folder:FolderReader",
        "your own pictures",
        takes=("list_file", "image_folder", "depth_folder", "metres_per_unit"),
    ),
}


def data_set(name: str) -> DataSet:
    """The data set of this key.

    Raises:
        ZDError: there is none; the known keys are listed.
    """
    if name not in READERS:
        raise ZDError(f"{name}: no such data set: choose one of {', '.join(READERS)}")
    return READERS[name]


def open_reader(name: str, root: Path, options: Options = Options()) -> Frames[Any]:
    """The reader of a copy of a data set; for NYU, with depth as measured unless the options say otherwise.

    Args:
        name: a key of `READERS`.
        root: the folder that the reader's module describes; for NYU, the `.mat` file or its folder.
        options: how.

    Raises:
        ZDError: no data set of this key; the copy is missing or incomplete.
    """
    return data_set(name).open(Path(root), options)


def open_entry(entry: AnySet, depth: Depth = "raw") -> Frames[Any]:
    """The reader of a data set that a profile names.

    Args:
        entry: an item of `data.train` or `data.tests`.
        depth: which of NYU's two; other data sets have one.

    Raises:
        ZDError: the copy is missing or incomplete.
    """
    options = Options(argument=named_in_profile(f"the root of set {entry.set} under data"), depth=depth)
    if isinstance(entry, FolderConfig):
        options = Options(
            list_file=None if entry.list_file is None else resolve(entry.list_file),
            image_folder=entry.image_folder,
            depth_folder=entry.depth_folder,
            metres_per_unit=entry.metres_per_unit,
        )
    if isinstance(entry, KittiRawConfig):
        listed = None if entry.list_file is None else resolve(entry.list_file)
        options = Options(list_file=listed, kitti_depth=entry.depth or "improved")
    if isinstance(entry, CityscapesConfig):
        options = Options(part=entry.part)
    return open_reader(entry.set, resolve(entry.root), options)
