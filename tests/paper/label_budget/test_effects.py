"""Effects, seed by seed, on scores whose effects are known; verdicts; what profile `label_budget` holds equal."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

from zdlib.config import load_profile
from zdlib.data.rooms.store import open_store
from zdlib.data.sample import Sample
from zdlib.data.sets.nyu import Splits
from zdlib.metrics.trials import holm
from zdlib.paper.label_budget import effects
from zdlib.paper.label_budget.effects import Condition, Effect
from zdlib.paths import repo_root
from zdlib.recipes import RECIPES
from zdlib.train.methods.label_study import METHOD
from zdlib.train.split import RunFrames, frame_roles

PROFILE = load_profile("label_budget")
ARMS = PROFILE.study.arms


def test_conditions_are_those_of_the_profile():
    assert effects.condition(ARMS["distill_25"]) == Condition(0.25, True, 0.1)
    assert effects.condition(ARMS["bare_control_50"]) == Condition(0.5, False, 0.0)
    assert effects.condition(ARMS["heavy_100"]).name == "100 %, w = 1"
    assert effects.condition(ARMS["bare_distill_25"]).name == "25 %, no ImageNet"
    assert effects.budget(PROFILE) == (
        "32 epochs of 25 %, 16 epochs of 50 %, 8 epochs of 100 % of the frames, in batches of 8 at 96×128"
    )


@dataclass(frozen=True)
class Names:
    """A reader of the rooms' scenes with pictures of four pixels."""

    scenes: list[str] = field(default_factory=list)
    random_access: bool = True

    def __len__(self) -> int:
        return len(self.scenes)

    def __getitem__(self, index: int, /) -> Sample:
        return Sample(image=np.zeros((2, 2, 3), np.uint8), depth=np.ones((2, 2), np.float32), name=str(index))


def test_every_arm_takes_as_many_steps_and_shares_are_nested():
    """What notebook 17 says is held equal: 448 steps on 112, 224 or 448 frames, the two arms of a pair on the same."""
    rooms = open_store(repo_root() / "data/rooms/rooms_n.h5")
    parts = np.array(rooms.splits)
    official = Splits(np.flatnonzero(parts == "train"), np.flatnonzero(parts == "test"))
    roles = frame_roles(RECIPES["corrected"], official, list(rooms.scenes), PROFILE.train.validation_fraction)
    assert len(roles.selection) == 50
    frames, chosen = RunFrames(Names(list(rooms.scenes)), roles, Path()), {}
    for arm in ARMS:
        for seed in (1, 2, 3):
            job = PROFILE.job(f"{arm}_{seed}")
            feed = METHOD(job.model, job.train, job.runs[f"{arm}_{seed}"]).feed(frames, torch.Generator())
            assert len(feed.order) * job.train.epochs == 448
            chosen[arm, seed] = set(feed.items.indices.tolist())
    for seed in (1, 2, 3):
        sizes = [len(chosen[f"control_{share}", seed]) for share in (25, 50, 100)]
        assert sizes == [112, 224, 448]
        assert chosen["control_25", seed] < chosen["control_50", seed] < chosen["control_100", seed]
        for arm, against in PROFILE.study.pairs:
            assert chosen[arm, seed] == chosen[against, seed]


def test_what_is_compared(make):
    study = make({})
    compared = effects.segmentation(study)
    assert [tuple(c.signs) for c in compared] == PROFILE.study.pairs
    assert [c.name for c in compared if c.in_family] == ["25 %", "25 %, no ImageNet"]
    assert [(c.kind, c.name) for c in effects.costs(study)] == [
        ("fewer frames", "25 % instead of 100 %"),
        ("fewer frames", "50 % instead of 100 %"),
        ("fewer frames", "25 % instead of 100 %, no ImageNet"),
        ("fewer frames", "50 % instead of 100 %, no ImageNet"),
        ("no ImageNet", "25 %"),
        ("no ImageNet", "50 %"),
        ("no ImageNet", "100 %"),
    ]
    grown = {c.name: c.signs for c in effects.growth(study)}
    assert len(grown) == 7
    assert grown["25 % against 100 %"] == {"distill_25": 1, "control_25": -1, "distill_100": -1, "control_100": 1}
    assert list(grown["no ImageNet against ImageNet, 50 %"]) == [
        "bare_distill_50", "bare_control_50", "distill_50", "control_50",
    ]  # fmt: skip


def test_effects_are_those_that_were_put_in(make):
    study = make({"distill_25": 0.02, "bare_distill_25": 0.05})
    named = {(c.kind, c.name): c.signs for f in (effects.segmentation, effects.costs, effects.growth) for c in f(study)}
    expected = {
        ("segmentation", "25 %"): 0.02,
        ("segmentation", "25 %, no ImageNet"): 0.05,
        ("segmentation", "100 %"): 0.0,
        ("fewer frames", "25 % instead of 100 %"): -0.08,
        ("no ImageNet", "50 %"): -0.2,
        ("growth", "25 % against 100 %"): 0.02,
        ("growth", "no ImageNet against ImageNet, 25 %"): 0.03,
    }
    for key, value in expected.items():
        one = effects.effect(study, named[key], "Rooms-N", "delta1")
        assert one.mean == pytest.approx(value, abs=1.5e-3)
        assert list(one.per_seed) == [1, 2, 3]
        assert one.mean == pytest.approx(np.mean(list(one.per_seed.values())))
        error = effects.effect(study, named[key], "Rooms-N", "abs_rel")
        assert error.mean == pytest.approx(-one.mean / 2)


def test_intervals_and_tests_are_student_s(make):
    study = make({"distill_25": 0.02}, noise=0.01)
    one = effects.effect(study, {"distill_25": 1, "control_25": -1}, "Rooms-N", "delta1")
    values = np.array(list(one.per_seed.values()))
    half = 4.302653 * values.std(ddof=1) / np.sqrt(3)
    assert (one.low, one.high) == (pytest.approx(one.mean - half), pytest.approx(one.mean + half))
    assert one.p == pytest.approx(stats.ttest_1samp(values, 0).pvalue)
    # All scenes gain alike, so that resampling scenes adds nothing to seeds.
    assert values.min() - 1e-9 <= one.joint_low < one.joint_high <= values.max() + 1e-9


def test_one_or_two_seeds_have_no_interval(make):
    study = make({"distill_25": 0.02}, seeds=[1, 2])
    signs = {"distill_25": 1, "control_25": -1}
    two = effects.effect(study, signs, "Rooms-N", "delta1")
    assert two.mean == pytest.approx(0.02, abs=1e-3)
    assert np.isnan([two.low, two.high, two.joint_low, two.joint_high, two.p, two.p_equivalence]).all()
    assert two.verdict(True) == "cannot be told (2 pairs)"
    assert effects.corrected(study, "Rooms-N") == {}
    ragged = make({"distill_25": 0.02}, seeds=[3], arms=["distill_25"])
    assert ragged.config.arms["distill_25"].seeds == [1, 2, 3]
    assert list(effects.effect(ragged, signs, "Rooms-N", "delta1").per_seed) == [1, 2]


def test_arms_without_a_common_seed_are_not_compared(make):
    make({}, seeds=[1], arms=["distill_25", "distill_100", "control_100"])
    study = make({}, seeds=[2], arms=["control_25"])
    assert [c.name for c in effects.segmentation(study)] == ["100 %"]
    assert effects.effect(study, {"distill_25": 1, "control_25": -1}, "Rooms-N", "delta1") is None
    assert effects.costs(study) == effects.growth(study) == []


def effect(low, high, *, joint=None, p=0.01, equivalence=0.5, seeds=3):
    mean = (low + high) / 2
    ends = joint or (low, high)
    return Effect(dict.fromkeys(range(seeds), mean), mean, low, high, *ends, p, equivalence)


@pytest.mark.parametrize(
    ("one", "p", "said"),
    [
        (effect(0.01, 0.03), None, "helps"),
        (effect(-0.03, -0.01), None, "hurts"),
        (effect(0.001, 0.003, equivalence=0.001), None, "helps, within the margin"),
        (effect(-0.003, 0.003, p=0.8, equivalence=0.001), None, "no effect within the margin"),
        (effect(-0.02, 0.03, p=0.5), None, "cannot be told"),
        (effect(0.01, 0.03), 0.06, "cannot be told"),  # the correction counts
        (effect(0.01, 0.03, joint=(-0.001, 0.04)), None, "cannot be told"),  # other scenes count
        (effect(0.01, 0.03, seeds=1), None, "cannot be told (1 pair)"),
    ],
)
def test_verdicts(one, p, said):
    assert one.verdict(True, p) == said
    assert one.verdict(False, p) == {"helps": "hurts", "hurts": "helps"}.get(said, said.replace("helps", "hurts"))


def test_holm_is_over_the_whole_family(make):
    study = make({"distill_25": 0.004, "bare_distill_25": 0.05}, noise=0.002)
    p = effects.corrected(study, "Rooms-N")
    assert list(p) == ["25 %", "25 %, no ImageNet"]
    pairs = [{arm: 1, against: -1} for arm, against in PROFILE.study.family]
    single = [effects.effect(study, signs, "Rooms-N", "delta1").p for signs in pairs]
    assert list(p.values()) == holm(single)
    assert max(p.values()) > min(single)
    study.config.arms.pop("bare_distill_25")
    assert effects.corrected(study, "Rooms-N") == {}
