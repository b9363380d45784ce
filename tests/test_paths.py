"""Folder names, and what a path in a profile means."""

from pathlib import Path

import pytest

from zdlib.errors import ZDError
from zdlib.paths import RunPaths, repo_root, resolve


def test_the_root_is_the_checkout_or_zd_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ZD_ROOT", raising=False)
    assert repo_root() == Path(__file__).resolve().parent.parent
    monkeypatch.setenv("ZD_ROOT", str(tmp_path))
    with pytest.raises(ZDError, match=r"not a checkout of this project .*: set ZD_ROOT"):
        repo_root()
    (tmp_path / "profiles").mkdir()
    assert repo_root() == tmp_path


def test_paths_of_a_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "profiles").mkdir()
    monkeypatch.setenv("ZD_ROOT", str(tmp_path))
    monkeypatch.setenv("ZD_DATA", "/data")
    monkeypatch.setenv("HOME", "/house")
    assert resolve("results/a.mat") == tmp_path / "results/a.mat"
    assert resolve(Path("/else/a.mat")) == Path("/else/a.mat")
    assert resolve("~/a.mat") == Path("/house/a.mat")
    assert resolve("$ZD_DATA/nyu/a.mat") == Path("/data/nyu/a.mat")


def test_an_unset_zd_data_is_named_with_the_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ZD_DATA", raising=False)
    with pytest.raises(ZDError, match=r"\$ZD_DATA/a\.mat: ZD_DATA is not set: export ZD_DATA="):
        resolve("$ZD_DATA/a.mat")


def test_a_run_keeps_to_its_own_folders() -> None:
    paths = RunPaths("smoke")
    folders = [paths.tables, paths.per_image, paths.checkpoints, paths.notebooks, paths.provenance]
    assert len(set(folders)) == 5
    assert all(folder.parent == repo_root() / "results" / "smoke" for folder in folders)
    assert paths.figures == repo_root() / "figures" / "smoke"
