"""Pinned files: fetched, resumed, refused."""

import hashlib

import numpy as np
import pytest
from downloads_server import serving

from zdlib.errors import ZDError
from zdlib.gates.downloads import PinnedFile, copies, locate, obtain

CONTENT = np.random.default_rng(0).bytes(300_000)


@pytest.fixture
def server():
    with serving({"/weights": CONTENT}) as running:
        yield running


def pinned(url, content=CONTENT):
    return PinnedFile("part/weights", url, hashlib.sha256(content).hexdigest(), len(content), "MIT")


def test_a_file_is_fetched_once(server, tmp_path):
    file = pinned(f"{server.url}/weights")
    assert obtain(file, tmp_path).read_bytes() == CONTENT
    assert obtain(file, tmp_path) == tmp_path / "part/weights"
    assert len(server.requests) == 1
    assert [path.name for path in (tmp_path / "part").iterdir()] == ["weights"]


@pytest.mark.parametrize("ranges", [True, False])
def test_a_broken_download_goes_on_where_it_stopped(server, tmp_path, ranges):
    file = pinned(f"{server.url}/weights")
    server.break_after, server.ranges = 100_000, ranges
    with pytest.raises(ZDError, match=r"100000 of 300000 bytes came|cannot be downloaded"):
        obtain(file, tmp_path)
    assert not (tmp_path / "part/weights").exists()
    server.break_after = None
    assert obtain(file, tmp_path).read_bytes() == CONTENT
    assert server.requests[-1][2] == "bytes=100000-"


def test_another_file_than_the_pinned_one_is_thrown_away(server, tmp_path):
    for content in (CONTENT[:-1] + b"x", CONTENT + b"more"):
        server.files["/weights"] = content
        with pytest.raises(ZDError, match="another file than the pinned one") as refused:
            obtain(pinned(f"{server.url}/weights"), tmp_path)
        assert str(tmp_path / "part/weights") in str(refused.value)
        assert list((tmp_path / "part").iterdir()) == []


def test_a_redirect_is_followed(server, tmp_path):
    server.redirects["/old"] = "/weights"
    assert obtain(pinned(f"{server.url}/old"), tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize("address", ["{}/none", "http://127.0.0.1:9/weights", "http://no.such.host.invalid/weights"])
def test_without_network_one_line_says_where_the_file_belongs(server, tmp_path, address):
    with pytest.raises(ZDError, match="cannot be downloaded") as refused:
        obtain(pinned(address.format(server.url)), tmp_path)
    assert f"put the file at {tmp_path / 'part/weights'}" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_copy_is_taken_before_the_network_and_a_damaged_one_is_not(server, tmp_path, monkeypatch):
    monkeypatch.setenv("ZD_REAL_DATA", str(tmp_path / "copy"))
    monkeypatch.setenv("ZD_DATA", str(tmp_path / "data"))
    assert copies() == [tmp_path / "copy", tmp_path / "data" / "real_data"]
    file = pinned(f"{server.url}/weights")
    good = tmp_path / "data" / "real_data" / "part/weights"
    for path, content in ((tmp_path / "copy" / "part/weights", CONTENT[::-1]), (good, CONTENT)):
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
    assert locate(file, copies()) == good
    assert obtain(file, tmp_path / "here", copies()).read_bytes() == CONTENT
    assert server.requests == []


def test_an_unwritable_folder_is_one_line(server, tmp_path):
    (tmp_path / "part").write_text("a file where a folder is needed")
    with pytest.raises(ZDError, match="cannot be written"):
        obtain(pinned(f"{server.url}/weights"), tmp_path)
