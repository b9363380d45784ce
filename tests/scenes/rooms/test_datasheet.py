import numpy as np
import pytest
from PIL import Image
from rooms_files import stored, write

from scenes.rooms import datasheet
from scenes.rooms.__main__ import main
from zdlib.data.rooms.store import open_store
from zdlib.errors import ZDError


@pytest.fixture
def folder(tmp_path):
    items = [stored(0), stored(1), stored(2, "study_0001", scene_type="study", split="test")]
    write(tmp_path / "rooms_n.h5", items)
    write(tmp_path / "rooms_i.h5", [stored(3, split="test", ibims=True)], name="Rooms-I")
    (tmp_path / "DATASHEET.md").write_text(f"above\n{datasheet.BEGIN}\nold\n{datasheet.END}\nbelow\n")
    return tmp_path


def test_class_shares_count_pixels(folder):
    store = open_store(folder / "rooms_n.h5")
    shares = datasheet.class_shares(store, "test")
    labels = store[2].labels
    assert shares["bed"] == pytest.approx((labels == 3).mean())
    assert shares["wall"] == pytest.approx((labels == 1).mean())
    assert sum(shares.values()) == pytest.approx(1)


def test_depth_summary(folder):
    store = open_store(folder / "rooms_n.h5")
    summary = datasheet.depth_summary(store, "test")
    depth = store[2].depth
    assert summary["farthest"] == pytest.approx(float(depth.max()))
    assert summary["nearest"] == pytest.approx(float(np.percentile(depth[depth > 0], 1)))


def test_update_replaces_only_the_numbers_and_can_be_repeated(folder):
    assert main(["datasheet", "--stores", str(folder)]) == 0
    text = (folder / "DATASHEET.md").read_text()
    assert text.startswith("above\n")
    assert text.endswith("below\n")
    assert "old" not in text
    assert "| Rooms-N train | 2 | 1 |" in text
    datasheet.update(folder)
    assert (folder / "DATASHEET.md").read_text() == text


def test_a_datasheet_without_marks_is_left_alone(folder, capsys):
    (folder / "DATASHEET.md").write_text("mine")
    assert main(["datasheet", "--stores", str(folder)]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert (folder / "DATASHEET.md").read_text() == "mine"
    (folder / "DATASHEET.md").unlink()
    with pytest.raises(ZDError, match=r"DATASHEET\.md"):
        datasheet.update(folder)


def test_contact_sheet_shows_one_view_a_scene(folder, tmp_path):
    assert main(["contact", str(tmp_path / "s.jpg"), "--stores", str(folder)]) == 0
    with Image.open(tmp_path / "s.jpg") as sheet:
        assert sheet.size == (8 * 160, 120)
        pixels = np.asarray(sheet)
    assert pixels[:, :320].mean() > 20  # two scenes
    assert pixels[:, 330:].mean() < 5
