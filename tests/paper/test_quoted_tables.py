"""Quoted tables agree with their source, with what is recomputed from them, and with the protocols here."""

import pandas as pd
import pytest

from zdlib.config import load_profile
from zdlib.data.registry import data_set
from zdlib.metrics import protocols
from zdlib.paper import quoted_tables
from zdlib.paths import RunPaths


def test_ranges_and_crops_here_are_those_of_zoedepth_s_table_7() -> None:
    table = quoted_tables.data_sets().set_index("data set")
    assert len(table) == 10
    from_code = {"iBims-1": 0.0, "DIML Outdoor": 2.0}  # ZoeDepth's code begins elsewhere than its table says
    for title, row in table.iterrows():
        name, _, rest = row["here"].partition(": ")
        protocol = protocols.get(name)
        least = from_code.get(str(title), row["min [m]"])
        assert (protocol.min_depth, protocol.max_depth) == (least, row["max [m]"]), title
        assert rest.endswith(f" m, {row['crop']}"), title
    assert table.loc["KITTI", "here"] == "kitti/zoedepth: 0.001–80 m, Garg‡"


def test_frames_are_those_a_full_copy_has() -> None:
    """ZoeDepth evaluates all frames of a copy, but of NYU (which also trains) and of KITTI's lists."""
    rows = pd.read_csv(quoted_tables.Path(quoted_tables.__file__).with_name("published_data_sets.csv"))
    for row in rows.query("dataset not in ('nyu', 'kitti', 'hypersim')").itertuples():
        assert row.eval in data_set(row.dataset).frames or not data_set(row.dataset).frames, row.dataset


def test_table_4_has_every_method_on_every_data_set() -> None:
    table = quoted_tables.outdoors()
    assert table.groupby("data set", sort=False).size().tolist() == [7] * 4
    assert (table["mRIθ"] - table["mRIθ, printed"]).abs().max() < 0.0501


def test_released_models() -> None:
    table = quoted_tables.released_models().set_index("method")
    assert table.loc["ZoeD-M12-N", ["nyu", "sunrgbd", "ibims", "diode_indoor", "hypersim"]].tolist() == [
        0.075, 0.119, 0.169, 0.327, 0.410,
    ]  # fmt: skip
    assert table.loc["ZoeD-M12-K", "ddad"] == 0.129
    assert table["nyu"].isna().tolist() == [False, False, True]


def test_our_improvements_are_against_the_control(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    profile = load_profile("demo")
    (tmp_path / "profiles").mkdir()
    monkeypatch.setenv("ZD_ROOT", str(tmp_path))
    paths = RunPaths("demo")
    paths.tables.mkdir(parents=True)
    titles = [run.title for run in profile.runs.values()]
    for table, protocol, errors in (("nyu_depth", "nyu/standard", 0.09), ("ibims_depth", "ibims/zoedepth", 0.4)):
        rows = pd.DataFrame({"protocol": protocol, "method": titles, "source": "this run", "delta1": 0.8, "rmse": 0.5})
        rows["abs_rel"] = [errors if run.is_control else errors / 2 for run in profile.runs.values()]
        rows.to_csv(paths.tables / f"{table}.csv", index=False)
    found = quoted_tables.our_improvements(profile, paths).set_index("method")
    control = next(run.title for run in profile.runs.values() if run.is_control)
    assert list(found.index) == [run.title for run in profile.runs.values() if run.recipe == "corrected"]
    assert found.loc[control, ["mRIθ, Rooms-N [%]", "mRID [%]"]].tolist() == [0, 0]
    assert found["mRID [%]"].drop(control).tolist() == pytest.approx([50.0] * (len(found) - 1))
    assert found["mRIθ, Rooms-I [%]"].drop(control).tolist() == pytest.approx([50 / 3] * (len(found) - 1))
