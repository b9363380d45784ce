"""Bold is shared by rows that paired differences cannot tell apart, and by no other."""

import numpy as np
import pandas as pd
import pytest

from zdlib.config import load_profile
from zdlib.paper.ties import tied_with_best
from zdlib.paths import RunPaths


def test_a_row_within_the_paired_interval_of_the_best_is_tied(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    profile = load_profile("demo")
    (tmp_path / "profiles").mkdir()
    monkeypatch.setenv("ZD_ROOT", str(tmp_path))
    paths = RunPaths("demo")
    rng = np.random.default_rng(0)
    hard = rng.uniform(0.5, 0.9, 60)  # what images share: it is not in the difference
    first, second = list(profile.runs)[:2]
    scores = {first: hard + 0.05, second: hard + 0.05 + rng.normal(0, 0.01, 60), "constant_depth": hard - 0.02}
    paths.per_image.mkdir(parents=True)
    for key, values in scores.items():
        rows = {"protocol": "nyu/standard", "frame": range(60), "name": "f", "scene": [f"s{i // 2}" for i in range(60)]}
        frame = pd.DataFrame(rows | {"pixels": 9, "delta1": values})
        frame.to_csv(paths.per_image / f"nyu_standard_{key}.csv", index=False)
    titles = {key: profile.runs[key].title for key in (first, second)} | {"constant_depth": "constant depth"}
    table = pd.DataFrame({"method": [*titles.values(), "BTS ¹"], "protocol": "nyu/standard"})
    table["data"] = ["Rooms-N"] * 3 + ["NYU Depth v2"]
    table["delta1"] = [scores[key].mean() for key in titles] + [0.885]
    tied = tied_with_best(profile, paths, table, ["protocol", "data"], ["delta1"])
    best = int(table["delta1"][:2].idxmax())
    assert tied == {"delta1": [1 - best]}
    assert tied_with_best(profile, paths, table, ["protocol"], ["delta1"]) == {"delta1": []}  # the best is quoted
