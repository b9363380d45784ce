"""Tables of notebook 17: scores, differences with verdicts, what fewer frames and other first weights cost, edges."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from zdlib.config import Profile
from zdlib.paper import control_study
from zdlib.paper.domains.study import Study, over_seeds
from zdlib.paper.label_budget.edge_scales import STRIDES, TRUTH
from zdlib.paper.label_budget.effects import (
    ENOUGH,
    HIGHER_IS_BETTER,
    NONE,
    Condition,
    Contrast,
    Effect,
    condition,
    corrected,
    effect,
    over_pairs,
    segmentation,
)
from zdlib.paths import RunPaths

# Columns of `edges`: place and metric of the jobs' scores on iBims-1's layout.
EDGES = {
    "Δ δ1 at edges": ("at depth edges", "delta1"),
    "Δ δ1 away": ("away from them", "delta1"),
    "Δ DBE acc. [px]": ("geometry", "dbe_accuracy"),
    "Δ DBE comp. [px]": ("geometry", "dbe_completeness"),
    "Δ boundary F1": ("geometry", "boundary_f1"),
}
EVERY = {f"f1_{stride}": "every pixel" if stride == 1 else f"every {stride}th" for stride in STRIDES}
LIMITS = {"DBE acc. [px], without": "dbe_accuracy", "boundary F1, without": "boundary_f1"}
# Columns of tables that a grid under way leaves without rows.
_DIFFERENCES = ("frames", "ImageNet", "w", "contrast", "pairs", "delta1_change", "abs_rel_change", "verdict")
_COSTS = ("what", "contrast", "pairs", "delta1_change", "abs_rel_change", "rmse_change")
_EDGES = ("frames", "ImageNet", "w", "pairs", *EDGES, *LIMITS)
_FAMILY = ["frames", "pairs", "difference", "difference_low", "difference_high", "joint low", "joint high"]
_FAMILY += ["p, t, Holm", "p, sign flips, Holm", "p, equivalence", "sd", "sd_low", "sd_high"]


def trained(profile: Profile, study: Study) -> Profile:
    """The profile with the arms and seeds that have scores, for `zdlib.paper.control_study`."""
    return profile.model_copy(update={"study": study.config})


def long_scores(profile: Profile, study: Study, paths: RunPaths) -> pd.DataFrame:
    """The scores of every job that has ended, those of places and edges too: `control_study.load_scores`.

    Raises:
        ZDError: a job has left its per-image rows alone.
    """
    return control_study.load_scores(trained(profile, study), paths)


def scores(study: Study, values: pd.DataFrame, data: str) -> pd.DataFrame:
    """What each arm scores, means over seeds with Student's 95 % interval (from `ENOUGH` seeds on).

    Args:
        study: the trainings.
        values: `long_scores`, for the segmentation.
        data: title of the data set.

    Returns:
        One row per arm: `frames, ImageNet, w, seeds`, δ1, AbsRel and RMSE with their ends, `miou` (NaN where the arm
        does not segment, or the data set has no labels).
    """
    chosen = values[(values["data"] == data) & (values["metric"] == "miou")].groupby("arm")["value"].mean()
    rows = []
    for arm, config in study.config.arms.items():
        row = _given(condition(config)) | {"seeds": len(config.seeds)}
        for metric in HIGHER_IS_BETTER:
            one = over_pairs(study.mean(arm, data, metric), study.config.margin)
            row |= {metric: one.mean, f"{metric}_low": one.low, f"{metric}_high": one.high}
        rows.append(row | {"miou": float(chosen.get(arm, float("nan")))})
    return pd.DataFrame(rows)


def differences(
    study: Study, contrasts: Sequence[Contrast], data: str, p: Mapping[str, float] | None = None
) -> pd.DataFrame:
    """Contrasts on one data set, each with its verdict by δ1.

    Args:
        study: the trainings.
        contrasts: `segmentation` or `growth`.
        data: title of the data set.
        p: the family's p-values (`corrected`), on the data set that it was named for; default: all are exploratory.

    Returns:
        One row per contrast: `frames, ImageNet, w` of its treatment, `contrast`, `pairs`, `delta1_change` with
        Student's ends, `joint low` and `joint high` (seeds and scenes), `p, equivalence`, `abs_rel_change` with
        Student's ends, `test` (`family` or `exploratory`; where `p` is given) and `verdict`.
    """
    rows = []
    for contrast in contrasts:
        depth, error = (_known(effect(study, contrast.signs, data, metric)) for metric in ("delta1", "abs_rel"))
        row = _given(contrast.condition) | {"contrast": contrast.name, "pairs": depth.seeds}
        row |= _interval("delta1_change", depth)
        row |= {"joint low": depth.joint_low, "joint high": depth.joint_high, "p, equivalence": depth.p_equivalence}
        row |= _interval("abs_rel_change", error)
        named = p is not None and contrast.in_family
        row |= {} if p is None else {"test": "family" if named else "exploratory"}
        rows.append(row | {"verdict": depth.verdict(True, (p or {}).get(contrast.name, 1.0) if named else None)})
    return _framed(rows, _DIFFERENCES)


def family(profile: Profile, study: Study, values: pd.DataFrame) -> pd.DataFrame:
    """The tests that were named beforehand (`control_study.family_contrasts`), with Student's p-values beside.

    No row until every contrast of the family has `ENOUGH` pairs.
    """
    data = profile.data.nyu.title
    p = corrected(study, data)
    if not p:
        return pd.DataFrame(columns=_FAMILY)
    table = control_study.family_contrasts(trained(profile, study), values, study.images)
    table = table.rename(columns={"p, Holm": "p, sign flips, Holm"})
    table["frames"], table["p, t, Holm"] = list(p), list(p.values())
    return table[_FAMILY]


def cost_table(study: Study, contrasts: Sequence[Contrast], data: str) -> pd.DataFrame:
    """What is lost with less to train on, without segmentation.

    Args:
        study: the trainings.
        contrasts: `zdlib.paper.label_budget.effects.costs`.
        data: title of the data set.

    Returns:
        One row per contrast: `what`, `contrast`, `pairs`, and the changes of δ1, AbsRel and RMSE with Student's ends.
    """
    rows = []
    for contrast in contrasts:
        changes = {metric: _known(effect(study, contrast.signs, data, metric)) for metric in HIGHER_IS_BETTER}
        row: dict[str, Any] = {"what": contrast.kind, "contrast": contrast.name, "pairs": changes["delta1"].seeds}
        for metric, change in changes.items():
            row |= _interval(f"{metric}_change", change)
        rows.append(row)
    return _framed(rows, _COSTS)


def edges(study: Study, values: pd.DataFrame, data: str) -> pd.DataFrame:
    """Segmentation's effect near depth edges, away from them, and on iBims-1's metrics of edges.

    Args:
        study: the trainings.
        values: `long_scores`.
        data: title of the data set in iBims-1's layout.

    Returns:
        One row per contrast: `frames, ImageNet, w, pairs`, the columns of `EDGES` with Student's ends, and those of
        `LIMITS`: means of the arm without segmentation, which tell whether a metric stands at its limit.
    """
    wide = values[values["data"] == data].pivot(index="seed", columns=["arm", "where", "metric"], values="value")
    rows = []
    for contrast in segmentation(study):
        arm, against = contrast.signs
        row = _given(contrast.condition)
        for column, (where, metric) in EDGES.items():
            change = over_pairs((wide[arm, where, metric] - wide[against, where, metric]).dropna(), study.config.margin)
            row |= {"pairs": change.seeds} | _interval(column, change)
        rows.append(row | {column: wide[against, "geometry", metric].mean() for column, metric in LIMITS.items()})
    return _framed(rows, _EDGES)


def edge_scales(study: Study, rows: pd.DataFrame) -> pd.DataFrame:
    """Boundary F1 with minus without segmentation, of pixels that lie further and further apart.

    Args:
        study: the trainings.
        rows: `zdlib.paper.label_budget.edge_scales.load`.

    Returns:
        First what the truth has at the network's size, then a row per contrast: `frames, ImageNet, w, pairs`, and of
        each stride the difference with Student's ends (`Δ F1, every 4th`) and the mean of the arm without segmentation.
    """
    truth = rows[rows["arm"] == TRUTH].iloc[0]
    table: list[dict[str, Any]] = [{"frames": TRUTH} | {f"F1, {name}": truth[f1] for f1, name in EVERY.items()}]
    for contrast in segmentation(study):
        arm, against = (rows[rows["arm"] == arm].set_index("seed") for arm in contrast.signs)
        row = _given(contrast.condition)
        for column, name in EVERY.items():
            change = (arm[column] - against[column]).dropna()
            if change.empty:
                continue
            # All differences may be equal, where no map has an edge: no test is made of them.
            values = change.to_numpy(np.float64)
            mean, low, high = over_seeds(values) if len(values) >= ENOUGH else (float(values.mean()), NONE, NONE)
            row |= {"pairs": len(values), f"F1, {name}": against[column].mean()}
            row |= {f"Δ F1, {name}": mean, f"Δ F1, {name}_low": low, f"Δ F1, {name}_high": high}
        table.append(row)
    return pd.DataFrame(table)


def power(study: Study, data: str, pairs: Sequence[int] = (3, 6, 12, 24)) -> pd.DataFrame:
    """The smallest effect on δ1 that so many pairs find with 80 % power (`control_study.detectable_difference`).

    Args:
        study: the trainings; the standard deviation is the median over the contrasts with `ENOUGH` pairs. Without such
            a contrast, no row.
        data: title of the data set.
        pairs: how many.

    Returns:
        `pairs, sd, detectable Δ of δ1`.
    """
    effects = [_known(effect(study, c.signs, data, "delta1")) for c in segmentation(study)]
    spread = pd.Series([pd.Series(e.per_seed).std() for e in effects if e.seeds >= ENOUGH], dtype=float)
    if spread.empty:
        return pd.DataFrame(columns=["pairs", "sd", "detectable Δ of δ1"])
    table = control_study.detectable_difference(float(spread.median()), pairs)
    table.insert(1, "sd", float(spread.median()))
    return table.rename(columns={"detectable": "detectable Δ of δ1"})


def _framed(rows: list[dict[str, Any]], columns: Sequence[str]) -> pd.DataFrame:
    """A table of rows; without any, of the columns alone."""
    return pd.DataFrame(rows) if rows else pd.DataFrame(columns=list(columns))


def _known(one: Effect | None) -> Effect:
    """An effect of a contrast: those without a common seed are never listed."""
    assert one is not None
    return one


def _given(given: Condition) -> dict[str, Any]:
    return {
        "frames": f"{100 * given.share:.0f} %",
        "ImageNet": given.pretrained,
        "w": f"{given.weight:g}",
    }


def _interval(name: str, one: Effect) -> dict[str, float]:
    return {name: one.mean, f"{name}_low": one.low, f"{name}_high": one.high}
