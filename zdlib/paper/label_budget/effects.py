"""Effects in the grid of profile `label_budget`: what segmentation, fewer frames and missing ImageNet weights do.

All of them are sums of scores with signs, taken seed by seed: two arms for a contrast, four for how an effect of one
condition differs from that of another. Arms of a seed see the same scenes and begin with the same first weights.

Its jobs leave per-image rows (`zdlib.paper.study_job`); a grid under way is one of as many seeds as there are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
import pandas as pd
from scipy import stats

from zdlib.config import Arm, Profile
from zdlib.metrics.trials import equivalence, holm
from zdlib.paper.domains.study import Study, joint, over_seeds

ENOUGH = 3  # seeds from which on an interval is stated: Student's of two is wider than anything it could be about
LEVEL = 0.05  # of tests
NONE = float("nan")
HIGHER_IS_BETTER = {"delta1": True, "abs_rel": False, "rmse": False}


@dataclass(frozen=True)
class Condition:
    """What training has to work with besides the segmentation branch.

    Attributes:
        share: of the training scenes, above 0 and at most 1.
        pretrained: whether the encoder begins with ImageNet weights.
        weight: of the segmentation losses; 0 without the branch.
    """

    share: float
    pretrained: bool
    weight: float

    @property
    def name(self) -> str:
        """`25 %`, `25 %, no ImageNet`, `100 %, w = 1`: the usual weights, 0 and 0.1, are not named."""
        parts = [f"{100 * self.share:.0f} %", "" if self.pretrained else "no ImageNet"]
        parts.append("" if self.weight in (0, 0.1) else f"w = {self.weight:g}")
        return ", ".join(part for part in parts if part)


def condition(arm: Arm) -> Condition:
    """What an arm of the profile trains with."""
    return Condition(arm.options.get("share", 1.0), arm.model.get("encoder_weights") != "none", arm.seg_weight)


@dataclass(frozen=True)
class Effect:
    """A difference of trainings in one metric on one data set.

    Attributes:
        per_seed: the difference of each seed's means over images, by seed.
        mean: over seeds.
        low, high: Student's 95 % interval over seeds; NaN below `ENOUGH` seeds, as what follows.
        joint_low, joint_high: the 95 % interval with seeds and scenes resampled; NaN where images are not given.
        p: of the two-sided t-test that goes with Student's interval.
        p_equivalence: of "at least as large as the margin" (`zdlib.metrics.trials.equivalence`).
    """

    per_seed: Mapping[int, float]
    mean: float
    low: float = NONE
    high: float = NONE
    joint_low: float = NONE
    joint_high: float = NONE
    p: float = NONE
    p_equivalence: float = NONE

    @property
    def seeds(self) -> int:
        """How many."""
        return len(self.per_seed)

    @property
    def sign(self) -> int:
        """+1 or -1 if both intervals lie above or below zero, else 0."""
        ends = [self.low, self.high, *(e for e in (self.joint_low, self.joint_high) if np.isfinite(e))]
        return int(min(ends) > 0) - int(max(ends) < 0)

    def verdict(self, higher_is_better: bool, p: float | None = None) -> str:
        """What may be said of it: `helps`, `hurts`, `no effect within the margin` or `cannot be told`.

        It helps or hurts if both intervals lie on that side of zero and the test agrees; if the difference is shown to
        lie within the margin as well, that is added.

        Args:
            higher_is_better: of the metric.
            p: of the test, after the correction for its family; default: uncorrected.
        """
        if self.seeds < ENOUGH:
            return f"cannot be told ({self.seeds} pair{'s' if self.seeds > 1 else ''})"
        small = self.p_equivalence < LEVEL
        if self.sign and (self.p if p is None else p) < LEVEL:
            word = "helps" if (self.sign > 0) == higher_is_better else "hurts"
            return f"{word}, within the margin" if small else word
        return "no effect within the margin" if small else "cannot be told"


def effect(study: Study, signs: Mapping[str, int], data: str, metric: str) -> Effect | None:
    """A sum of arms with signs, on the seeds that all of them have; None if there is no such seed.

    Args:
        study: the trainings.
        signs: +1 or -1 per arm.
        data: title of the data set.
        metric: column of the per-image rows.
    """
    if not common_seeds(study, list(signs)):
        return None
    table = sum(sign * study.values(arm, data, metric) for arm, sign in signs.items())
    assert isinstance(table, pd.DataFrame)
    table = table.dropna(how="all")
    low, high = joint(table)[1:] if len(table) >= ENOUGH else (NONE, NONE)
    return over_pairs(table.mean(axis=1), study.config.margin, low, high)


def over_pairs(per_seed: pd.Series, margin: float, joint_low: float = NONE, joint_high: float = NONE) -> Effect:
    """An effect from its differences by seed, with the interval over scenes where there is one."""
    values = per_seed.to_numpy(np.float64)
    by_seed = dict(zip(per_seed.index.tolist(), values.tolist(), strict=True))
    if len(values) < ENOUGH:
        return Effect(by_seed, float(values.mean()))
    mean, low, high = over_seeds(values)
    p = float(stats.ttest_1samp(values, 0.0).pvalue)
    return Effect(by_seed, mean, low, high, joint_low, joint_high, p, equivalence(values, margin).p_value)


def common_seeds(study: Study, arms: Sequence[str]) -> list[int]:
    """The seeds that all of some arms have scores of."""
    chosen = [set(study.config.arms[arm].seeds) if arm in study.config.arms else set() for arm in arms]
    return sorted(set.intersection(*chosen))


@dataclass(frozen=True)
class Contrast:
    """Something that is compared.

    Attributes:
        kind: `segmentation`, `fewer frames`, `no ImageNet` or `growth`.
        name: its row in tables and figures.
        condition: that of the arm which counts as the treatment.
        signs: +1 or -1 per arm.
        in_family: whether it was named for testing before the trainings.
    """

    kind: str
    name: str
    condition: Condition
    signs: Mapping[str, int]
    in_family: bool = False


def segmentation(study: Study) -> list[Contrast]:
    """With minus without segmentation: the profile's pairs, those that share a seed."""
    chosen = [(arm, against) for arm, against in study.config.pairs if common_seeds(study, (arm, against))]
    contrasts = []
    for arm, against in chosen:
        given = condition(study.config.arms[arm])
        named = (arm, against) in study.config.family
        contrasts.append(Contrast("segmentation", given.name, given, {arm: 1, against: -1}, named))
    return contrasts


def costs(study: Study) -> list[Contrast]:
    """What fewer frames, and no ImageNet weights, do by themselves: among the arms without segmentation."""
    plain = {condition(arm): name for name, arm in study.config.arms.items() if arm.seg_weight == 0}
    contrasts = []
    for given, arm in plain.items():
        if whole := plain.get(Condition(1.0, given.pretrained, 0.0)):
            name = f"{100 * given.share:.0f} % instead of 100 %" + ("" if given.pretrained else ", no ImageNet")
            contrasts.append(Contrast("fewer frames", name, given, {arm: 1, whole: -1}))
    for given, arm in plain.items():
        if (begun := plain.get(Condition(given.share, True, 0.0))) and not given.pretrained:
            contrasts.append(Contrast("no ImageNet", f"{100 * given.share:.0f} %", given, {arm: 1, begun: -1}))
    return [c for c in contrasts if len(c.signs) == 2 and common_seeds(study, list(c.signs))]


def growth(study: Study) -> list[Contrast]:
    """Where segmentation does more: the difference of two of its effects, seed by seed.

    A quarter (each smaller share) against all frames, with the same first weights; and without against with ImageNet
    weights, of the same share.
    """
    contrasts = []
    for one, other in permutations(segmentation(study), 2):
        few, many = one.condition, other.condition
        shares = f"{100 * few.share:.0f} % against {100 * many.share:.0f} %"
        signs = {**one.signs, **{arm: -sign for arm, sign in other.signs.items()}}
        if few.weight != many.weight or not common_seeds(study, list(signs)):
            continue
        if few.share < many.share == 1 and few.pretrained == many.pretrained:
            name = shares + ("" if few.pretrained else ", no ImageNet")
            contrasts.append(Contrast("growth", name, few, signs))
        elif few.share == many.share and many.pretrained and not few.pretrained:
            contrasts.append(Contrast("growth", f"no ImageNet against ImageNet, {100 * few.share:.0f} %", few, signs))
    return contrasts


def corrected(study: Study, data: str) -> dict[str, float]:
    """Holm's p-values of δ1 for the family that was named beforehand, by the contrast's name, in its order.

    Empty until every contrast of the family has `ENOUGH` pairs: a correction is one of the whole family.
    """
    contrasts = {tuple(c.signs): c for c in segmentation(study)}
    there = [contrasts[pair] for pair in study.config.family if pair in contrasts]
    named = [(c.name, effect(study, c.signs, data, "delta1")) for c in there]
    tested = {name: one.p for name, one in named if one is not None and one.seeds >= ENOUGH}
    if len(tested) < len(study.config.family):
        return {}
    return dict(zip(tested, holm(list(tested.values())), strict=True))


def budget(profile: Profile) -> str:
    """How long a training is, in words: epochs by share, batches, size."""
    assert profile.study is not None
    epochs = {
        condition(arm).share: arm.train.get("epochs", profile.train.epochs) for arm in profile.study.arms.values()
    }
    height, width = profile.model.input_size
    counted = [f"{number} epochs of {100 * share:.0f} %" for share, number in sorted(epochs.items())]
    return f"{', '.join(counted)} of the frames, in batches of {profile.train.batch_size} at {height}×{width}"
