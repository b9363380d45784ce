"""An output never replaces an input, nor another output, by whatever name."""

import os
from pathlib import Path

import pytest

from zdlib.errors import ZDError
from zdlib.gates.outputs import plan_outputs


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    for name in ("a.png", "b.png"):
        (tmp_path / "in" / name).write_text(name)
    (tmp_path / "same").symlink_to("in")
    (tmp_path / "link.npy").symlink_to("in/a.png")
    os.link(tmp_path / "in" / "a.png", tmp_path / "hard.npy")
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")
    return tmp_path


@pytest.mark.parametrize(
    "output",
    [
        "in/a.png",
        "in/../in/a.png",
        "same/a.png",
        "in/A.PNG",
        "same/A.png",
        "link.npy",
        "hard.npy",
    ],
)
def test_an_output_that_is_the_input_is_refused_by_name(files: Path, output: str) -> None:
    source = files / "in" / "a.png"
    with pytest.raises(ZDError, match=r"would replace the input .*a\.png: write to another folder") as refusal:
        plan_outputs([(source, [files / output])])
    assert str(files / output) in str(refusal.value)
    assert source.read_text() == "a.png"


def test_the_input_may_be_the_link(files: Path) -> None:
    with pytest.raises(ZDError, match="would replace the input"):
        plan_outputs([(files / "link.npy", [files / "in" / "a.png"])])
    with pytest.raises(ZDError, match="would replace the input"):
        plan_outputs([(files / "in" / "b.png", [files / "x"])], [files / "x"])


@pytest.mark.parametrize("output", ["in/b.png", "same/b.png"])
def test_what_lies_in_an_input_folder_stays(files: Path, output: str) -> None:
    with pytest.raises(ZDError, match="would be replaced"):
        plan_outputs([(files / "in", [files / output])])
    plan_outputs([(files / "in", [files / "in" / "new.png"])])


@pytest.mark.parametrize(
    "second", ["out/a.png", "out/A.png", "out/../out/a.png", "out/a\u0301.png", "out/\u00e1.png", "out/a.png/b"]
)
def test_outputs_do_not_replace_each_other(files: Path, second: str) -> None:
    first = files / "out" / ("\u00e1.png" if "\u0301" in second or "\u00e1" in second else "a.png")
    with pytest.raises(ZDError, match=r"same name|would lie in"):
        plan_outputs([(files / "in" / "a.png", [first]), (files / "in" / "b.png", [files / second])])


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        ("in", "is a folder"),
        ("pipe", "no regular file"),
        ("a\0b", "null"),
        ("a" * 300, "too long"),
        ("a" * 220, "too long"),
        ("in/a.png/x", "is no folder"),
        ("loop/x", "cannot be written"),
    ],
)
def test_an_output_has_a_place(files: Path, output: str, reason: str) -> None:
    with pytest.raises(ZDError, match=reason):
        plan_outputs([(files / "in" / "a.png", [files / output])])


def test_what_is_allowed_is_given_back_in_order(files: Path) -> None:
    paths = [files / "out" / name for name in ("z.npy", "a.npy")]
    old = files / "in2"
    old.mkdir()
    (old / "z.npy").write_text("an earlier result")
    assert plan_outputs([(files / "in" / "a.png", paths), (files / "in" / "b.png", [old / "z.npy"])]) == [
        *paths,
        old / "z.npy",
    ]
    assert not (files / "out").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_rights_is_known_before(files: Path) -> None:
    (files / "in").chmod(0o500)
    with pytest.raises(ZDError, match="no right to write"):
        plan_outputs([(files / "in" / "a.png", [files / "in" / "c.png"])])
