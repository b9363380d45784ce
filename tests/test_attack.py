"""Hostile input at every entrance: one line that names the culprit, a status, nothing written, bounded time and memory.

The inputs are made in `hostile`; what is here is who reads them. All is run in this process: every process that imports
torch and torchvision costs seconds.
"""

import os
import resource
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import hostile
import numpy as np
import pytest
import tiny_models  # noqa: F401  # the encoders
import tiny_training
import yaml
from PIL import Image

import zdlib
from zdlib.apps.command_line import main
from zdlib.config import load_profile
from zdlib.errors import ZDError
from zdlib.models import checkpoints, registry
from zdlib.profile_files import profile_content

SECONDS, BYTES = 10, 2 * 1024**3  # of the processor, and of memory
WAITING = 120  # seconds of the clock, on a machine that does other things too
LONGEST = 1_200  # characters of a message


class HangError(BaseException):
    """Nothing catches it on the way."""


@contextmanager
def bounded() -> Iterator[None]:
    """Within this context a hang becomes an error, and so does an allocation beyond `BYTES`."""

    def ring(*_: object) -> None:
        raise HangError

    before = {number: signal.signal(number, ring) for number in (signal.SIGPROF, signal.SIGALRM)}
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + BYTES, hard))
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    signal.setitimer(signal.ITIMER_REAL, WAITING)
    try:
        yield
    finally:
        for timer in (signal.ITIMER_PROF, signal.ITIMER_REAL):
            signal.setitimer(timer, 0)
        for number, handler in before.items():
            signal.signal(number, handler)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def listing(folder: Path) -> dict[str, tuple[int, int]]:
    """What lies in a folder, with sizes and dates."""
    found = {}
    for path in sorted(folder.rglob("*")):
        state = path.lstat()
        found[str(path.relative_to(folder))] = (0, 0) if path.is_dir() else (state.st_size, state.st_mtime_ns)
    return found


def refused(capsys, folder: Path, *arguments: object, culprit: str = "", status: tuple[int, ...] = (1, 2)) -> str:
    """What a command says that refuses its input."""
    before = listing(folder)
    with bounded():
        ended = main([str(argument) for argument in arguments])
    said = capsys.readouterr()
    assert ended in status, said.err
    lines = [line for line in said.err.replace("\r", "\n").splitlines() if line.strip() and "it/s" not in line]
    lines = [line for line in lines if "%|" not in line and "file/s" not in line and "?frame" not in line]
    assert len(lines) == 1, said.err
    assert lines[0].startswith("zdlib: ")
    assert culprit in lines[0]
    assert "Traceback" not in said.err + said.out
    assert len(lines[0]) < LONGEST
    assert listing(folder) == before
    assert not (folder / "never-to-exist").exists()
    return lines[0]


def defective(capsys, folder: Path, *arguments: object, lenient: bool = False) -> None:
    """What `data check` says of a copy that has a defect."""
    before = listing(folder)
    with bounded():
        status = main([str(argument) for argument in arguments])
    said = capsys.readouterr()
    assert "Traceback" not in said.err + said.out
    assert lenient or (status == 1 and ("defects" in said.out or said.err.startswith("zdlib: "))), said.out
    assert "defects  none" not in said.out or lenient
    assert listing(folder) == before


def table(*kinds: dict[str, hostile.Write]) -> pytest.MarkDecorator:
    """One test for each entry."""
    cases = [pytest.param(write, id=name) for kind in kinds for name, write in kind.items()]
    return pytest.mark.parametrize("write", cases)


def without(kind: dict[str, hostile.Write], *names: str) -> dict[str, hostile.Write]:
    return {name: write for name, write in kind.items() if name not in names}


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> Path:
    """A sound file of every kind."""
    folder = tmp_path_factory.mktemp("good")
    hostile.picture(folder / "room.png")
    hostile.ours()(folder / "model.safetensors")
    hostile.nyu(folder / "x.mat")
    hostile.splits()(folder / "splits.mat")
    return folder


@pytest.fixture(autouse=True)
def _here(monkeypatch, tmp_path: Path) -> None:
    """The only known model is a tiny one, and whatever is written without a folder lands in the test's own."""
    for module in (checkpoints, registry):
        monkeypatch.setattr(module, "ARCHITECTURES", {"tiny": hostile.TINY})
    monkeypatch.chdir(tmp_path)


# ----------------------------------------------------------------------------------------------- pictures
@table(hostile.NOT_REGULAR, hostile.PICTURES)
def test_predict_refuses_a_picture(good, tmp_path, capsys, write) -> None:
    write(tmp_path / "bad.jpg")
    words = ["predict", tmp_path / "bad.jpg", "--weights", good / "model.safetensors", "-o", tmp_path / "out"]
    refused(capsys, tmp_path, *words, culprit="bad.jpg")


@table(hostile.NOT_REGULAR, hostile.PICTURES)
def test_a_training_picture_is_a_defect(tmp_path, capsys, write) -> None:
    for name in ("rgb", "depth"):
        (tmp_path / name).mkdir()
    hostile.depth_png(tmp_path / "depth" / "a.png")
    write(tmp_path / "rgb" / "a.png")
    defective(capsys, tmp_path, "data", "check", "folder", tmp_path)


@table(hostile.NOT_REGULAR, hostile.DEPTHS)
def test_a_depth_map_is_a_defect(tmp_path, capsys, write) -> None:
    for name in ("rgb", "depth"):
        (tmp_path / name).mkdir()
    hostile.picture(tmp_path / "rgb" / "a.png", (32, 24))
    write(tmp_path / "depth" / "a.png")
    defective(capsys, tmp_path, "data", "check", "folder", tmp_path)


@pytest.mark.parametrize("size", hostile.SHAPES.values(), ids=list(hostile.SHAPES))
def test_a_picture_too_small_for_its_border(good, tmp_path, capsys, size) -> None:
    hostile.picture(tmp_path / "a.png", size)
    words = ["predict", tmp_path / "a.png", "--weights", good / "model.safetensors", "-o", tmp_path / "out"]
    assert "too small for a border" in refused(capsys, tmp_path, *words, culprit="a.png")


@pytest.mark.parametrize("size", [(5, 4000), (4000, 5), (1, 1), (3, 2)])
def test_any_shape_is_predicted_in_bounds(good, tmp_path, capsys, size) -> None:
    hostile.picture(tmp_path / "a.png", size)
    pad = [] if min(size) > 4 else ["--no-pad"]
    words = ["predict", tmp_path / "a.png", *pad, "--weights", good / "model.safetensors", "-o", tmp_path / "out"]
    with bounded():
        assert main([str(word) for word in words]) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.npy", "a.png", "a_preview.png"]
    assert np.load(tmp_path / "out" / "a.npy").shape == size[::-1]


def test_a_large_picture_is_refused_with_the_option_that_allows_it(good, tmp_path, capsys) -> None:
    hostile.picture(tmp_path / "a.png", (100, 60))
    words = ["predict", tmp_path / "a.png", "--weights", good / "model.safetensors", "-o", tmp_path / "out"]
    said = refused(capsys, tmp_path, *words, "--max-pixels", "5999", culprit="a.png")
    assert "6,000 pixels, the limit is 5,999" in said
    assert "--max-pixels higher" in said
    assert main([str(word) for word in [*words, "--max-pixels", "6000"]]) == 0


def test_sixteen_bits_of_grey_are_scaled(tmp_path) -> None:
    from zdlib.data.formats.images import read_picture

    Image.fromarray(np.array([[0, 257, 30_000, 65_535]], np.uint16)).save(tmp_path / "a.png")
    pixels = read_picture(tmp_path / "a.png", "x", "RGB")
    assert pixels.dtype == np.uint8
    assert pixels[0].tolist() == [[0] * 3, [1] * 3, [117] * 3, [255] * 3]


def test_no_other_program_is_started(tmp_path, monkeypatch) -> None:
    """Pillow's PostScript decoder starts Ghostscript from the path."""
    from zdlib.data.formats.images import read_picture

    (tmp_path / "gs").write_text(f"#!/bin/sh\ntouch {tmp_path}/started\n")
    (tmp_path / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    hostile.PICTURES["PostScript"](tmp_path / "a.jpg")
    with pytest.raises(ZDError, match="no sound PNG, JPEG or WebP"):
        read_picture(tmp_path / "a.jpg", "x", "RGB")
    assert not (tmp_path / "started").exists()


# ------------------------------------------------------------------------------------------------- arrays
def score(capsys, folder: Path, name: str, write: hostile.Write) -> None:
    """Judge a prediction under a folder's ground truth of one frame of 24 × 32."""
    for part in ("rgb", "depth", "pred"):
        (folder / part).mkdir()
    hostile.picture(folder / "rgb" / "a.png", (32, 24))
    hostile.depth_png(folder / "depth" / "a.png")
    write(folder / "pred" / name)
    words = ["score", "--dataset", "folder", "--protocol", "nyu/standard", "--pred", folder / "pred", "--gt", folder]
    scale = ["--scale", 1000] if name.endswith("png") else []
    refused(capsys, folder, *words, *scale, "-o", folder / "out", culprit="pred")


@table(hostile.NOT_REGULAR, without(hostile.ARRAYS, "of another size"))  # the protocol resizes
def test_score_refuses_an_array(tmp_path, capsys, write) -> None:
    score(capsys, tmp_path, "a.npy", write)


@table(hostile.NOT_REGULAR, hostile.ARCHIVES)
def test_score_refuses_an_archive(tmp_path, capsys, write) -> None:
    score(capsys, tmp_path, "a.npz", write)


@table(without(hostile.DEPTHS, "without depth", "of another size"))
def test_score_refuses_a_depth_map(tmp_path, capsys, write) -> None:
    score(capsys, tmp_path, "a.png", write)


@table(hostile.NOT_REGULAR, hostile.ARRAYS)
def test_a_data_set_s_array_is_a_defect(tmp_path, capsys, write) -> None:
    hostile.picture(tmp_path / "a_rgb.png", (32, 24))
    write(tmp_path / "a_depth.npy")
    defective(capsys, tmp_path, "data", "check", "ddad", tmp_path, lenient=False)


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
@pytest.mark.parametrize("kind", ["a pipe", "a device", "a folder"])
def test_score_refuses_what_is_no_file(tmp_path, capsys, suffix, kind) -> None:
    path = tmp_path / f"all{suffix}"
    hostile.NOT_REGULAR[kind](path)
    words = ["score", "--dataset", "nyu", "--pred", path, "--gt", tmp_path]
    refused(capsys, tmp_path, *words, culprit=path.name)


@pytest.mark.parametrize("option", ["--scale", "--gt-scale"])
@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "0", "-1", "1e-320", "1e300"])
def test_a_unit_without_meaning_is_named(tmp_path, capsys, option, value) -> None:
    pair(tmp_path)
    (tmp_path / "pred").mkdir()
    hostile.good_array(tmp_path / "pred" / "a.npy")
    words = [
        "score",
        "--dataset",
        "folder",
        "--protocol",
        "nyu/standard",
        "--pred",
        tmp_path / "pred",
        "--gt",
        tmp_path,
    ]
    assert "is no unit" in refused(capsys, tmp_path, *words, f"{option}={value}", culprit=option)


# -------------------------------------------------------------------------------------------- checkpoints
COMMANDS = ("predict", "convert", "info")


def command(name: str, good: Path, path: Path) -> list[object]:
    out = path.parent / "out"
    other = {".pt": ".safetensors", ".safetensors": ".pt"}[path.suffix]
    return {
        "predict": ["predict", good / "room.png", "--weights", path, "-o", out],
        "convert": ["convert", path, out.with_suffix(other)],
        "info": ["info", path],
    }[name]


@pytest.mark.parametrize("name", COMMANDS)
@table(hostile.NOT_REGULAR, hostile.SAFETENSORS)
def test_a_checkpoint_of_ours_is_refused(good, tmp_path, capsys, write, name) -> None:
    path = tmp_path / "bad.safetensors"
    write(path)
    refused(capsys, tmp_path, *command(name, good, path), culprit="bad.safetensors")


@pytest.mark.parametrize("name", COMMANDS)
@table(hostile.NOT_REGULAR, hostile.PICKLES)
def test_an_official_checkpoint_is_refused(good, tmp_path, capsys, write, name) -> None:
    path = tmp_path / "bad.pt"
    write(path)
    refused(capsys, tmp_path, *command(name, good, path), culprit="bad.pt")


def test_weights_that_give_no_depth_are_named(good, tmp_path, capsys) -> None:
    path = tmp_path / "bad.safetensors"
    hostile.ours(lambda d, tensors: [t.mul_(1e30) for t in tensors.values() if t.is_floating_point()])(path)
    said = refused(capsys, tmp_path, *command("predict", good, path), culprit="bad.safetensors")
    assert "depth that is not finite" in said


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_said(good, tmp_path, capsys, dtype) -> None:
    import torch

    path = tmp_path / "half.safetensors"
    hostile.ours(
        lambda d, tensors: tensors.update(
            {key: t.to(getattr(torch, dtype)) for key, t in tensors.items() if t.is_floating_point()}
        )
    )(path)
    assert main([str(word) for word in command("predict", good, path)]) == 0
    assert f"its weights are {dtype}; computed in float32" in capsys.readouterr().err


@pytest.mark.parametrize("device", ["meta", "hpu", "privateuseone", "cuda:99", "moon", "cpu:x", "", "vulkan", "fpga"])
def test_a_device_of_no_use_is_named(good, tmp_path, capsys, device) -> None:
    words = [*command("predict", good, good / "model.safetensors")[:-1], tmp_path / "out", "--device", device]
    refused(capsys, tmp_path, *words, culprit=f"--device {device}")


# ------------------------------------------------------------------------------------------------ MATLAB
@table(hostile.NOT_REGULAR, hostile.MATS)
def test_nyu_s_file_is_a_defect(tmp_path, capsys, write) -> None:
    write(tmp_path / "x.mat")
    defective(capsys, tmp_path, "data", "check", "nyu", tmp_path / "x.mat")


@table(without(hostile.MATS, "no image"), hostile.NOT_REGULAR)
def test_nyu_s_file_is_not_packed(tmp_path, capsys, write) -> None:
    write(tmp_path / "x.mat")
    refused(capsys, tmp_path, "data", "pack", "nyu", tmp_path / "x.mat", "-o", tmp_path / "x.h5", culprit="x.mat")


@table(hostile.MAT_FLIPS)
def test_turned_bits_are_no_traceback(tmp_path, capsys, write) -> None:
    write(tmp_path / "x.mat")
    defective(capsys, tmp_path, "data", "check", "nyu", tmp_path / "x.mat", lenient=True)


@table(hostile.NOT_REGULAR, hostile.SPLITS)
def test_a_split_is_refused(good, tmp_path, capsys, write) -> None:
    write(tmp_path / "bad.mat")
    (tmp_path / "pred").mkdir()
    np.save(tmp_path / "pred" / "1.npy", np.ones((24, 32), np.float32))
    words = ["score", "--dataset", "nyu", "--gt", good / "x.mat", "--splits", tmp_path / "bad.mat"]
    refused(capsys, tmp_path, *words, "--pred", tmp_path / "pred", culprit="bad.mat")


@table(hostile.NOT_REGULAR, hostile.IBIMS)
def test_ibims_file_is_a_defect(tmp_path, capsys, write) -> None:
    (tmp_path / "ibims1_core_mat").mkdir()
    write(tmp_path / "ibims1_core_mat" / "hall_01.mat")
    defective(capsys, tmp_path, "data", "check", "ibims", tmp_path)


@table(hostile.NOT_REGULAR, hostile.PACKS)
def test_a_pack_is_refused(tmp_path, capsys, write) -> None:
    write(tmp_path / "bad.h5")
    refused(capsys, tmp_path, "data", "pack", "--check", tmp_path / "bad.h5", culprit="bad.h5")


# ------------------------------------------------------------------------------------------------- lists
LISTS = {name: hostile.wrote(content) for name, content in hostile.LISTS.items()}


def pair(folder: Path) -> None:
    for name in ("rgb", "depth"):
        (folder / name).mkdir()
    hostile.picture(folder / "rgb" / "a.png", (32, 24))
    hostile.depth_png(folder / "depth" / "a.png")


@table(hostile.NOT_REGULAR, LISTS)
def test_a_list_of_pairs_is_refused(tmp_path, capsys, write) -> None:
    pair(tmp_path)
    (tmp_path / "pred").mkdir()
    np.save(tmp_path / "pred" / "a.npy", np.ones((24, 32), np.float32))
    write(tmp_path / "list.txt")
    words = ["score", "--dataset", "folder", "--protocol", "nyu/standard", "--pred", tmp_path / "pred"]
    refused(capsys, tmp_path, *words, "--gt", tmp_path, "--list", tmp_path / "list.txt")


@table(LISTS, without(hostile.NOT_REGULAR, "a link to nothing"))
@pytest.mark.parametrize(
    ("dataset", "name"), [("kitti", "kitti_eigen_test_files_with_gt.txt"), ("vkitti2", "test.txt")]
)
def test_a_data_set_s_list_is_a_defect(tmp_path, capsys, write, dataset, name) -> None:
    write(tmp_path / name)
    defective(capsys, tmp_path, "data", "check", dataset, tmp_path)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"../../x\n", b"a/b\n", b"hall_01\nhall_01\n", b"a\0b\n", b".."])
def test_ibims_list_is_a_defect(tmp_path, capsys, content) -> None:
    folder = tmp_path / "ibims1_core_mat"
    folder.mkdir()
    hostile.ibims()(folder / "hall_01.mat")
    (folder / "imagelist.txt").write_bytes(content)
    defective(capsys, tmp_path, "data", "check", "ibims", tmp_path)


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r", b""])
def test_lists_of_any_system_are_read(tmp_path, mark, end) -> None:
    from zdlib.data.sets.folder import FolderReader

    pair(tmp_path)
    (tmp_path / "list.txt").write_bytes(mark + b"rgb/a.png depth/a.png" + end)
    assert FolderReader(tmp_path, tmp_path / "list.txt").names == ["a"]


# ---------------------------------------------------------------------------------------------- profiles
@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("checkout")
    tiny_training.make_profile(folder)
    content = yaml.safe_load((folder / "profiles" / "tiny.yaml").read_text())
    (folder / "profiles" / "good.yaml").write_text(yaml.safe_dump(content | {"name": "good"}))
    (folder.parent / "secret.yaml").write_text("name: secret\n")
    return folder


@pytest.fixture
def own(checkout, tmp_path, monkeypatch) -> Path:
    """A checkout of the test's own, with links to the data."""
    folder = tmp_path / "own"
    shutil.copytree(checkout, folder)
    monkeypatch.setenv("ZD_ROOT", str(folder))
    return folder


@pytest.mark.parametrize("content", hostile.PROFILES.values(), ids=list(hostile.PROFILES))
@pytest.mark.parametrize("name", ["train", "evaluate"])
def test_a_profile_is_refused(own, capsys, content, name) -> None:
    (own / "profiles" / "evil.yaml").write_bytes(content)
    refused(capsys, own, name, "--profile", "evil", "--run", "distill")


@pytest.mark.parametrize("kind", ["a pipe", "a folder", "a device", "a link to itself", "a link to nothing"])
def test_a_profile_is_a_file(own, capsys, kind) -> None:
    hostile.NOT_REGULAR[kind](own / "profiles" / "evil.yaml")
    refused(capsys, own, "train", "--profile", "evil", "--run", "distill", culprit="evil.yaml")


@pytest.mark.parametrize("value", hostile.VALUES.values(), ids=list(hostile.VALUES))
@pytest.mark.parametrize("by", ["file", "option"])
def test_a_value_is_refused(own, capsys, value, by) -> None:
    if by == "file" and value == "null":
        pytest.skip("takes the base's value away")
    if by == "file":
        (own / "profiles" / "evil.yaml").write_text(f"extends: good\nname: evil\ntrain:\n  lr: {value}\n")
        refused(capsys, own, "train", "--profile", "evil", "--run", "distill", culprit="evil.yaml")
    else:
        words = ["--profile", "good", "--run", "distill", "--out", "x", "--set", f"train.lr={value}"]
        refused(capsys, own, "train", *words, culprit="train.lr")


@pytest.mark.parametrize("change", hostile.CHANGES)
def test_a_number_without_meaning_is_refused_by_name(own, capsys, change) -> None:
    words = ["--profile", "good", "--run", "distill", "--out", "x", "--set", change]
    refused(capsys, own, "train", *words, culprit=change.partition("=")[0])


OUTSIDE = ("../x", "a/b", "..", ".", "", "a\0b", "x" * 300, "~", "/etc", "a b", "é")


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_run_s_name_stays_in_its_folder(own, capsys, name) -> None:
    content = yaml.safe_load((own / "profiles" / "good.yaml").read_text())
    content["runs"] = {name: {"title": "x"}}
    (own / "profiles" / "evil.yaml").write_text(yaml.safe_dump(content | {"name": "evil"}, allow_unicode=True))
    refused(capsys, own, "train", "--profile", "evil", "--run", name)


@pytest.mark.parametrize("name", [name for name in OUTSIDE if name])
@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_a_folder_of_results_is_one(own, capsys, command, name) -> None:
    refused(capsys, own, command, "--profile", "good", "--run", "distill", "--out", name)


@pytest.mark.parametrize("name", [*OUTSIDE, "../../secret", "secret"])
def test_a_profile_s_name_is_one(own, capsys, name) -> None:
    refused(capsys, own, "train", "--profile", name, "--run", "distill")


def test_what_is_meant_stands_up_to_it(own) -> None:
    """Aliases, merges, dates as text and every committed profile are read as ever."""
    (own / "profiles" / "mine.yaml").write_text(
        "extends: good\nname: mine\nruns:\n  a: &a {title: a, seed: 7}\n  b: {<<: *a, title: 2001-01-01}\n"
    )
    with pytest.raises(ZDError, match=r"runs\.b\.title: input should be a valid string"):
        load_profile("mine")
    (own / "profiles" / "mine.yaml").write_text(
        'extends: good\nname: mine\nruns:\n  a: &a {title: a, seed: 7}\n  b: {<<: *a, title: "2001-01-01"}\n'
    )
    assert load_profile("mine").runs["b"].seed == 7
    assert profile_content(own / "profiles", "mine", [])["runs"]["b"]["title"] == "2001-01-01"


# ------------------------------------------------------------------------------------------------- paths
PATHS = ("a\0b", "x" * 5000, "/".join(["y" * 200] * 30), "~nouser/x")


@pytest.mark.parametrize("path", PATHS, ids=["NUL", "long", "deep", "nobody's"])
@pytest.mark.parametrize(
    "place", ["picture", "weights", "ours", "out", "pred", "gt", "list", "splits", "pack", "check"]
)
def test_impossible_paths(good, tmp_path, capsys, path, place) -> None:
    weights, room = good / "model.safetensors", good / "room.png"
    if place == "out" and path.startswith("~"):
        pytest.skip("a name like any other")
    words = {
        "picture": ["predict", path, "--weights", weights, "-o", "out"],
        "weights": ["predict", room, "--weights", f"{path}.pt", "-o", "out"],
        "ours": ["predict", room, "--weights", f"{path}.safetensors", "-o", "out"],
        "out": ["predict", room, "--weights", weights, "-o", path],
        "pred": ["score", "--dataset", "nyu", "--gt", good / "x.mat", "--pred", path],
        "gt": ["score", "--dataset", "nyu", "--gt", path, "--pred", good],
        "list": [
            "score",
            "--dataset",
            "folder",
            "--protocol",
            "nyu/standard",
            "--gt",
            good,
            "--pred",
            good,
            "--list",
            path,
        ],
        "splits": ["score", "--dataset", "nyu", "--gt", good / "x.mat", "--pred", good, "--splits", path],
        "pack": ["data", "pack", "nyu", path, "-o", "out"],
        "check": ["data", "pack", "--check", path],
    }[place]
    refused(capsys, tmp_path, *words)


def test_limits_are_the_environment_s(tmp_path, monkeypatch) -> None:
    from zdlib.gates.opening import PIXELS

    monkeypatch.setenv("ZD_MAX_PIXELS", "10")
    with pytest.raises(ZDError, match=r"11 pixels, the limit is 10: .*set ZD_MAX_PIXELS higher"):
        PIXELS.check(11, "a.png")
    for text in ("many", "-1", "1e9", "9" * 30, "²"):
        monkeypatch.setenv("ZD_MAX_PIXELS", text)
        with pytest.raises(ZDError, match=r"ZD_MAX_PIXELS=.*whole number"):
            PIXELS.check(11, "a.png")


def test_a_file_without_rights_is_not_called_missing(good, tmp_path, capsys, monkeypatch) -> None:
    """Root may read anything, so the system's refusal is played."""
    whole = os.open

    def refuse(path, *arguments, **options):
        if str(path).endswith(("bad.safetensors", "bad.pt", "bad.png")):
            raise PermissionError(13, "Permission denied", str(path))
        return whole(path, *arguments, **options)

    monkeypatch.setattr(os, "open", refuse)
    for suffix in (".safetensors", ".pt"):
        (tmp_path / f"bad{suffix}").write_bytes(b"x")
        said = refused(capsys, tmp_path, *command("info", good, tmp_path / f"bad{suffix}"))
        assert "cannot be read (Permission denied)" in said
    (tmp_path / "bad.png").write_bytes(b"x")
    words = ["predict", tmp_path / "bad.png", "--weights", good / "model.safetensors", "-o", tmp_path / "out"]
    assert "cannot be read (Permission denied)" in refused(capsys, tmp_path, *words)


@pytest.mark.parametrize("key", ["data.train.0.root", "data.train.0.split", "runs.distill.start_from"])
@pytest.mark.parametrize("path", ["~nobody-of-this-name/x", "/dev/zero", "no\\0where"])
def test_a_profile_s_paths(own, capsys, key, path) -> None:
    words = ["--profile", "good", "--run", "distill", "--out", "x", "--set", f'{key}="{path}"']
    if key.endswith("split"):
        words[-1] = f'{key}={{file: "{path}"}}'
    with bounded():
        assert main(["train", *words]) == 1
    said = capsys.readouterr()
    assert "Traceback" not in said.err + said.out
    assert said.err.count("\n") == 1
    assert not list((own / "results").rglob("*.*")), "no lock and no log is left"


@pytest.mark.parametrize("home", [None, "", "/nonexistent", "/proc"])
def test_a_home_that_is_none(good, tmp_path, monkeypatch, capsys, home) -> None:
    if home is None:
        monkeypatch.delenv("HOME", raising=False)
    else:
        monkeypatch.setenv("HOME", home)
    for name in ('a room\'s "picture" {1} $HOME.png', "räum.png", "-.png"):
        hostile.picture(tmp_path / name)
        out = tmp_path / f"out of {name}"
        words = ["predict", tmp_path / name, "--weights", good / "model.safetensors", "-o", out]
        assert main([str(word) for word in words]) == 0
        assert len(list(out.iterdir())) == 3


def test_the_library_says_the_same(good, tmp_path) -> None:
    """`zdlib.predict` has no command line around it."""
    for name, write in {**hostile.NOT_REGULAR, "text": hostile.wrote(b"x")}.items():
        path = tmp_path / f"{name}.png"
        write(path)
        with bounded(), pytest.raises(ZDError, match="name an image file"):
            zdlib.predict(path, good / "model.safetensors")
