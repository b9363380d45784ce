"""The control study: jobs that train and score, and the statistics over seeds."""

import numpy as np
import pandas as pd
import pytest
import rgbd
import tiny_training
import torch
from scipy import stats

from zdlib.config import Profile, load_profile
from zdlib.errors import ZDError
from zdlib.metrics.intervals import sign_flip_test
from zdlib.models.checkpoints import load_checkpoint
from zdlib.models.factory import build_model
from zdlib.paper import control_study, study_job
from zdlib.paths import RunPaths

STUDY = {
    "arms": {
        "distill": {"title": "with", "seeds": [1, 2]},
        "control": {"title": "without", "seeds": [1, 2], "seg_weight": 0.0},
        "probe": {"title": "detached", "seeds": [1], "detach_features": True},
        "frozen": {"title": "frozen", "seeds": [1], "freeze_encoder": True},
    },
    "pairs": [["distill", "control"]],
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A tiny profile with a study, all of whose jobs have run."""
    folder = tmp_path_factory.mktemp("grid")
    tiny = tiny_training.make_profile(folder, epochs=1)
    (folder / "ibims").mkdir()
    rgbd.write_ibims(folder / "ibims")
    content = tiny.model_dump(mode="json", exclude={"runs"}) | {"study": STUDY}
    content["data"]["tests"][1] |= {"name": "halls", "root": str(folder / "ibims")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunPaths, "results", property(lambda self: folder / "results"))
        profile, paths = Profile.model_validate(content), RunPaths("tiny")
        for key in profile.study.jobs():
            study_job.run_job(profile, key, paths)
        yield profile, paths


@pytest.mark.slow
def test_jobs_are_arms_times_seeds(made):
    profile, _ = made
    jobs = profile.study.jobs()
    assert list(jobs) == ["distill_1", "distill_2", "control_1", "control_2", "probe_1", "frozen_1"]
    assert (jobs["control_2"].seg_weight, jobs["control_2"].seed) == (0.0, 2)
    with pytest.raises(ZDError, match=r"tiny\.yaml: no run 'control_3' in its study: choose one of distill_1, "):
        study_job.run_job(*made[:1], "control_3", made[1])


@pytest.mark.slow
def test_scores_of_every_training(made):
    scores = control_study.load_scores(*made)
    assert set(scores["data"]) == {"boxes", "halls"}
    assert {"all pixels", "at depth edges", "away from them", "geometry", "wall"} <= set(scores["where"])
    of_arms = scores.groupby("arm")["where"].agg(lambda where: "segmentation" in set(where))
    assert of_arms.to_dict() == {"distill": True, "control": False, "probe": True, "frozen": True}
    assert scores.query("where == 'all pixels'")["value"].notna().all()


@pytest.mark.slow
def test_a_missing_score_is_named(made, tmp_path, monkeypatch):
    monkeypatch.setattr(RunPaths, "results", property(lambda self: tmp_path))
    with pytest.raises(ZDError, match=r"study_distill_1\.csv: no such file: ./run_all.sh --profile tiny runs"):
        control_study.load_scores(made[0], RunPaths("tiny"))
    with pytest.raises(ZDError, match="has no study section"):
        control_study.load_scores(made[0].model_copy(update={"study": None}), made[1])


def weights(made, key):
    model, _ = load_checkpoint(made[1].checkpoints / f"{key}.safetensors", segmentation="control" not in key)
    return model.state_dict()


@pytest.mark.slow
def test_a_probe_sends_no_gradient_back(made):
    for detach in (False, True):
        model = build_model(made[0].model, segmentation=True)
        model.unet.detach = detach
        model(torch.rand(2, 3, 64, 64)).segmentation.sum().backward()
        assert model.unet.classifier[0].weight.grad is not None
        assert all(p.grad is None for p in model.encoder.parameters()) == detach
        assert all(p.grad is None for p in model.decoder.parameters()) == detach


@pytest.mark.slow
def test_a_frozen_encoder_stays(made):
    frozen, free = weights(made, "frozen_1"), weights(made, "distill_1")
    torch.manual_seed(1)
    first = build_model(made[0].model, segmentation=True).state_dict()
    encoder = [name for name in first if name.startswith("encoder")]
    assert all(torch.equal(frozen[name], first[name]) for name in encoder)
    assert not all(torch.equal(free[name], first[name]) for name in encoder)
    assert not all(torch.equal(frozen[name], first[name]) for name in first if name.startswith("decoder"))


# --- statistics over seeds ---


def table(differences, first=0.8):
    """Scores of two arms that differ by these amounts."""
    rng = np.random.default_rng(0)
    rows, same = [], {"data": "d", "where": "all pixels", "metric": "delta1"}
    for seed, difference in enumerate(differences):
        base = first + rng.normal(0, 0.1)
        for arm, value in (("control", base), ("distill", base + difference)):
            rows.append({"arm": arm, "seed": seed, **same, "value": value})
    return pd.DataFrame(rows)


def test_differences_are_paired_by_seed():
    differences = np.array([0.02, 0.01, 0.03, 0.02])
    (row,) = control_study.compare_arms(table(differences), "control", "distill").to_dict("records")
    expected = stats.ttest_1samp(differences, 0).confidence_interval()
    assert row["difference"] == pytest.approx(0.02)
    assert (row["difference_low"], row["difference_high"]) == pytest.approx(tuple(expected))
    assert row["sd"] == pytest.approx(differences.std(ddof=1))
    assert row["second"] - row["first"] == pytest.approx(0.02)
    assert row["p_value"] == 2 / 16
    assert control_study.in_words(row, True) == "better"
    assert control_study.in_words(row, False) == "worse"


def test_seeds_of_one_arm_alone_do_not_count():
    scores = table([0.1, 0.2, 0.3])
    scores = scores[~((scores["arm"] == "distill") & (scores["seed"] == 2))]
    (row,) = control_study.compare_arms(scores, "control", "distill").to_dict("records")
    assert (row["seeds"], row["difference"]) == (2, pytest.approx(0.15))
    with pytest.raises(ZDError, match="share fewer than two seeds"):
        control_study.compare_arms(scores[scores["seed"] == 0], "control", "distill")


def test_data_sets_come_in_the_scores_order():
    scores = pd.concat([table([0.1, 0.2, 0.3]).assign(data=name) for name in ("rooms n", "rooms i", "a")])
    found = control_study.compare_arms(scores, "control", "distill")
    assert found["data"].tolist() == ["rooms n", "rooms i", "a"]
    assert found["difference"].tolist() == pytest.approx([0.2, 0.2, 0.2])


def test_an_interval_over_zero_is_no_effect():
    (row,) = control_study.compare_arms(table([0.002, 0.020, -0.003]), "control", "distill").to_dict("records")
    assert control_study.in_words(row, True).startswith("no effect")


def test_detectable_difference_is_found_four_times_in_five():
    (row,) = control_study.detectable_difference(2.0, [6]).to_dict("records")
    samples = np.random.default_rng(0).normal(row["detectable"], 2.0, (4000, 6))
    assert (stats.ttest_1samp(samples, 0, axis=1).pvalue < 0.05).mean() == pytest.approx(0.8, abs=0.025)
    many = control_study.detectable_difference(1.0, [10_000])["detectable"].item()
    assert many == pytest.approx((1.96 + 0.8416) / 100, rel=1e-3)


@pytest.mark.parametrize(
    ("pairs", "detectable"),  # found by bisection
    [(3, 3.264043550), (6, 1.434544782), (12, 0.888654265), (24, 0.597184100), (48, 0.412874004)],
)
def test_detectable_differences_of_the_studys_sizes(pairs, detectable):
    table = control_study.detectable_difference(1.0, [pairs])
    assert table["detectable"].item() == pytest.approx(detectable, abs=1e-6)


@pytest.mark.slow
def test_figures_get_a_column_a_metric(made):
    profile, paths = made
    differences = control_study.compare_pairs(profile, control_study.load_scores(profile, paths))
    assert differences["arm"].unique().tolist() == ["with"]
    wide = control_study.beside(differences.query("`where` == 'all pixels'"), "data", "arm", ["delta1", "rmse"])
    assert wide["protocol"].tolist() == ["boxes", "halls"]
    assert {"delta1", "delta1_low", "rmse_high"} <= set(wide)
    rows = control_study.trainings(profile, control_study.load_scores(profile, paths), "boxes")
    assert rows["arm"].tolist() == ["with", "with", "without", "without", "detached", "frozen"]


def synthetic(effect, noise):
    """Scores and per-image rows of the committed study's arms, drawn around a control of δ1 0.8."""
    profile, rng = load_profile("study"), np.random.default_rng(0)
    name = profile.data.nyu.title
    scenes = rng.normal(0, 0.05, 20).repeat(2)
    rows, images = [], []
    for arm, config in profile.study.arms.items():
        for seed in config.seeds:
            values = 0.8 + scenes + effect.get(arm, 0.0) + rng.normal(0, noise) + rng.normal(0, 1e-3, 40)
            rows.append({"arm": arm, "seed": seed, "data": name, "where": "all pixels", "metric": "delta1"})
            rows[-1]["value"] = values.mean()
            frames = {"frame": range(40), "scene": [f"room_{i // 2}" for i in range(40)], "delta1": values}
            images.append(pd.DataFrame(frames).assign(arm=arm, seed=seed, data=name))
    return profile, pd.DataFrame(rows), pd.concat(images, ignore_index=True)


def test_the_family_tells_no_effect_from_one_that_is_there():
    profile, scores, images = synthetic({"oracle": 0.05}, noise=0.004)
    table = control_study.family_contrasts(profile, scores, images).set_index("arm")
    same, told = (table.loc[profile.study.arms[arm].title] for arm in ("distill", "oracle"))
    assert (same["pairs"], told["pairs"]) == (12, 6)
    assert same["p, equivalence"] < 0.05 < told["p, equivalence"]
    assert same["difference_low"] < 0 < same["difference_high"]
    assert told["difference_low"] > 0.03
    assert told["joint low"] < told["difference"] < told["joint high"]
    assert told["sd_low"] < told["sd"] < told["sd_high"]
    single = sign_flip_test(np.full(6, 0.05), np.random.default_rng(0))
    assert told["p, Holm"] >= single == pytest.approx(2 / 2**6)


def test_a_dose_is_the_ratio_of_gradients():
    profile = load_profile("study")
    rows = [
        {"arm": "distill", "seed": seed, "data": profile.data.nyu.title, "where": "gradients", "metric": m, "value": v}
        for seed in (1, 2)
        for m, v in {"gradient_depth": 2.0, "gradient_segmentation": 0.1 * seed, "gradient_cosine": 0.5}.items()
    ]
    dose = control_study.gradient_dose(profile, pd.DataFrame(rows))
    assert dose["arm"].tolist() == [profile.study.arms["distill"].title]
    assert dose["segmentation / depth [%]"].tolist() == pytest.approx([7.5])
    assert dose["cosine"].tolist() == [0.5]
