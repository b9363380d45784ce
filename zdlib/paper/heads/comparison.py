"""ZoeDepth's Table 5 in small: what the trainings of profile `heads` scored, beside the quoted numbers."""

from collections.abc import Mapping, Sequence
from itertools import combinations, permutations

import numpy as np
import pandas as pd
from jaxtyping import Float64
from scipy import stats

from zdlib.config import Arm, Profile
from zdlib.errors import ZDError
from zdlib.metrics.as_text import HEADERS
from zdlib.paper import control_study, published
from zdlib.paper.bin_centres import LEVELS
from zdlib.paper.heads.bins import Bins
from zdlib.paths import RunPaths

# Arm → the row of `published.csv` (study "head variants") that it stands for.
QUOTED = {
    "naive": "naive head",
    "splitter": "splitter, factor 2",
    "exponential": "exponential attractor {16,8,4,1}",
    "equal": "inverse attractor {8,8,8,8}",
    "ends": "inverse attractor {16,2,2,16}",
    "rising": "inverse attractor {1,4,8,16}",
    "inverse": "inverse attractor {16,8,4,1}",
    "softmax": "inverse attractor {16,8,4,1}, softmax for log-binomial",
}
TABLE_5 = [arm for arm in QUOTED if arm != "softmax"]  # which has no row there, but in the text
METRICS = ("abs_rel", "rmse")
LEVEL = 0.05  # of tests
_DIFFERENCES = ["arm", "data", "metric", "seeds", "difference", "difference_low", "difference_high", "sd", "p_value"]
_FAMILY = ["arm", "against", "pairs", "difference", "difference_low", "difference_high", "p, Holm", "p, equivalence"]
_FAMILY += ["joint low", "joint high", "sd", "sd_low", "sd_high"]
UNDECIDED = 0.8  # share of all bins: distributions that use more of them effectively do not choose


def ended(profile: Profile, paths: RunPaths) -> Profile:
    """The profile with as much of its study as has been trained: a grid under way is a study of what there is.

    Arms without scores are left out, and pairs of arms that share fewer than two seeds.

    Args:
        profile: of the study.
        paths: of its own run.

    Raises:
        ZDError: it has no study, or no training has ended.
    """
    if profile.study is None:
        raise ZDError(f"profiles/{profile.name}.yaml: has no study section: copy that of profiles/heads.yaml")
    arms = {}
    for arm, config in profile.study.arms.items():
        files = {seed: paths.per_image / f"study_{arm}_{seed}_images.csv" for seed in config.seeds}
        seeds = [seed for seed, file in files.items() if file.is_file()]
        if seeds:
            arms[arm] = config.model_copy(update={"seeds": seeds})
    if not arms:
        raise ZDError(f"{paths.per_image}: no scores: ./run_all.sh --profile {profile.name} makes them")
    pairs = [pair for pair in profile.study.pairs if _common_seeds(arms, pair)]
    family = [pair for pair in profile.study.family if pair in pairs]
    return profile.model_copy(
        update={"study": profile.study.model_copy(update={"arms": arms, "pairs": pairs, "family": family})}
    )


def budget(profile: Profile) -> str:
    """What every head was given, in words: epochs, data, size, batches, seeds."""
    assert profile.study is not None
    train, (height, width) = profile.train, profile.model.input_size
    seeds = sorted({len(arm.seeds) for arm in profile.study.arms.values()})
    counted = f"{seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else str(seeds[0])
    return (
        f"{train.epochs} epochs of {profile.data.nyu.title} at {height}×{width}, batches of {train.batch_size}, "
        f"{counted} seed{'s' if seeds[-1] > 1 else ''} per head"
    )


def _common_seeds(arms: Mapping[str, Arm], names: Sequence[str], least: int = 2) -> list[int]:
    """The seeds that all these arms have; none if there are fewer than `least`."""
    chosen = [set(arms[name].seeds) if name in arms else set() for name in names]
    common = sorted(set.intersection(*chosen))
    return common if len(common) >= least else []


def by_arm(profile: Profile, scores: pd.DataFrame, data: str, level: float = 0.95) -> pd.DataFrame:
    """Each head's mean over seeds, with its interval, and the number that the paper gives it.

    Args:
        profile: of the study.
        scores: of all its jobs (`zdlib.paper.control_study.load_scores`).
        data: title of the data set.
        level: of the intervals, Student's t over seeds.

    Returns:
        One row per arm in the order of Table 5: `head, seeds`, AbsRel and RMSE with `_low` and `_high`, and the quoted
        `AbsRel, NYU` and `RMSE, NYU [m]` (NaN where the paper has none).
    """
    assert profile.study is not None
    quoted = published.load("nyu", "head variants").set_index("method")
    rows = []
    for arm in [arm for arm in QUOTED if arm in profile.study.arms]:
        row: dict[str, object] = {"head": profile.study.arms[arm].title}
        for metric in METRICS:
            values = _values(scores, data, metric, [arm])[0]
            mean, low, high = _over_seeds(values, level)
            row |= {"seeds": len(values), metric: mean, f"{metric}_low": low, f"{metric}_high": high}
        row |= {
            "AbsRel, NYU": quoted.loc[QUOTED[arm], "abs_rel"],
            "RMSE, NYU [m]": quoted.loc[QUOTED[arm], "rmse"],
        }
        rows.append(row)
    return pd.DataFrame(rows)


def order(profile: Profile, scores: pd.DataFrame, data: str) -> pd.DataFrame:
    """Does the order of the heads agree with the paper's, and with itself from seed to seed?

    Spearman's rank correlation over the seven heads of Table 5.

    Returns:
        One row per metric: `metric, heads, seeds` (those that all heads have), `paper` (of the means over seeds and the
        quoted numbers) with its exact one-sided `p`, `paper, lowest seed` and `paper, highest seed` (of a single seed's
        trainings), and `two seeds`, the mean over pairs of seeds of the correlation between them: what can be expected
        at most (NaN with one seed).

    Raises:
        ZDError: no seed has been trained with all of them.
    """
    assert profile.study is not None
    quoted = published.load("nyu", "head variants").set_index("method")
    seeds = _common_seeds(profile.study.arms, TABLE_5, least=1)
    if not seeds:
        raise ZDError(f"profiles/{profile.name}.yaml: no seed has been trained with all heads of Table 5: train on")
    rows = []
    for metric in METRICS:
        values = np.array(_values(scores[scores["seed"].isin(seeds)], data, metric, TABLE_5))  # heads, seeds
        paper = quoted.loc[[QUOTED[arm] for arm in TABLE_5], metric].to_numpy(np.float64)
        single = [spearman(column, paper) for column in values.T]
        pairs = [spearman(values[:, a], values[:, b]) for a, b in combinations(range(values.shape[1]), 2)]
        rows.append(
            {
                "metric": metric,
                "heads": len(TABLE_5),
                "seeds": len(seeds),
                "paper": spearman(values.mean(1), paper),
                "p": permutation_p(values.mean(1), paper),
                "paper, lowest seed": min(single),
                "paper, highest seed": max(single),
                "two seeds": float(np.mean(pairs)) if pairs else float("nan"),
            }
        )
    return pd.DataFrame(rows)


def differences(profile: Profile, scores: pd.DataFrame) -> pd.DataFrame:
    """Each head minus the paper's choice over paired seeds (`control_study.compare_pairs`), over all pixels.

    Of a grid under way without a pair, no row.
    """
    assert profile.study is not None
    if not profile.study.pairs:
        return pd.DataFrame(columns=_DIFFERENCES)
    table = control_study.compare_pairs(profile, scores)
    return table[table["where"].eq("all pixels") & table["metric"].isin(["delta1", *METRICS])][_DIFFERENCES]


def family(profile: Profile, scores: pd.DataFrame, images: pd.DataFrame) -> pd.DataFrame:
    """The tests that were named before the trainings (`control_study.family_contrasts`); without a pair, no row."""
    assert profile.study is not None
    if not profile.study.family:
        return pd.DataFrame(columns=_FAMILY)
    return control_study.family_contrasts(profile, scores, images)[_FAMILY]


def power(compared: pd.DataFrame, data: str, pairs: Sequence[int] = (3, 6, 12, 24)) -> pd.DataFrame:
    """What so many pairs would find: `pairs, sd, detectable Δ of δ1` (`control_study.detectable_difference`).

    Args:
        compared: `differences`; the standard deviation is the median of δ1's contrasts. Without a pair, no row.
        data: title of the data set.
        pairs: how many.
    """
    of_data = compared[(compared["data"] == data) & (compared["metric"] == "delta1")]
    if of_data.empty:
        return pd.DataFrame(columns=["pairs", "sd", "detectable Δ of δ1"])
    sd = float(of_data["sd"].median())
    table = control_study.detectable_difference(sd, pairs).rename(columns={"detectable": "detectable Δ of δ1"})
    table.insert(1, "sd", sd)
    return table


def choice(profile: Profile, measured: pd.DataFrame, level: float = 0.95) -> pd.DataFrame:
    """How each head's pixels choose among bins, at depth edges and elsewhere: means over seeds with their intervals.

    Args:
        profile: of the study.
        measured: `zdlib.paper.heads.bins.Bins.choice`.
        level: of the intervals, Student's t over seeds.

    Returns:
        One row per head with bins and place: `head, where`, `effective bins` and `width [m]`, each with its ends.
    """
    assert profile.study is not None
    names = {"effective": "effective bins", "width": "width [m]"}
    rows = []
    for arm in [arm for arm in QUOTED if arm in set(measured["arm"])]:
        for where, group in measured[measured["arm"] == arm].groupby("where", sort=False):
            row: dict[str, object] = {"head": profile.study.arms[arm].title, "where": where}
            for column, name in names.items():
                mean, low, high = _over_seeds(group[column].to_numpy(np.float64), level)
                row |= {name: mean, f"{name}_low": low, f"{name}_high": high}
            rows.append(row)
    return pd.DataFrame(rows)


def _over_seeds(values: Float64[np.ndarray, " seeds"], level: float) -> tuple[float, float, float]:
    """Mean, and the ends of its interval by Student's t; of one training there is none (NaN)."""
    mean = float(values.mean())
    if len(values) < 2:
        return mean, float("nan"), float("nan")
    half = float(stats.t.ppf((1 + level) / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    return mean, mean - half, mean + half


def spearman(a: Float64[np.ndarray, " n"], b: Float64[np.ndarray, " n"]) -> float:
    """Rank correlation; ties take the middle of their ranks."""
    return float(np.corrcoef(stats.rankdata(a), stats.rankdata(b))[0, 1])


def permutation_p(a: Float64[np.ndarray, " n"], b: Float64[np.ndarray, " n"]) -> float:
    """Share of all orders of `a` that agree with `b` at least as well: an exact one-sided p-value for n ≤ 8."""
    ranks, others = stats.rankdata(a), stats.rankdata(b)
    orders = np.array(list(permutations(ranks)))
    agreement = orders @ others
    return float(np.mean(agreement >= ranks @ others - 1e-9))


def _values(scores: pd.DataFrame, data: str, metric: str, arms: Sequence[str]) -> list[Float64[np.ndarray, " seeds"]]:
    """A metric of each arm's trainings, in the order of their seeds."""
    chosen = scores[(scores["data"] == data) & (scores["where"] == "all pixels") & (scores["metric"] == metric)]
    return [chosen[chosen["arm"] == arm].sort_values("seed")["value"].to_numpy(np.float64) for arm in arms]


def findings(profile: Profile, tests: pd.DataFrame, ranks: pd.DataFrame, bins: Bins) -> list[str]:
    """What the tables say, one sentence each (Markdown): the tests, the order, and the bins.

    Args:
        profile: of the study.
        tests: `family`.
        ranks: `order`.
        bins: what was measured.
    """
    return [*_tests_in_words(profile, tests), _order_in_words(ranks), *_bins_in_words(profile, bins)]


def _tests_in_words(profile: Profile, tests: pd.DataFrame) -> list[str]:
    assert profile.study is not None
    if tests.empty:
        return ["No two heads share two seeds yet: of differences between heads **nothing can be said**."]
    reference, pairs = str(tests["against"].iloc[0]), int(tests["pairs"].min())
    smallest = 2 / 2**pairs
    told = tests.loc[tests["p, Holm"] < LEVEL, "arm"].tolist()
    if told:
        first = f"By the corrected tests δ1 of {_listed(told)} differs from that of *{reference}*."
    else:
        first = (
            f"By the corrected tests **no head can be told from *{reference}***"
            + (f"; with {pairs} pairs none could be, since no p is below {smallest:g}" if smallest > LEVEL else "")
            + "."
        )
    apart = tests[(tests["difference_low"] > 0) | (tests["difference_high"] < 0)]
    words = [f"{row['arm']} ({row['difference']:+.3f})" for row in apart.to_dict("records")]
    second = f"Intervals of Student's t, not corrected for {len(tests)} contrasts, "
    second += f"leave out zero for {_listed(words)}." if words else "contain zero for every head."
    same = tests.loc[tests["p, equivalence"] < LEVEL, "arm"].tolist()
    margin = f"±{profile.study.margin:g} of δ1"
    third = (
        f"Equivalent within {margin}: {_listed(same)}." if same else f"For none is equivalence within {margin} shown."
    )
    return [first, second, third]


def _order_in_words(ranks: pd.DataFrame) -> str:
    parts = [
        f"{HEADERS[row['metric']]}: ρ = {row['paper']:+.2f}, p = {row['p']:.2f}"
        + (f"; two of our seeds {row['two seeds']:+.2f}" if row["seeds"] > 1 else "")
        for row in ranks.to_dict("records")
    ]
    beyond = [HEADERS[row["metric"]] for row in ranks.to_dict("records") if row["p"] < LEVEL]
    verdict = f"in {' and '.join(beyond)}" if beyond else "in no metric"
    seeds = int(ranks["seeds"].iloc[0])
    counted = f"{seeds} seeds" if seeds > 1 else "one training each, as the paper's"
    return (
        f"Beyond chance the order of our heads agrees with the paper's **{verdict}** ({'; '.join(parts)}; {counted})."
    )


def _bins_in_words(profile: Profile, bins: Bins) -> list[str]:
    assert profile.study is not None
    titles = {arm: config.title for arm, config in profile.study.arms.items()}
    used = _means(bins.choice, "where", "effective")
    (least, _), low = min(used.items(), key=lambda item: item[1])
    (most, _), high = max(used.items(), key=lambda item: item[1])
    count = profile.model.n_bins
    first = (
        f"Of {count} bins a pixel uses effectively between {low:.1f} ({titles[least]}) and {high:.1f} ({titles[most]})"
    )
    if low > UNDECIDED * count:
        first += (
            ": **the distributions hardly choose**. Depth is then little else than the mean of all centres, a number "
            "that any head can give, and how centres are moved matters little."
        )
    else:
        first += "."
    change = max(abs(used[arm, "edge"] / used[arm, "elsewhere"] - 1) for arm, _ in used)
    second = f"At depth edges the effective number of bins differs from that elsewhere by at most {100 * change:.0f} %."
    spread = _means(bins.levels, "level", "spread")
    moved = {
        arm: abs(spread[arm, LEVELS[-1]] / spread[arm, LEVELS[0]] - 1)
        for arm, level in spread
        if level == LEVELS[0] and arm != "splitter"  # which begins with one bin
    }
    least, most = min(moved, key=moved.__getitem__), max(moved, key=moved.__getitem__)
    third = (
        f"From the seed to the finest level attractors change the spread of the centres by {100 * moved[least]:.0f} % "
        f"({titles[least]}) to {100 * moved[most]:.0f} % ({titles[most]})."
    )
    return [first, second, third]


def _means(table: pd.DataFrame, key: str, column: str) -> dict[tuple[str, str], float]:
    """Means over seeds by (arm, `key`)."""
    rows = table.groupby(["arm", key])[column].mean().reset_index().to_dict("records")
    return {(str(row["arm"]), str(row[key])): float(row[column]) for row in rows}


def _listed(names: Sequence[str]) -> str:
    return "; ".join(names)
