"""A reader sees the old file or the new one, never half of either."""

import errno
import json
import os
import stat
from pathlib import Path

import pandas as pd
import pytest

from zdlib.errors import ZDError
from zdlib.files import (
    atomic_path,
    content_sha256,
    read_json,
    sha256,
    write_bytes,
    write_csv,
    write_json,
    write_text,
    write_together,
)


def test_a_new_file_appears_whole_in_a_new_folder(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "c.txt"
    with atomic_path(path) as temporary:
        temporary.write_text("half")
        assert not path.exists()
        assert temporary.parent == path.parent
        assert temporary.suffix == ".txt"
    assert path.read_text() == "half"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_error_keeps_the_old_file_and_leaves_no_other(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def interrupted() -> None:
        with atomic_path(path) as temporary:
            temporary.write_text("half of the n")
            raise error

    with pytest.raises(error):
        interrupted()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ZDError, match=r"a\.txt: cannot be written \(No space left on device\)"):
        write_text(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("")
    with pytest.raises(ZDError, match=r"a\.txt: cannot be written \((File exists|Not a directory)\)"):
        write_text(tmp_path / "results" / "a.txt", "new")


@pytest.mark.parametrize("place", ["data/input", "input", "out/input"])
def test_a_missing_input_is_not_called_a_full_disk(tmp_path: Path, place: str) -> None:
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "out" / "a.txt"):
        (tmp_path / place).read_text()


def test_written_files_are_as_shared_as_any_other(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_bytes(tmp_path / "a", b"x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640


def test_json_reads_back_and_has_no_nan(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"δ1": [0.1, None]})
    assert "δ1" in path.read_text(encoding="utf-8")
    assert read_json(path) == {"δ1": [0.1, None]}
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, float("nan"))
    assert json.loads(path.read_text()) == {"δ1": [0.1, None]}


def test_json_that_is_missing_or_damaged_is_named(tmp_path: Path) -> None:
    with pytest.raises(ZDError, match=r"a\.json: no such file: run the step that writes it"):
        read_json(tmp_path / "a.json")
    for content in (b'{"a": ', b"\xff\xfe"):
        (tmp_path / "a.json").write_bytes(content)
        with pytest.raises(ZDError, match=r"a\.json: not valid JSON .*delete it and run again"):
            read_json(tmp_path / "a.json")


def test_csv_keeps_every_digit_and_the_same_bytes(tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": [0.1 + 0.2, 1 / 3], "name": ["a,b", "c"]})
    write_csv(tmp_path / "a.csv", frame)
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "a.csv"), frame, check_exact=True)
    assert (tmp_path / "a.csv").read_bytes() == b'x,name\n0.30000000000000004,"a,b"\n0.3333333333333333,c\n'


def test_sha256_of_a_known_text(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_message_for_the_user_is_one_line() -> None:
    assert str(ZDError("a.mat:\n   no key\tdepths")) == "a.mat: no key depths"


def test_files_that_belong_together_appear_together_or_not_at_all(tmp_path: Path, monkeypatch) -> None:
    paths = [tmp_path / name for name in ("a", "b", "c")]
    paths[1].write_text("old")
    whole, calls = Path.replace, []

    def fails_at_the_last(path: Path, target: Path) -> Path:
        calls.append(target)
        if len(calls) == 3:
            raise OSError(errno.ENOSPC, "full", str(target))
        return whole(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", fails_at_the_last)
        with pytest.raises(ZDError, match="cannot be written"):
            write_together({path: path.name.encode() for path in paths})
    assert len(calls) == 3
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"b": "old"}
    write_together({path: path.name.encode() for path in paths})
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a": "a", "b": "b", "c": "c"}


def test_a_device_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ZDError, match="is a device or a pipe"):
        write_text(tmp_path / "pipe", "x")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_a_folder_s_hash_is_finite_and_of_files_alone(tmp_path: Path) -> None:
    """Links that lead back would be followed forty times each; a pipe would never end."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "x").write_text("x")
    plain = content_sha256(tmp_path)
    for number in range(3):
        (tmp_path / "a" / "b" / f"back{number}").symlink_to(tmp_path / "a")
    (tmp_path / "a" / "self").symlink_to(".")
    assert content_sha256(tmp_path) == plain
    (tmp_path / "other").symlink_to("a")
    assert content_sha256(tmp_path) != plain
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ZDError, match=r"pipe: is a pipe, not a file"):
        content_sha256(tmp_path)


def test_a_name_that_is_no_text_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ZDError, match="a file's name that is not UTF-8"):
        write_csv(tmp_path / "a.csv", pd.DataFrame({"name": [os.fsdecode(b"\xff.png")]}))
    assert not list(tmp_path.iterdir())
