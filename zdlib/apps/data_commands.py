"""The command line's `zdlib data list | check | fetch | streets | pack | label`."""

import argparse
import os
from pathlib import Path
from typing import Any

from zdlib.apps.commands import Commands
from zdlib.errors import ZDError
from zdlib.gates.outputs import plan_outputs


def add_parser(commands: Commands) -> None:
    """Add the command to the program's."""
    data = commands.add_parser("data", help="data sets on disk: which can be read, and is a copy sound")
    actions = data.add_subparsers(required=True, metavar="action")
    known = actions.add_parser("list", help="names of the data sets, and the protocols they are judged by")
    known.set_defaults(run=_list)
    check = actions.add_parser(
        "check",
        help="read every frame of a copy and report",
        description="Counts, sizes, depth range, share of invalid pixels and the first defects of a copy. "
        "Exit status 1 if there is a defect.",
    )
    check.add_argument("name", metavar="NAME", help="a name that `zdlib data list` gives")
    check.add_argument("root", type=Path, metavar="ROOT", help="the copy's folder; for nyu also the .mat file")
    check.add_argument("--frames", type=int, metavar="N", help="the copy should have N frames, not a full copy's")
    check.add_argument("--list", type=Path, metavar="FILE", help="kitti_raw: read the frames that it names")
    check.add_argument(
        "--depth",
        choices=["improved", "velodyne", "velodyne_forward"],
        default="improved",
        help="kitti_raw: the depth to read (default improved)",
    )
    check.add_argument("--part", choices=["train", "val", "test"], default="val", help="cityscapes (default val)")
    check.set_defaults(run=_check)
    streets = actions.add_parser(
        "streets",
        help="write the rendered streets in the layouts of KITTI, Cityscapes and Virtual KITTI 2",
        description="Writes ROOT/kitti, ROOT/cityscapes and ROOT/vkitti2 from data/streets: 250 MB, half a minute. "
        "Profiles that name data.streets do it by themselves.",
    )
    streets.add_argument("root", type=Path, metavar="ROOT", help="folder to write to")
    streets.add_argument("--clips", type=int, metavar="N", help="of each part (default all)")
    streets.set_defaults(run=_streets)
    fetch = actions.add_parser(
        "fetch",
        help="get real pictures under free licences from their public addresses",
        description="Every file is pinned by commit and SHA-256 (zdlib/data/real/files.csv); sound ones are not "
        "fetched again, and a download that broke off goes on. A copy that ZD_REAL_DATA or $ZD_DATA/real_data names is "
        "used before the network is. 61 MB in all; nothing of it belongs into a repository.",
    )
    fetch.add_argument("name", metavar="NAME", help="real-hololens, real-mix, real-streets or real-photos")
    fetch.add_argument("-o", "--out", type=Path, metavar="ROOT", help="folder; default $ZD_DATA/real_data")
    fetch.set_defaults(run=_fetch)
    _add_writers(actions)


def _add_writers(actions: Any) -> None:
    """Those that write a data set of another."""
    pack = actions.add_parser(
        "pack",
        help="write a copy's frames into one file that is read at random quickly, or check such a file",
        description="Packs every frame uncompressed (NYU: 4 GB for each depth). Training reads the pack in the place "
        "of the .mat, without holding frames in memory, if the profile names it: packs: {raw: FILE} of its set nyu.",
    )
    pack.add_argument("name", metavar="NAME", nargs="?", help="a name that `zdlib data list` gives")
    pack.add_argument(
        "root", type=Path, metavar="ROOT", nargs="?", help="the copy's folder; for nyu also the .mat file"
    )
    pack.add_argument("-o", "--out", type=Path, metavar="FILE", help="the pack to write")
    pack.add_argument("--depth", choices=["raw", "inpainted"], help="nyu: which depth (default raw)")
    pack.add_argument("--check", type=Path, metavar="FILE", help="read all of a pack and compare its checksums")
    pack.set_defaults(run=_pack)
    label = actions.add_parser(
        "label",
        help="write a teacher's maps of unlabelled pictures as a data set that trains a student",
        description="Writes OUT/rgb, OUT/depth and OUT/pseudo_labels.json, picture by picture: a folder data set in no "
        "unit, for the method depth_anything. Killed and begun again, it goes on where it was. Pictures of a folder "
        "keep their subfolders.",
    )
    label.add_argument("pictures", type=Path, metavar="FOLDER", help="pictures, in subfolders too")
    label.add_argument("--weights", type=Path, required=True, metavar="FILE", help="the teacher: relative depth")
    label.add_argument("--model", help="which model an official file holds")
    label.add_argument("-o", "--out", type=Path, required=True, metavar="OUT", help="the data set to write")
    label.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1, … (default cpu)")
    label.set_defaults(run=_label)


def _list(options: argparse.Namespace) -> None:
    from zdlib.data.registry import READERS

    for name, known in READERS.items():
        frames = "; " + " or ".join(map(str, known.frames)) + " frames" if known.frames else ""
        print(f"{name:14}{known.protocol or '–':24}{known.title}{frames}")


def _check(options: argparse.Namespace) -> int:
    from zdlib.data.check import check
    from zdlib.data.registry import Options

    chosen = Options(list_file=options.list, kitti_depth=options.depth, part=options.part)
    report = check(options.name, options.root, chosen, options.frames)
    print(report.text())
    return 1 if report.n_defects else 0


def _streets(options: argparse.Namespace) -> None:
    from zdlib.config import StreetsConfig
    from zdlib.data.streets.export import LAYOUTS, materialise

    if options.clips is not None and options.clips < 1:
        raise ZDError(f"--clips {options.clips}: write at least one")
    materialise(StreetsConfig(root=str(options.root.absolute()), clips=options.clips))
    for name, *_ in LAYOUTS:
        print(options.root / name)


def _fetch(options: argparse.Namespace) -> None:
    from zdlib.data.real.fetch import fetch
    from zdlib.gates.downloads import COPY

    folder = os.environ.get("ZD_DATA")
    if options.out is None and not folder:
        raise ZDError("data fetch: ZD_DATA is not set: export ZD_DATA=/folder/of/the/data, or name a folder with -o")
    root = options.out or Path(folder or "") / COPY
    print(f"{options.name}: {fetch(options.name, root)} files in {root}; zdlib data check {options.name} {root}")


def _pack(options: argparse.Namespace) -> None:
    from zdlib.data.pack import open_pack, write_pack
    from zdlib.data.registry import open_reader
    from zdlib.data.sets.nyu import NYUReader

    if options.check is not None:
        print(open_pack(options.check).check())
        return
    if options.root is None or options.out is None:
        raise ZDError("data pack: name what to pack and where to write it: zdlib data pack NAME ROOT -o FILE")
    plan_outputs([(options.root, [options.out])])
    reader, source = open_reader(options.name, options.root), options.root
    if isinstance(reader, NYUReader):
        source = reader.path
        reader = NYUReader(source, options.depth or "raw", "ROOT")
    elif options.depth is not None:
        raise ZDError(f"--depth {options.depth}: {options.name} has one depth: leave it out")
    write_pack(options.out, reader, options.name, source)
    print(f"{options.out}: {len(reader)} frames, {options.out.stat().st_size / 1e9:.2f} GB")


def _label(options: argparse.Namespace) -> None:
    from zdlib.models.catalogue import load_depth_model
    from zdlib.train.pseudo_labels import METRES_PER_UNIT, write_pseudo_labels

    teacher = load_depth_model(options.weights, options.model, options.device)
    new, count = write_pseudo_labels(teacher, options.weights, options.pictures, options.out)
    entry = f"{{set: folder, name: {options.out.name}, root: {options.out}, metres_per_unit: {METRES_PER_UNIT:g}}}"
    print(f"{options.out}: {count} pictures with pseudo labels, {new} of them new; in data.train: {entry}")
