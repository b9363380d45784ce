"""What notebook 16 says of its tables, made from them."""

import pandas as pd

from zdlib.paper.label_free.video_tables import (
    DIAGNOSES,
    STRAIGHT,
    ablation,
    by_training,
    effects,
    learning,
    of_ablation,
    poses,
    seeds,
    segmentation,
    signal,
    steps_of_ablation,
    study,
)

SHARE_LEARNT = 0.75  # of the constant's error, above which a training counts as not having learnt
MEAN_MAP, INVERSE_MAP, CONSTANT = "mean depth map", "mean inverse depth map", "constant depth"


def grid_in_words() -> str:
    """Which trainings there are, and which the profile names and nobody has run."""
    there, arms = seeds(), study().arms
    done = [f"*{arms[arm].title}* ({len(numbers)} of {len(arms[arm].seeds)})" for arm, numbers in there.items()]
    missing = [f"*{config.title}*" for arm, config in arms.items() if arm not in there]
    text = f"**Trainings judged**, of the seeds that the profile names: {'; '.join(done)}."
    return text + (f" Not run: {', '.join(missing)}." if missing else "")


def signal_in_words() -> str:
    """How much the loss would gain by the truth, and at how many pixels."""
    lines = []
    for size, rows in signal().groupby("size", sort=False):
        table = rows.set_index("depth")
        truth, mean, constant = (table.loc[name] for name in ("the truth", MEAN_MAP, CONSTANT))
        cost = table["error, auto-mask"].map("{:.3f}".format)
        lines.append(
            f"At {size}, without a warp the {table['clips'].iloc[0]} moving clips have an error of "
            f"{truth['error, no warp']:.3f}; with the true motion, constant depth has {cost[CONSTANT]}, the mean map "
            f"{cost[MEAN_MAP]}, the truth {cost['the truth']}. The auto-mask leaves {truth['share']:.0f} % of "
            f"the pixels to the truth, {mean['share']:.0f} % to the mean map, {constant['share']:.0f} % to a constant."
        )
    return " ".join(lines)


def consistency_in_words() -> str:
    """From which weight on the consistency loss is lower at a constant than it is worth to know the truth."""
    table = signal()
    rows = table[table["size"] == table["size"].iloc[0]].set_index("depth")
    truth, mean, constant = (rows.loc[name] for name in ("the truth", MEAN_MAP, CONSTANT))
    gain = constant["error, auto-mask"] - truth["error, auto-mask"]
    return (
        f"The consistency loss is {constant['consistency']:.1f} at a constant, {mean['consistency']:.1f} at the mean "
        f"map and {truth['consistency']:.1f} at the truth, whose objects have shape and hide each other. To "
        f"reprojection the truth is worth {gain:.3f} against a constant; so with a weight above "
        f"{gain / truth['consistency']:.4f} both losses together are lower at a constant than at the truth. That "
        "compares two maps, and forecasts no training."
    )


def learning_in_words() -> str:
    """Which of the starts learns."""
    table, arms = learning(), study().arms
    lines = []
    for arm in ("depth_only", *DIAGNOSES):
        rows = table[table["method"] == arms[arm].title]
        if rows.empty:
            continue
        first, last = rows.iloc[0], rows.iloc[-1]
        fall = last["reprojection"] / first["reprojection"] - 1
        lines.append(
            f"* *{arms[arm].title}*: from the first to the last epoch the reprojection error changes by "
            f"{100 * fall:+.0f} %, AbsRel from {first['abs_rel']:.3f} to {last['abs_rel']:.3f}"
        )
    return "\n".join(lines)


def ablation_in_words() -> str:
    """How the networks stand between the constant and the mean map."""
    table, arms = ablation().set_index("method"), study().arms
    ours = table.loc[[arms[arm].title for arm in steps_of_ablation()]]
    errors = ours["abs_rel"].to_dict()
    best, constant, mean = str(ours["abs_rel"].idxmin()), table.loc[CONSTANT], table.loc[MEAN_MAP]
    inverse = table.loc[INVERSE_MAP]
    apart = ours.loc[best, "abs_rel_high"] < constant["abs_rel_low"]
    below = (ours["abs_rel"] < constant["abs_rel"]).sum()
    share = float(ours["AbsRel / mean map's"].loc[best])
    intervals = "the intervals do not touch" if apart else "the intervals overlap"
    return (
        f"Median-scaled, the best is *{best}*: AbsRel {errors[best]:.3f}, {errors[best] / constant['abs_rel']:.2f} of "
        f"the constant's {constant['abs_rel']:.3f} ({intervals}) and {share:.2f} of the mean map's "
        f"{mean['abs_rel']:.3f}. Arms below the constant: {below} of {len(ours)}; below the mean map, which needs "
        f"no picture: {(ours['abs_rel'] < mean['abs_rel']).sum()}; below the mean inverse depth map's "
        f"{inverse['abs_rel']:.3f}, which needs none either: {(ours['abs_rel'] < inverse['abs_rel']).sum()}. In δ1 "
        f"{(ours['delta1'] > mean['delta1']).sum()} of them are above the mean depth map's {mean['delta1']:.3f}."
    )


def trainings_in_words() -> str:
    """Which trainings did not learn: those whose error is not clearly (`SHARE_LEARNT`) below the constant's."""
    table = by_training().set_index("method")
    constant = float(table.pop("constant").iloc[0])
    values = {seed: table[seed].dropna() for seed in table}
    single = [(arm, seed, error) for seed, errors in values.items() for arm, error in errors.items()]
    failed = [f"*{arm}*, {seed} ({value:.3f})" for arm, seed, value in single if value >= SHARE_LEARNT * constant]
    if not failed:
        return f"All {len(single)} trainings learnt: each is below {SHARE_LEARNT:g} of the constant's error."
    return (
        f"**{len(failed)} of these {len(single)} trainings did not learn depth** (AbsRel above {SHARE_LEARNT:g} of the "
        f"constant's {constant:.3f}): {', '.join(failed)}. The means below have them in, and intervals are as "
        "wide as that makes them."
    )


def effects_in_words() -> str:
    """One line per step of the ablation."""
    table, lines = of_ablation(effects()), []
    if table.empty:
        return "No two arms of one step have been trained with the same seed yet: no effect can be told."
    for step, rows in table.groupby("step", sort=False):
        main = rows.iloc[0]
        others = [
            f"{row.metric}: {row.verdict}" for row in rows.iloc[1:].itertuples() if "found" not in str(row.verdict)
        ]
        kept = f"; elsewhere {', '.join(others)}" if others else "; no effect found in the other columns"
        trainings = f"{main['trainings']} pair{'s' if main['trainings'] > 1 else ''}"
        certain = " (of these two networks)" if main["trainings"] == 1 and "found" not in main["verdict"] else ""
        lines.append(
            f"* *{step}* ({trainings}): AbsRel {main['difference']:+.3f} "
            f"({main['low']:+.3f} to {main['high']:+.3f}), {main['verdict']}{certain}{kept}"
        )
    return "\n".join(lines)


def poses_in_words() -> str:
    """The network's motion beside a camera that goes straight ahead."""
    table = poses().set_index("method")
    straight, ours = table.loc[STRAIGHT], table.drop(index=STRAIGHT)
    chosen = ours.loc[[study().arms[arm].title for arm in steps_of_ablation()]]
    lines = []
    for name, what in (("turn_error", "turn"), ("direction_error", "direction")):
        best, worst = chosen[name].min(), chosen[name].max()
        between = f"{best:.2f}°" if best == worst else f"{best:.2f}° to {worst:.2f}°"
        sides = "below" if worst < straight[name] else "above" if best > straight[name] else "on both sides of"
        lines.append(f"{what}: {between}, {sides} the {straight[name]:.2f}° of straight ahead")
    return "Between neighbouring frames the arms of the ablation err by, " + "; ".join(lines) + "."


def segmentation_in_words() -> str:
    """Whether the classes were learnt."""
    table = segmentation()
    if table.empty:
        return "No arm with segmentation has been judged yet."
    lines = [f"*{row['method']}* {row['miou']:.2f}" for row in table.to_dict("records")]
    return f"Mean intersection over union of the test frames: {', '.join(lines)}; from one labelled still per clip."


def quoted_in_words(quoted: pd.DataFrame) -> str:
    """What is unusual in the published rows."""
    rows = quoted[quoted["size"].eq("192×640")].set_index("method")
    ours, theirs = rows.loc["SGDEM r50"], rows.loc["SGDepth r18, full"]
    gained = 1 - ours["abs_rel"] / theirs["abs_rel"]
    return (
        f"SGDEM's AbsRel is {100 * gained:.0f} % below SGDepth's ({ours['abs_rel']:.3f} against "
        f"{theirs['abs_rel']:.3f}), while its δ1 is higher by only {ours['delta1'] - theirs['delta1']:.3f}. The two "
        "together are unusual, and the public code cannot settle it: its training script is missing, its consistency "
        "loss is identically 0, and by its own log the patch loss is 0 in most batches. These rows are not expected to "
        "be reproduced."
    )
