"""Sentences of notebook 17 follow from the numbers."""

import pytest

from zdlib.config import load_profile
from zdlib.paper.label_budget import tables, words
from zdlib.paths import RunPaths

PROFILE = load_profile("label_budget")
JOBS = len(PROFILE.study.jobs())
FAMILY = [arm for pair in PROFILE.study.family for arm in pair]


def said(study):
    values = tables.long_scores(PROFILE, study, RunPaths("label_budget"))
    return words.findings(study, "Rooms-N", tables.edges(study, values, "Rooms-I"))


@pytest.mark.parametrize(
    ("gains", "headline"),
    [
        ({}, "**No effect beyond ±0.01 of δ1 where frames are fewest** (25 %: no effect within the margin; "),
        (
            {"distill_25": 0.03},
            "**Segmentation helps in 1 of 2 contrasts where frames are fewest** (25 %: helps; 25 %, no ImageNet: no",
        ),
        (
            {"distill_25": 0.03, "bare_distill_25": -0.04},
            "**Segmentation helps in 1 of 2 contrasts and hurts in 1 of 2 contrasts where frames are fewest**",
        ),
        (
            {"distill_25": 0.03, "bare_distill_25": 0.03},
            "**Segmentation helps in 2 of 2 contrasts where frames are few",
        ),
    ],
)
def test_the_verdict_is_made_of_the_family(make, gains, headline):
    study = make(gains, arms=FAMILY)
    assert words.verdict(study, "Rooms-N").startswith(headline)
    assert said(study)[0].startswith(headline)


def test_what_cannot_be_told_is_called_that(make):
    study = make({"distill_25": 0.01}, noise=0.05, arms=FAMILY)
    assert words.verdict(study, "Rooms-N") == (
        "**No effect that these trainings can tell from chance where frames are fewest** "
        "(25 %: cannot be told; 25 %, no ImageNet: cannot be told)."
    )


def test_sentences_carry_their_numbers(make):
    study = make({"distill_25": 0.03, "heavy_100": -0.02})
    family, rest, growth, beside, edges, power = said(study)
    one = tables.family(PROFILE, study, tables.long_scores(PROFILE, study, RunPaths("label_budget"))).iloc[0]
    assert f"25 %: δ1 {one['difference']:+.4f} [{one['difference_low']:+.4f}, {one['difference_high']:+.4f}]" in family
    assert f"p = {one['p, t, Holm']:.2f} after Holm" in family
    assert "*hurts*: 100 %, w = 1 -0.0" in rest
    assert rest.count("[") == 5
    assert "Intervals leave out zero for: 25 % against 100 % +0.0" in growth
    assert "(7 differences of differences, exploratory)" in growth
    assert "50 %" not in beside
    assert "(25 %); 4 of these 4 are larger in size." in beside
    assert "35 differences" in edges
    assert "δ1 at edges at 25 %, w = 0.1 (+0.03" in edges
    assert "3 pairs find an effect of 0.00" in power


def test_one_seed_says_that_nothing_can_be_told(make):
    study = make({"distill_25": 0.03}, seeds=[1])
    progress = words.progress(study, JOBS)
    assert progress.startswith("**13 of 39** trainings have scores. Contrasts have 1 pair at most: too few for an")
    first, rest, beside = said(study)
    assert first.startswith("**Not yet to be told**: not every contrast that was named beforehand has 3 pairs")
    assert "25 %: δ1 +0.0" in first
    assert "*cannot be told (1 pair)*: " in rest
    assert "(1 pair)" in beside


def test_progress_counts_pairs(make):
    assert words.progress(make({}), JOBS) == "**39 of 39** trainings have scores. Pairs per contrast: 3."
    (RunPaths("label_budget").per_image / "study_control_25_3_images.csv").unlink()
    ragged = words.progress(make({}, seeds=[1], arms=["distill_25"]), JOBS)
    assert ragged.startswith("**38 of 39** trainings have scores. Pairs per contrast: 2 to 3. Those with fewer than 3 ")


def test_an_arm_alone_has_no_contrast(make):
    study = make({}, seeds=[1], arms=["heavy_100"])
    assert words.progress(study, JOBS).endswith("No contrast has both of its arms yet.")
    assert said(study) == [
        "**Not yet to be told**: not every contrast that was named beforehand has 3 pairs of trainings."
    ]
