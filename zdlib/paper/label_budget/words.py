"""What the grid of profile `label_budget` shows, in sentences that are made from its numbers (Markdown)."""

from collections.abc import Sequence

import pandas as pd

from zdlib.paper.domains.study import Study
from zdlib.paper.label_budget.effects import (
    ENOUGH,
    Contrast,
    Effect,
    corrected,
    costs,
    effect,
    growth,
    segmentation,
)
from zdlib.paper.label_budget.tables import EDGES, EVERY, power

Judged = tuple[Contrast, Effect]


def progress(study: Study, jobs: int) -> str:
    """How much of the grid there is, and what follows from that."""
    ended = f"**{jobs - len(study.missing)} of {jobs}** trainings have scores."
    pairs = [one.seeds for _, one in _judged(study, study.data[0], segmentation(study))]
    if not pairs:
        return f"{ended} No contrast has both of its arms yet."
    if max(pairs) < ENOUGH:
        return (
            f"{ended} Contrasts have {_counted(max(pairs), 'pair')} at most: too few for an interval, so that what "
            f"follows are single differences, of which nothing can be said. Intervals begin at {ENOUGH} pairs."
        )
    some = f" Those with fewer than {ENOUGH} pairs are shown without interval." if min(pairs) < ENOUGH else ""
    least, most = min(pairs), max(pairs)
    return f"{ended} Pairs per contrast: {most if least == most else f'{least} to {most}'}.{some}"


def verdict(study: Study, data: str) -> str:
    """The answer in one sentence: what the contrasts that were named beforehand say.

    Args:
        study: the trainings.
        data: title of the data set that was named, too.
    """
    p = corrected(study, data)
    if not p:
        return f"**Not yet to be told**: not every contrast that was named beforehand has {ENOUGH} pairs of trainings."
    said = {c.name: one.verdict(True, p[c.name]) for c, one in _judged(study, data, segmentation(study)) if c.in_family}
    where = "where frames are fewest"
    counted = {word: sum(verdict.startswith(word) for verdict in said.values()) for word in ("helps", "hurts")}
    told = " and ".join(f"{word} in {count} of {len(said)} contrasts" for word, count in counted.items() if count)
    if told:
        headline = f"Segmentation {told} {where}"
    elif all(word.startswith("no effect") for word in said.values()):
        headline = f"No effect beyond ±{study.config.margin:g} of δ1 {where}"
    else:
        headline = f"No effect that these trainings can tell from chance {where}"
    return f"**{headline}** ({'; '.join(f'{name}: {word}' for name, word in said.items())})."


def findings(study: Study, data: str, at_edges: pd.DataFrame) -> list[str]:
    """The verdict, and a sentence each on the rest, growth, size beside other losses, edges, and power.

    Args:
        study: the trainings.
        data: title of the data set that the tests were named for.
        at_edges: `zdlib.paper.label_budget.tables.edges`.
    """
    p = corrected(study, data)
    judged = _judged(study, data, segmentation(study))
    sentences = [f"{verdict(study, data)} {_in_numbers(judged, p)}".rstrip()]
    rest = [(c, one) for c, one in judged if not c.in_family]
    if rest:
        sentences.append(f"**Other contrasts** (exploratory; δ1, {data}). {_by_verdict(rest)}.")
    grown = [(c, one) for c, one in _judged(study, data, growth(study)) if one.seeds >= ENOUGH]
    if grown:
        told = [f"{c.name} {_numbers(one)}" for c, one in grown if one.sign]
        sentences.append(
            "**Does it help more with fewer frames, or without ImageNet weights?** "
            + (f"Intervals leave out zero for: {_listed(told)}" if told else "No difference of two effects can be told")
            + f" ({_counted(len(grown), 'difference')} of differences, exploratory)."
        )
    beside = _judged(study, data, costs(study))
    if judged and beside:
        sentences.append(_beside(judged, beside))
    told_apart = at_edges[at_edges["pairs"] >= ENOUGH]
    if len(told_apart):
        sentences.append(_at_edges(told_apart))
    table = power(study, data)
    if len(table):
        least = table.iloc[0]
        sentences.append(
            f"**What could have been missed**: single differences have a standard deviation of {least['sd']:.4f} "
            f"(median of the contrasts), with which {least['pairs']:.0f} pairs find an effect of "
            f"{least['detectable Δ of δ1']:.3f} with 80 % power, {table.iloc[2]['pairs']:.0f} pairs one of "
            f"{table.iloc[2]['detectable Δ of δ1']:.3f}."
        )
    return sentences


def _judged(study: Study, data: str, contrasts: Sequence[Contrast]) -> list[Judged]:
    effects = [(c, effect(study, c.signs, data, "delta1")) for c in contrasts]
    return [(c, one) for c, one in effects if one is not None]


def _in_numbers(judged: Sequence[Judged], p: dict[str, float]) -> str:
    """The family's numbers."""
    parts = [
        f"{c.name}: δ1 {_numbers(one)}"
        + (f", p = {p[c.name]:.2f} after Holm, equivalence p = {one.p_equivalence:.2f}" if p else "")
        for c, one in judged
        if c.in_family
    ]
    return f"{'; '.join(parts)}." if parts else ""


def _by_verdict(judged: Sequence[Judged]) -> str:
    """Contrasts under what may be said of them."""
    words: dict[str, list[str]] = {}
    for contrast, one in judged:
        words.setdefault(one.verdict(True), []).append(f"{contrast.name} {_numbers(one)}")
    return ". ".join(f"*{word}*: {_listed(names)}" for word, names in words.items())


def _beside(judged: Sequence[Judged], beside: Sequence[Judged]) -> str:
    """The size of segmentation's effects beside that of the costs."""
    largest, one = max(judged, key=lambda pair: abs(pair[1].mean))
    kinds: dict[str, list[Judged]] = {}
    ends = (min(c.condition.share for c, _ in beside), 1.0)
    beside = [(c, cost) for c, cost in beside if c.condition.share in ends]
    for contrast, cost in beside:
        kinds.setdefault(contrast.kind, []).append((contrast, cost))
    parts = [
        f"*{kind}*: " + _listed([f"{c.name} {_numbers(cost)}" for c, cost in rows]) for kind, rows in kinds.items()
    ]
    larger = sum(abs(cost.mean) > abs(one.mean) for _, cost in beside)
    return (
        f"**Beside other losses** (δ1, without segmentation). {'. '.join(parts)}. The largest difference that comes "
        f"with segmentation is {one.mean:+z.4f} ({largest.name}); {larger} of these {len(beside)} are larger in size."
    )


def _at_edges(table: pd.DataFrame) -> str:
    """What the table of edges says, and whether its metrics can move."""
    intervals = [
        f"{column.removeprefix('Δ ')} at {row['frames']}{'' if row['ImageNet'] else ', no ImageNet'}, w = {row['w']} "
        f"({row[column]:+z.3f})"
        for row in table.to_dict("records")
        for column in EDGES
        if row[f"{column}_low"] > 0 or row[f"{column}_high"] < 0
    ]
    score = table["boundary F1, without"]
    told = f"intervals leave out zero for {_listed(intervals)}" if intervals else "no interval leaves out zero"
    return (
        f"**At depth edges** (exploratory, {len(table) * len(EDGES)} differences, of which one in twenty would miss "
        f"zero by chance): {told}. Without segmentation boundary F1 is {score.min():.3f} to {score.max():.3f}."
    )


def edges_by_scale(table: pd.DataFrame) -> str:
    """What F1 can show at each stride, and whether segmentation changes it.

    Args:
        table: `zdlib.paper.label_budget.tables.edge_scales`.
    """
    truth, ours = table.iloc[0], table.iloc[1:]
    lines = []
    for name in EVERY.values():
        values, change = ours[f"F1, {name}"], f"Δ F1, {name}"
        told = [
            f"{row['frames']}{'' if row['ImageNet'] else ', no ImageNet'}, w = {row['w']} ({row[change]:+z.3f})"
            for row in ours.to_dict("records")
            if row[f"{change}_low"] > 0 or row[f"{change}_high"] < 0
        ]
        lines.append(
            f"* *{name}*: the truth at the network's size {truth[f'F1, {name}']:.3f}, networks without segmentation "
            f"{values.min():.3f} to {values.max():.3f}; intervals of the difference leave out zero for "
            f"{_listed(told) if told else 'no contrast'}"
        )
    return "\n".join(lines)


def _numbers(one: Effect) -> str:
    """`+0.0031 [-0.0100, +0.0162]`, or the difference alone."""
    if one.seeds < ENOUGH:
        return f"{one.mean:+z.4f} ({_counted(one.seeds, 'pair')})"
    return f"{one.mean:+z.4f} [{one.low:+z.4f}, {one.high:+z.4f}]"


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _listed(names: Sequence[str]) -> str:
    return "; ".join(names)
