"""What notebook 15 says of its tables, made from them."""

from collections.abc import Hashable, Mapping
from itertools import pairwise
from typing import Any

from zdlib.models.garg.architecture import LEVELS
from zdlib.paper.label_free.judged import DENSE, wet_scenes
from zdlib.paper.label_free.stereo_tables import (
    MEAN_MAP,
    SUPERVISED,
    against,
    by_photometric_error,
    by_weather,
    costs,
    gains,
    pairs,
    per_level,
    roads,
    taught_by_pairs,
    told_twin,
)

GOAL = 0.6  # of the mean map's AbsRel
ASKED = 95  # % of the pairs, of every demand


def pairs_in_words() -> str:
    """Which demands the pairs meet."""
    last = pairs().iloc[-1]
    met = "met" if last["identity ≥ 3 × [%]"] >= ASKED else "missed"
    return (
        f"The least error lies at the true disparity in {last['least at 1 [%]']:.1f} % of the {last['pairs']} pairs. "
        f"There it is {last['× 1']:.3f} on average, at most 0.08 in {last['≤ 0.08 [%]']:.0f} % of them; without a "
        f"shift it is {last['identity'] / last['× 1']:.1f} times as large, at least three times in "
        f"{last['identity ≥ 3 × [%]']:.0f} %; this demand is {met}. "
        f"The right camera does not see {last['occluded [%]']:.1f} % of the left picture."
    )


def costs_in_words() -> str:
    """At which levels the loss prefers the mean map to the truth."""
    table = costs().set_index("level")
    lines = []
    for weight in ("0.01", "0.001"):
        ratio = table[f"truth / mean map, γ = {weight}"]
        wrong = [f"{level} (× {ratio[level]:.2f})" for level in ratio.index if ratio[level] >= 1]
        lines.append(f"γ = {weight}: " + (f"**at {', '.join(wrong)}**" if wrong else "at no level"))
    return "Where the mean map is the better solution of the loss than the truth: " + "; ".join(lines) + "."


def levels_in_words() -> str:
    """Of each network of several levels, from the coarsest to the finest, and where it does not improve."""
    lines = []
    for method, group in per_level().groupby("method", sort=False):
        if len(group) < 2:
            continue
        values = group.set_index("level")["abs_rel"]
        worse = [str(after) for before, after in pairwise(values.index) if values[after] >= values[before]]
        steps = " → ".join(f"{value:.3f}" for value in values)
        gained = f"no gain at {', '.join(worse)}" if worse else "every level gains"
        if len(values) < len(LEVELS):
            gained += f"; kept as it was at {values.index[-1]}, for later weights explained held-out pairs worse"
        lines.append(f"* *{method}*: AbsRel {steps}; {gained}")
    return "\n".join(lines)


def against_in_words(goal: float = GOAL) -> str:
    """How the best network that pairs taught stands between the mean map and those that were told."""
    table = against(DENSE).set_index("method")
    taught = table.loc[[name for name in taught_by_pairs().values() if name in table.index]]
    best = str(taught["abs_rel"].idxmin())
    row, mean = taught.loc[best], table.loc[MEAN_MAP]
    error = table["abs_rel"].to_dict()
    apart, share = row["abs_rel_high"] < mean["abs_rel_low"], row["AbsRel / mean map's"]
    return (
        f"Best of those that pairs taught: *{best}*, AbsRel {error[best]:.3f}, {share:.2f} of the mean map's "
        f"({'the intervals do not touch' if apart else 'the intervals overlap'}; the goal of {goal:g} is "
        f"{'reached' if share <= goal else 'missed'}); constant depth has "
        f"{error['constant depth']:.3f}, {SUPERVISED} {error[SUPERVISED]:.3f}."
    )


def weather_in_words(goal: float = GOAL) -> str:
    """The best arm on dry streets, there and on wet ones, beside its told twin."""
    table, names = {row["method"]: row for row in by_weather().to_dict("records")}, taught_by_pairs()
    overall = against(DENSE).set_index("method")["AbsRel / mean map's"].to_dict()
    arm = min((arm for arm in names if names[arm] in table), key=lambda arm: table[names[arm]]["dry"])
    row, twin, wet = table[names[arm]], told_twin(arm), len(wet_scenes())
    shares = row["dry / mean map's"], row["wet / mean map's"]
    text = (
        f"Best on dry streets of those that pairs taught: *{names[arm]}*, AbsRel {row['dry']:.3f}, {shares[0]:.2f} of "
        f"the mean map's there; on the {wet} wet clips it has {row['wet']:.3f}, {shares[1]:.1f} times the mean map's. "
        f"The goal of {goal:g} was set for all clips, where it has {overall[names[arm]]:.2f}; dry and wet were told "
        "apart after the scores had been seen."
    )
    if twin not in table:
        return text
    told = table[twin]
    return text + f" *{twin}* has {told['dry']:.3f} and {told['wet']:.3f}."


def roads_in_words(arm: str) -> str:
    """Whether the pictures bear out an arm where it calls a road far."""
    table = roads()
    rows = {row["street"]: row for row in table.to_dict("records") if row["method"] == taught_by_pairs()[arm]}
    lines = [
        f"{row['far']:.0f} % of the {street} road, where the photometric error is {row['error, found']:.3f} at its "
        f"disparity and {row['error, true']:.3f} at the true one"
        for street, row in rows.items()
    ]
    taught = [row for row in table.to_dict("records") if row["method"] in taught_by_pairs().values()]
    wet = [row for row in taught if row["street"] == "wet" and row["far"] > 0]
    better = sum(row["error, found"] < row["error, true"] for row in wet)
    return (
        f"*{taught_by_pairs()[arm]}* calls far: {'; '.join(lines)}. Of the {len(wet)} arms that pairs taught and that "
        f"call wet road far, {better} explain{'s' if better == 1 else ''} those pixels better than the truth does. "
        "These are the pixels that each got wrong, of one training each, without intervals."
    )


def occlusions_in_words(arm: str) -> str:
    """What the second camera does not see, and what that does to the error of an arm's first training."""
    table = by_photometric_error(arm).query("pixels > 0")
    total = table.groupby("place")["pixels"].sum()
    average = (table["disparity_error"] * table["pixels"]).groupby(table["place"]).sum() / total
    seen, hidden = "both cameras see", "occluded"
    best = table[table["place"] == seen].iloc[0]
    return (
        f"*{taught_by_pairs()[arm]}*: {average[seen]:.2f} pixels where both cameras see, {average[hidden]:.2f} in the "
        f"{100 * total[hidden] / total['all']:.1f} % that the right one does not. Even where the pictures agree best "
        f"(photometric error below {best['to']:g}) the disparity is off by {best['disparity_error']:.2f} pixels."
    )


def findings_in_words() -> str:
    """The best arm against the mean map and its told twin; and what each other loss, augmentation or budget changes."""
    table = against(DENSE).set_index("method")
    changes: dict[str, dict[str, dict[Hashable, Any]]] = {}
    for row in gains().to_dict("records"):
        changes.setdefault(str(row["step"]), {})[str(row["metric"])] = row
    names, errors = taught_by_pairs(), table["abs_rel"].to_dict()
    best = min((arm for arm in names if names[arm] in errors), key=lambda arm: errors[names[arm]])
    found = changes[f"{names[best]} − {MEAN_MAP}"]
    row, share = found["AbsRel"], errors[names[best]] / errors[MEAN_MAP]
    lines = [
        f"1. **Pairs teach depth in metres.** The best, *{names[best]}* ({_trainings(row)}), has AbsRel "
        f"{row['second']:.3f}, {share:.2f} of the mean depth map's, which needs no picture: a difference of "
        f"{_ends(row)}, in δ1 of {_ends(found['δ1'])} ({found['δ1']['verdict']}). The goal was {GOAL:g} of it."
    ]
    twin = told_twin(best)
    if twin in errors:
        error = errors[twin]
        reached = "reaches it" if error <= GOAL * errors[MEAN_MAP] else "misses that goal, too"
        lines[0] += f" Told the depth of the same pictures, the same kind of network has {error:.3f}, which {reached}."
    verdicts = [
        f"   * *{step}* ({_trainings(found['AbsRel'])}): "
        + ", ".join(f"{metric} {_ends(row)} ({row['verdict']})" for metric, row in found.items())
        for step, found in changes.items()
        if MEAN_MAP not in step and "told" not in step
    ]
    if verdicts:
        lines += [
            "2. **What differs between the arms**, which differ in network, loss, augmentation or steps:",
            *verdicts,
        ]
    return "\n".join(lines)


def _trainings(row: Mapping[Hashable, Any]) -> str:
    return f"{row['trainings']} training{'s' if row['trainings'] > 1 else ''}"


def _ends(row: Mapping[Hashable, Any]) -> str:
    return f"{row['difference']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]"
