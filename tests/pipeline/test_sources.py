"""The real files a profile needs: all missing ones in one message."""

from pathlib import Path

import pytest

from zdlib.config import load_profile
from zdlib.pipeline.layout import Layout
from zdlib.pipeline.sources import MissingFilesError, check_files, watched_files


def test_every_missing_file_is_named_with_where_and_how(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ZD_DATA", str(tmp_path))
    (tmp_path / "splits.mat").write_bytes(b"")
    with pytest.raises(MissingFilesError) as caught:
        check_files(load_profile("paper"))
    message = str(caught.value)
    assert message.startswith("profiles/paper.yaml needs 3 files that are not there:\n")
    for part in ("nyu_depth_v2_labeled.mat", "ibims1", "dpt_swin2_base_384.pt"):
        assert f"looked for at  {tmp_path / part}\n" in message
    for part in ("data.train.0.root", "data.tests.1.root", "model.encoder_weights", "isl-org/MiDaS", "export ZD_DATA="):
        assert part in message
    assert "splits.mat" not in message


def test_without_zd_data_that_is_said_and_the_known_hash_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ZD_DATA", raising=False)
    with pytest.raises(MissingFilesError) as caught:
        check_files(load_profile("paper"))
    assert "$ZD_DATA/splits.mat (ZD_DATA is not set)" in str(caught.value)
    assert "SHA256  6e081404491a8bfba2f066beaa9713ef6046f9007aa5f799f2a350506a580cee" in str(caught.value)


def test_all_there_is_silence_and_all_are_watched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ZD_DATA", str(tmp_path))
    for name in ("splits.mat", "nyu_depth_v2_labeled.mat", "dpt_swin2_base_384.pt", "ibims1/a/x.mat", "ibims1/y.mat"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    profile = load_profile("paper")
    check_files(profile)
    data = [path.name for path in watched_files(profile, weights=False)]
    streets = ["streets_k.h5", "streets_v.h5"]  # which notebook 01 shows
    assert sorted(data) == ["nyu_depth_v2_labeled.mat", "splits.mat", *streets, "x.mat", "y.mat"]
    assert watched_files(profile, weights=True) == [tmp_path / "dpt_swin2_base_384.pt"]


def test_embedded_scenes_missing_from_the_checkout(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "profiles").mkdir()
    monkeypatch.setenv("ZD_ROOT", str(tmp_path))
    profile = load_profile("smoke", Path(__file__).resolve().parents[2])
    with pytest.raises(MissingFilesError, match="needs 3 files that are not there") as caught:
        check_files(profile)
    assert "git checkout -- data/rooms" in str(caught.value)
    assert "git checkout -- data/streets" in str(caught.value)


def test_what_is_written_from_the_streets_need_not_be_there() -> None:
    check_files(load_profile("streets"))


def test_packs_are_needed_but_make_nothing_stale(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ZD_DATA", str(tmp_path))
    profile = load_profile("paper", changes=["data.train.0.packs={raw: $ZD_DATA/raw.pack}"])
    with pytest.raises(MissingFilesError, match=r"zdlib data pack nyu .* --depth raw -o") as caught:
        check_files(profile)
    assert f"looked for at  {tmp_path / 'raw.pack'}\n" in str(caught.value)
    (tmp_path / "raw.pack").write_bytes(b"")
    assert [path.name for path in watched_files(profile, weights=False)] == ["streets_k.h5", "streets_v.h5"]
    layout = Layout("paper")
    before = layout.depends("03_training")
    layout.profile = profile
    assert layout.depends("03_training") == before
