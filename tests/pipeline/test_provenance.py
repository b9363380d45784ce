"""Where a result comes from."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from zdlib.files import sha256
from zdlib.pipeline import provenance
from zdlib.pipeline.provenance import HashCache, git_state, hardware, hash_files, peak_memory_mib


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    def git(*arguments: str) -> None:
        identity = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
        subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True, capture_output=True)

    git("init", "-q")
    (tmp_path / "results").mkdir()
    for name in ("a.txt", "results/b.txt"):
        (tmp_path / name).write_text("1")
    git("add", ".")
    git("commit", "-qm", "x")
    return tmp_path


def test_commit_and_dirty_flag(repository: Path) -> None:
    state = git_state(repository)
    assert len(state["commit"]) == 40
    assert state["dirty"] is False
    (repository / "results/b.txt").write_text("2")  # what a run itself rewrites is no change of the sources
    assert git_state(repository) == state
    (repository / "a.txt").write_text("2")
    assert git_state(repository) == state | {"dirty": True}


def test_outside_git_nothing_is_claimed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_state(tmp_path) == {"commit": None, "dirty": None}
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_state(tmp_path) == {"commit": None, "dirty": None}


def test_hardware_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    found = hardware()
    assert found["cpu"]
    assert 1 <= found["cores"] <= (os.cpu_count() or 1)
    assert found["ram_gib"] > 0.5
    json.dumps(found)


def test_peak_memory_sees_a_large_child() -> None:
    subprocess.run(["python3", "-c", "x = bytearray(200 * 2**20)"], check=True)
    assert peak_memory_mib() > 200


def test_hashes_are_sorted_relative_and_of_files_only(tmp_path: Path) -> None:
    for name in ("b", "a"):
        (tmp_path / name).write_text(name)
    (tmp_path / "folder").mkdir()
    cache = HashCache(tmp_path / "cache.json")
    paths = [Path("b"), Path("folder"), tmp_path / "a", Path("missing")]
    assert list(hash_files(paths, tmp_path, cache).items()) == [(name, sha256(tmp_path / name)) for name in "ab"]


def test_a_file_is_hashed_again_only_when_it_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr(provenance, "sha256", lambda path: calls.append(path) or f"hash {len(calls)}")
    (tmp_path / "a").write_text("1")
    for _ in range(2):
        assert hash_files([Path("a")], tmp_path, HashCache(tmp_path / "cache.json")) == {"a": "hash 1"}
    (tmp_path / "a").write_text("22")
    assert hash_files([Path("a")], tmp_path, HashCache(tmp_path / "cache.json")) == {"a": "hash 2"}


@pytest.mark.parametrize("content", ["", "{", "[1]"])
def test_a_damaged_cache_is_started_afresh(tmp_path: Path, content: str) -> None:
    (tmp_path / "cache.json").write_text(content)
    (tmp_path / "a").write_text("1")
    assert hash_files([Path("a")], tmp_path, HashCache(tmp_path / "cache.json")) == {"a": sha256(tmp_path / "a")}


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "a").write_text("1")
    cache = HashCache(tmp_path / "file" / "cache.json")
    assert hash_files([Path("a")], tmp_path, cache) == {"a": sha256(tmp_path / "a")}
