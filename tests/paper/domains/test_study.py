"""Statistics of the study of domains, on scores whose answers are known; and what profile `domains` promises."""

import numpy as np
import pandas as pd
import pytest

from zdlib.config import load_profile
from zdlib.errors import ZDError
from zdlib.metrics.improvement import mean_relative_improvement
from zdlib.paper.domains import pictures
from zdlib.paper.domains.study import Study
from zdlib.paths import RunPaths

DATA = {"Rooms-N": False, "Streets-K": True, "Rooms-I": False, "Streets-V": True}
GAIN = 0.02  # that M has on X, in every image
ERRORS = {"x": 0.20, "m": 0.20 - GAIN}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Every job of profile `domains`, with two scenes of three frames per data set and a little noise of seeds."""
    profile = load_profile("domains")
    folder = tmp_path_factory.mktemp("scores")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunPaths, "results", property(lambda self: folder))
        paths = RunPaths("domains")
        paths.per_image.mkdir(parents=True)
        for arm, config in profile.study.arms.items():
            for seed in config.seeds:
                of_job(arm, seed, config.options).to_csv(
                    paths.per_image / f"study_{arm}_{seed}_images.csv", index=False
                )
        yield Study(profile, paths)


def of_job(arm: str, seed: int, options: dict) -> pd.DataFrame:
    rng = np.random.default_rng(seed)  # the same for paired arms
    rest = 1e-4 * np.random.default_rng([seed, *arm.encode()]).normal()  # what is left of a training's luck in pairs
    rows = []
    for data, outdoors in DATA.items():
        for frame in range(6):
            error = ERRORS[arm[0]] + rest + rng.normal(0, 0.002)
            row = {"data": data, "frame": frame, "scene": f"s{frame // 3}", "delta1": 1 - error}
            row |= {"abs_rel": error, "rmse": 3 * error, "log10": error / 2}
            if "router" in options:
                right, wrong = error, error + 0.3
                row |= {"abs_rel_nyu": wrong if outdoors else right, "abs_rel_kitti": right if outdoors else wrong}
                likely = 0.9 if frame or seed > 1 else 0.4  # the first seed is wrong about one frame of each set
                row["outdoor"] = np.nan if options["router"] == "labelled" else likely if outdoors else 1 - likely
            rows.append(row)
    return pd.DataFrame(rows)


def test_a_paired_gain_is_found_without_the_noise_of_seeds(study):
    found = study.contrast("m_n", "x_n", "Rooms-N")
    assert found["pairs"] == 5
    np.testing.assert_allclose([found["difference"], found["difference_low"], found["joint low"]], -GAIN, atol=1e-3)
    assert found["p"] == 2 / 2**5  # the smallest that five signs allow
    assert found["p, equivalence"] > 0.5  # twice the margin


def test_the_family_has_each_arm_where_it_is_trained(study):
    family = study.family()
    assert family[["arm", "data"]].to_numpy().tolist() == [
        ["M-N", "Rooms-N"],
        ["M-K", "Streets-K"],
        ["M-N, 25 % of labels", "Rooms-N"],
        ["M-NK†", "Rooms-N"],
        ["M-NK†", "Streets-K"],
    ]
    assert (family["p, Holm"] >= family["p"]).all()


def test_mrid_is_the_mean_over_paired_seeds_of_all_data(study):
    table = study.one_network(["x_nk_one", "m_nk_one"], "x_nk_one").set_index("method")
    each = [
        mean_relative_improvement(
            "abs_rel",
            *({data: float(study.mean(arm, data)[seed]) for data in DATA} for arm in ("m_nk_one", "x_nk_one")),
        )
        for seed in (1, 2, 3)
    ]
    assert table.loc["M-NK†", "mRID [%]"] == pytest.approx(np.mean(each))
    assert table.loc["M-NK†", "mRID [%]"] == pytest.approx(100 * GAIN / 0.2, rel=0.02)
    assert table.loc["X-NK†", "mRID [%]"] == 0
    assert table.loc["M-NK†", "Rooms-N_low"] < table.loc["M-NK†", "Rooms-N"] < table.loc["M-NK†", "Rooms-N_high"]


def test_mri_theta_goes_over_three_metrics(study):
    table = study.over_metrics(["x_n", "m_n"], "x_n", "Rooms-I").set_index("method")
    # δ1 0.80 → 0.82, AbsRel and RMSE a tenth lower
    assert table.loc["M-N", "mRIθ [%]"] == pytest.approx((2.5 + 10 + 10) / 3, rel=0.02)


def test_routers_are_counted_and_the_wrong_way_is_priced(study):
    routes = study.routes(["m_nk_labelled", "m_nk"]).set_index(["variant", "data"])
    trained = routes.loc[("M-NK, trained router", "Streets-V")]
    assert trained["routed to its head [%]"] == pytest.approx(100 * 17 / 18)
    assert trained["fewest [%]"] == pytest.approx(100 * 5 / 6)
    assert trained["AbsRel, other head"] - trained["AbsRel, its head"] == pytest.approx(0.3, abs=1e-9)
    assert np.isnan(routes.loc[("M-NK, labelled router", "Rooms-N"), "fewest [%]"])
    labels = study.routers(["m_nk_labelled", "m_nk", "m_nk_auto"]).set_index("variant")
    assert labels[["labels, training", "labels, inference"]].to_numpy().tolist() == [
        ["yes", "yes"],
        ["yes", "no"],
        ["no", "no"],
    ]


def test_one_checkpoint_is_compared_on_the_data_of_each_domain(study):
    table = study.one_checkpoint(["m_nk"], {"nyu": "m_n", "kitti": "m_k"})
    assert list(table["data"]) == ["Rooms-N", "Rooms-I", "Streets-K", "Streets-V"]
    assert list(table["against"]) == ["M-N", "M-N", "M-K", "M-K"]
    assert (table["pairs"] == 3).all()


def test_a_grid_under_way_is_a_study_of_what_there_is(study, tmp_path, monkeypatch):
    monkeypatch.setattr(RunPaths, "results", property(lambda self: tmp_path))
    paths = RunPaths("domains")
    profile = load_profile("domains")
    with pytest.raises(ZDError, match=r"no scores: \./run_all\.sh --profile domains"):
        Study(profile, paths)
    paths.per_image.mkdir(parents=True)
    for arm, seeds in (("x_n", (1, 2, 3)), ("m_n", (2, 3)), ("m_k", (1,))):
        for seed in seeds:
            of_job(arm, seed, {}).to_csv(paths.per_image / f"study_{arm}_{seed}_images.csv", index=False)
    half = Study(profile, paths)
    assert len(half.missing) == len(profile.study.jobs()) - 6
    assert half.contrasts([("m_n", "x_n"), ("m_k", "x_k")], ["Rooms-N"])["pairs"].tolist() == [2]
    assert half.family()["arm"].tolist() == ["M-N"]
    table = half.one_network(["x_n", "m_n", "m_k", "m_nk"], "x_n").set_index("method")
    assert table["seeds"].to_dict() == {"X-N": 3, "M-N": 2, "M-K": 1}
    assert np.isfinite(table.loc["M-N", "mRID [%]_low"])
    assert np.isnan(table.loc["M-K", "mRID [%]_low"])  # a single pair has no interval
    with pytest.raises(ZDError, match="x_n and m_k share fewer than two seeds with scores"):
        half.contrast("m_k", "x_n", "Streets-K")


def test_pictures_between_the_domains_are_the_same_every_time():
    first, second = pictures.scenes_between(), pictures.scenes_between()
    assert [scene.name for scene in first] == [scene.name for scene in second]
    assert all(np.array_equal(a.image, b.image) for a, b in zip(first, second, strict=True))
    room, window, street = first
    assert (window.depth == 0).mean() > 0.3  # panes have no depth to judge
    assert window.image.shape[0] <= room.image.shape[0]
    assert min(window.image.shape[:2]) >= 64
    assert np.median(street.depth[street.depth > 0]) > np.median(room.depth[room.depth > 0])
