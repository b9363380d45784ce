"""Numbers of the streets, by hand where they are few."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from zdlib.config import StreetsConfig
from zdlib.data.sample import Sample
from zdlib.data.streets import store as stores
from zdlib.errors import ZDError
from zdlib.paper import streets_summary
from zdlib.paths import repo_root


def frame(depth: list[list[float]]) -> Sample:
    values = np.array(depth, np.float32)
    return Sample("a", np.zeros((*values.shape, 3), np.uint8), values)


def test_a_scan_is_judged_where_it_measured_and_there_is_truth() -> None:
    dense = [frame([[5, 5, 5, 20], [20, 0, 50, 200]])]
    sparse = [frame([[5, 0, 6, 20], [0, 7, 51, 0]])]
    table = streets_summary.scan_against_truth(sparse, dense).set_index("distance")
    assert table.loc["all", "measured [%]"] == pytest.approx(100 * 4 / 7)
    assert table.loc["0–10 m", "measured [%]"] == pytest.approx(100 * 2 / 3)
    assert table.loc["0–10 m", "median error [%]"] == pytest.approx(10)
    assert table.loc["0–10 m", "off by > 10 % [%]"] == 50
    assert table.loc["10–30 m"].tolist() == [50, 0, 0]
    assert table.loc["30–80 m", "median error [%]"] == pytest.approx(2)


def test_an_echo_is_drawn_larger_and_no_other_is_lost() -> None:
    sparse = np.zeros((5, 6), np.float32)
    sparse[2, 2], sparse[2, 3] = 7, 9
    drawn = streets_summary.thickened(sparse)
    assert (drawn[2, 2], drawn[2, 3]) == (7, 9)
    assert np.count_nonzero(drawn) > 2


def test_parts_of_a_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """Streets-K cut to three clips, counted again by hand."""
    store = stores.open_store(repo_root() / StreetsConfig(root="x").stores[0])
    first = [store.of_split(part)[0] for part in ("train", "val", "test")]
    monkeypatch.setattr(store, "of_split", lambda part: [first[("train", "val", "test").index(part)]])
    table, shares = streets_summary.summarise_streets([store])
    assert table["part"].tolist() == ["train", "val", "test"]
    assert table["frames"].tolist() == [3, 3, 3]
    frames = [store.frame(clip, 1) for clip in first]
    depth = frames[0].depth[frames[0].depth > 0]
    assert table["depth 50 % [m]"].iloc[0] == pytest.approx(np.percentile(depth, 50))
    assert table["> 80 m [%]"].iloc[0] == pytest.approx(100 * (depth > 80).mean())
    assert table["right camera blind [%]"].iloc[2] == pytest.approx(100 * frames[2].occluded.mean())
    road = sum((one.labels == 0).sum() for one in frames) / sum((one.labels != 255).sum() for one in frames)
    assert shares["Streets-K"][0] == pytest.approx(road)
    assert shares["Streets-K"].sum() == pytest.approx(1)


def test_scores_of_several_runs_are_one_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "profiles").mkdir()
    monkeypatch.setenv("ZD_ROOT", str(tmp_path))
    with pytest.raises(ZDError, match="results/streets/evaluate: holds no scores"):
        streets_summary.scores()
    rows = [("streets/eigen", "Streets-K", "constant depth", 0.5), ("streets/eigen", "Streets-K", "a run", 0.1)]
    for profile, kept in (("streets", rows), ("streets_mixed", [rows[0], ("nyu/standard", "Rooms-N", "b", 0.2)])):
        folder = tmp_path / "results" / profile / "evaluate"
        folder.mkdir(parents=True)
        table = pd.DataFrame(kept, columns=["protocol", "data", "method", "abs_rel"])
        table.to_csv(folder / "run.csv", index=False)
        pd.DataFrame({"frame": [1]}).to_csv(folder / "run_0.csv", index=False)
    table = streets_summary.scores()
    assert table["method"].tolist() == ["b", "constant depth", "a run"]


def test_the_committed_scores_are_those_of_their_records() -> None:
    """Every committed score is what its evaluation wrote, and says which weights it is of."""
    from zdlib.files import read_json, sha256

    records = [path for name in streets_summary.SCORED for path in records_of(name)]
    assert records
    for path in records:
        record = read_json(path)
        assert record["inputs"]
        assert record["commit"]
        for name, digest in record["outputs"].items():
            assert sha256(repo_root() / name) == digest, name


def records_of(profile: str) -> list[Path]:
    """Records of the evaluations of a profile."""
    return sorted((repo_root() / "results" / profile / "provenance").glob("evaluate_*.json"))
