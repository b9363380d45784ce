"""What notebook 15 says of its tables, made from them."""

from collections.abc import Hashable, Mapping
from itertools import pairwise
from typing import Any

from zdlib.paper.label_free.judged import DENSE
from zdlib.paper.label_free.stereo_tables import (
    MEAN_MAP,
    SUPERVISED,
    against,
    by_photometric_error,
    costs,
    gains,
    pairs,
    per_level,
    taught_by_pairs,
    told_twins,
)

GOAL = 0.6  # of the mean map's AbsRel
STEP = "second − first"


def pairs_in_words() -> str:
    """Which demands the pairs meet."""
    last = pairs().iloc[-1]
    return (
        f"The least error lies at the true disparity in {last['least at 1 [%]']:.1f} % of the {last['pairs']} pairs. "
        f"There it is {last['× 1']:.3f} on average, at most 0.08 in {last['≤ 0.08 [%]']:.0f} % of them; without a "
        f"shift it is {last['identity'] / last['× 1']:.1f} times as large, at least three times in "
        f"{last['identity ≥ 3 × [%]']:.0f} %. "
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


def occlusions_in_words(method: str) -> str:
    """What the second camera does not see, and what that does to the error."""
    table = by_photometric_error(method).query("pixels > 0")
    total = table.groupby("place")["pixels"].sum()
    average = (table["disparity_error"] * table["pixels"]).groupby(table["place"]).sum() / total
    seen, hidden = "both cameras see", "occluded"
    best = table[table["place"] == seen].iloc[0]
    return (
        f"*{method}*: {average[seen]:.2f} pixels where both cameras see, {average[hidden]:.2f} in the "
        f"{100 * total[hidden] / total['all']:.1f} % that the right one does not. Even where the pictures agree best "
        f"(photometric error below {best['to']:g}) the disparity is off by {best['disparity_error']:.2f} pixels."
    )


def findings_in_words() -> str:
    """The best network against the mean map and its told twin; and what each other loss or augmentation changes."""
    table = against(DENSE).set_index("method")
    changes = {str(row[STEP]): row for row in gains().query("metric == 'abs_rel'").to_dict("records")}
    names, errors = taught_by_pairs(), table["abs_rel"].to_dict()
    best = min((key for key in names if names[key] in errors), key=lambda key: errors[names[key]])
    row = changes[f"{names[best]} − {MEAN_MAP}"]
    share = errors[names[best]] / errors[MEAN_MAP]
    lines = [
        f"1. **Pairs alone teach depth in metres.** *{names[best]}* has AbsRel {row['second']:.3f}, "
        f"{share:.2f} of the mean depth map's, which needs no picture: a difference of {_ends(row)}. The goal was "
        f"{GOAL:g} of it."
    ]
    twin = told_twins().get(best)
    if twin in errors:
        error = errors[twin]
        reached = "reaches it" if error <= GOAL * errors[MEAN_MAP] else "misses that goal, too"
        lines[0] += f" Told the depth of the same pictures, the same kind of network has {error:.3f}, which {reached}."
    verdicts = [
        f"*{step}*: AbsRel {_ends(change)}, {_verdict(change)}"
        for step, change in changes.items()
        if MEAN_MAP not in step and "told" not in step
    ]
    if verdicts:
        lines.append("2. **What losses and augmentation change**, one training each. " + "; ".join(verdicts) + ".")
    return "\n".join(lines)


def _ends(row: Mapping[Hashable, Any]) -> str:
    return f"{row['difference']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]"


def _verdict(row: Mapping[Hashable, Any]) -> str:
    if row["low"] <= 0 <= row["high"]:
        return "no effect found"
    return "better" if row["high"] < 0 else "worse"
