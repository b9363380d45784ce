"""Statistics of the study of domains: seeds and scenes, relative improvements, and what routers are worth.

Its jobs (`zdlib.paper.domains.job`) leave one row per image and training. Arms with the same seed are paired: they see
the same frames in the same order and begin with the same first weights, as far as they have the same layers.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float64
from scipy import stats

from zdlib.config import Arm, Profile, StudyConfig
from zdlib.data.registry import data_set
from zdlib.data.rooms.store import open_store as open_rooms
from zdlib.data.streets.store import open_store as open_streets
from zdlib.errors import ZDError
from zdlib.metrics import protocols
from zdlib.metrics.improvement import mean_over_metrics, mean_relative_improvement
from zdlib.metrics.intervals import sign_flip_test
from zdlib.metrics.trials import equivalence, holm, seeds_and_scenes
from zdlib.paper import published
from zdlib.paper.control_study import in_words
from zdlib.paper.domains.job import INDOOR, OUTDOOR, REAL, ROADS
from zdlib.paths import RunPaths, repo_root

SHOWN = ("delta1", "abs_rel", "rmse")  # those of mRIθ
SEEN = {INDOOR: "Rooms-N", OUTDOOR: "Streets-K"}  # where each domain's networks are trained
ROOMS_N, STREETS_K = "data/rooms/rooms_n.h5", "data/streets/streets_k.h5"
HEADINGS = {"abs_rel": "AbsRel", "rmse": "RMSE [m]"}
LABELS = {
    "labelled": ("yes", "yes"),
    "trained": ("yes", "no"),
    "auto": ("no", "no"),
}  # needed in training, in inference


class Study:
    """The trainings of a profile's study that have ended, and their scores.

    A grid that is under way is a study, too, of as many seeds as there are: arms without scores are not in it, and a
    contrast takes the seeds that both arms have, at least two.

    Args:
        profile: has a study.
        paths: of the profile whose jobs have run.

    Attributes:
        config: the profile's study with the arms and seeds that have scores.
        missing: keys of the jobs without.
        images: a row per training and image: `arm, seed, data, frame, scene`, metrics.
        data: names of the data sets, in the profile's order.

    Raises:
        ZDError: the profile has no study, or no job has run.
    """

    def __init__(self, profile: Profile, paths: RunPaths):
        if profile.study is None:
            raise ZDError(f"profiles/{profile.name}.yaml: has no study section: copy that of profiles/domains.yaml")
        tables: dict[tuple[str, int], pd.DataFrame] = {}
        arms: dict[str, Arm] = {}
        for arm, config in profile.study.arms.items():
            files = {seed: paths.per_image / f"study_{arm}_{seed}_images.csv" for seed in config.seeds}
            ended = {seed: pd.read_csv(file) for seed, file in files.items() if file.is_file()}
            tables |= {(arm, seed): table.assign(arm=arm, seed=seed) for seed, table in ended.items()}
            if ended:
                arms[arm] = config.model_copy(update={"seeds": list(ended)})
        if not tables:
            raise ZDError(f"{paths.per_image}: no scores: ./run_all.sh --profile {profile.name} makes them")
        self.config: StudyConfig = profile.study.model_copy(update={"arms": arms})
        self.missing = [key for key in profile.study.jobs() if _arm_and_seed(key) not in tables]
        self.images = pd.concat(list(tables.values()), ignore_index=True)
        self.data = list(dict.fromkeys(self.images["data"]))
        self.roads = {entry.title for entry in profile.data.tests if entry.set in ROADS} | {"real-streets"}

    def there(self, arms: Sequence[str]) -> list[str]:
        """Those of the arms that have scores."""
        return [arm for arm in arms if arm in self.config.arms]

    def seeds_of_both(self, arm: str, against: str) -> list[int]:
        """The seeds that two arms have scores of."""
        one, other = (self.config.arms[key].seeds if key in self.config.arms else [] for key in (arm, against))
        return [seed for seed in one if seed in other]

    def title(self, arm: str) -> str:
        """An arm's name in tables."""
        return self.config.arms[arm].title

    def values(self, arm: str, data: str, metric: str = "abs_rel") -> pd.DataFrame:
        """A metric, one row per seed and one column per image (`frame`, `scene`)."""
        rows = self.images[(self.images["arm"] == arm) & (self.images["data"] == data)]
        return rows.pivot(index="seed", columns=["frame", "scene"], values=metric)

    def mean(self, arm: str, data: str, metric: str = "abs_rel") -> pd.Series:
        """The mean over images of each training."""
        return self.values(arm, data, metric).mean(axis=1)

    def budget(self, profile: Profile) -> str:
        """How long a training is, in words."""
        train, options = profile.train, next(iter(self.config.arms.values())).options
        frames = options["frames"]
        steps = train.epochs * -(-frames // train.batch_size)
        height, width = profile.model.input_size
        return (
            f"{steps} steps of {train.batch_size} frames of each domain at {height}×{width}, {train.epochs} epochs of "
            f"{frames} frames"
        )

    def arms_table(self) -> pd.DataFrame:
        """One row per arm: `arm, begins with, trained on, heads, router, labels [%], seeds`."""
        rows = []
        for arm in self.config.arms.values():
            options, domains = arm.options, len(arm.options["domains"])
            one = domains == 1 or options.get("heads") == "shared"
            rows.append(
                {
                    "arm": arm.title,
                    "begins with": "relative depth" if "encoder_weights" in arm.model else "ImageNet",
                    "trained on": " and ".join(SEEN[name] for name in options["domains"]),
                    "heads": 1 if one else domains,
                    "router": "–" if one else options.get("router", "trained"),
                    "labels [%]": round(100 * options.get("share", 1.0)),
                    "seeds": len(arm.seeds),
                }
            )
        return pd.DataFrame(rows)

    def of_domain(self, domain: str) -> list[str]:
        """The data sets of rooms (`INDOOR`), or of roads."""
        return [name for name in self.data if (name in self.roads) == (domain == OUTDOOR)]

    # ------------------------------------------------------------------------------------------------------ scores
    def scores(self, arms: Sequence[str], data: str, metrics: Sequence[str] = SHOWN) -> pd.DataFrame:
        """Means with 95 % intervals over seeds and scenes together.

        Returns:
            One row per arm: `data, method, seeds, images`, each metric with its `_low` and `_high`.
        """
        rows = []
        for arm in self.there(arms):
            row: dict[str, Any] = {"data": data, "method": self.title(arm)}
            for metric in metrics:
                table = self.values(arm, data, metric)
                row |= {"seeds": len(table), "images": table.shape[1]}
                row |= _named(metric, joint(table))
            rows.append(row)
        return pd.DataFrame(rows)

    def one_network(self, arms: Sequence[str], reference: str) -> pd.DataFrame:
        """ZoeDepth's Table 2: AbsRel on each data set, and mRID against a reference arm.

        Returns:
            One row per arm: `method, seeds`, AbsRel by data set with intervals over seeds and scenes, `mRID [%]` with
            Student's t over paired seeds (0 without interval for the reference).
        """
        rows = []
        for arm in self.there(arms):
            row: dict[str, Any] = {"method": self.title(arm), "seeds": len(self.config.arms[arm].seeds)}
            for data in self.data:
                row |= _named(data, joint(self.values(arm, data)))
            row |= self._improvement("mRID [%]", arm, reference, self._mrid)
            rows.append(row)
        return pd.DataFrame(rows)

    def over_metrics(self, arms: Sequence[str], reference: str, data: str) -> pd.DataFrame:
        """ZoeDepth's Tables 3 and 4 for one data set: `scores`, and mRIθ against a reference arm."""
        table = self.scores(arms, data)
        of_data = lambda arm, other, seed: self._mri_theta(arm, other, seed, data)  # noqa: E731
        gains = pd.DataFrame([self._improvement("mRIθ [%]", arm, reference, of_data) for arm in self.there(arms)])
        return pd.concat([table, gains], axis=1)

    def transfer(self, arms: Sequence[str], reference: str, domain: str) -> pd.DataFrame:
        """`over_metrics` on all data sets of a domain."""
        return pd.concat(
            [self.over_metrics(arms, reference, data) for data in self.of_domain(domain)], ignore_index=True
        )

    def _improvement(
        self, name: str, arm: str, reference: str, of_seed: Callable[[str, str, int], float]
    ) -> dict[str, float]:
        """A relative improvement: the mean over seeds that both arms have, with Student's t."""
        if arm == reference:
            return _named(name, (0.0, np.nan, np.nan))
        seeds = self.seeds_of_both(arm, reference)
        gains = np.array([of_seed(arm, reference, seed) for seed in seeds])
        return _named(name, over_seeds(gains) if seeds else (np.nan, np.nan, np.nan))

    def _mrid(self, arm: str, reference: str, seed: int) -> float:
        values, against = ({d: float(self.mean(a, d)[seed]) for d in self.data} for a in (arm, reference))
        return mean_relative_improvement("abs_rel", values, against)

    def _mri_theta(self, arm: str, reference: str, seed: int, data: str) -> float:
        values, against = ({m: float(self.mean(a, data, m)[seed]) for m in SHOWN} for a in (arm, reference))
        return mean_over_metrics(values, against)

    # -------------------------------------------------------------------------------------------------- differences
    def contrast(self, arm: str, against: str, data: str, metric: str = "abs_rel") -> dict[str, Any]:
        """What an arm gains on another on the same images, seed by seed.

        Returns:
            `arm, against, data, pairs`, the means `first` (of `against`) and `second`, their `difference` with
            Student's 95 % interval over seeds (`difference_low`, `difference_high`), the interval with scenes
            resampled too (`joint low`, `joint high`), the sign-flip p-value `p`, and `p, equivalence` (below 0.05 the
            difference lies within the study's margin).

        Raises:
            ZDError: fewer than two seeds in common.
        """
        first, second = self.values(against, data, metric), self.values(arm, data, metric)
        differences = (second - first).dropna(how="all")
        if len(differences) < 2:
            raise ZDError(f"{against} and {arm} share fewer than two seeds with scores: train more of them")
        apart = differences.mean(axis=1).to_numpy()
        _, low, high = joint(differences)
        return {
            "arm": self.title(arm),
            "against": self.title(against),
            "data": data,
            "pairs": len(differences),
            "first": float(first.loc[differences.index].to_numpy().mean()),
            "second": float(second.loc[differences.index].to_numpy().mean()),
            **_named("difference", over_seeds(apart)),
            "joint low": low,
            "joint high": high,
            "p": sign_flip_test(apart, np.random.default_rng(0)),
            "p, equivalence": equivalence(apart, self.config.margin).p_value,
        }

    def contrasts(
        self, pairs: Sequence[tuple[str, str]], data: Sequence[str] | None = None, metric: str = "abs_rel"
    ) -> pd.DataFrame:
        """`contrast` of each pair with two seeds in common, on each data set (default: all)."""
        wanted = self.data if data is None else data
        enough = [(arm, against) for arm, against in pairs if len(self.seeds_of_both(arm, against)) > 1]
        return pd.DataFrame([self.contrast(arm, against, name, metric) for name in wanted for arm, against in enough])

    def family(self) -> pd.DataFrame:
        """The contrasts that were fixed beforehand: AbsRel where the arms are trained, with Holm's correction.

        An arm of both domains is tested on both; each is a test of the family.
        """
        rows = [
            self.contrast(arm, against, data)
            for arm, against in self.config.family
            for domain, data in SEEN.items()
            if len(self.seeds_of_both(arm, against)) > 1 and domain in self.config.arms[arm].options["domains"]
        ]
        table = pd.DataFrame(rows)
        table.insert(list(table.columns).index("p") + 1, "p, Holm", holm(table["p"].tolist()))
        return table

    def one_checkpoint(self, both: Sequence[str], single: Mapping[str, str]) -> pd.DataFrame:
        """What a network of both domains loses on that of one domain, on all data of that domain.

        Args:
            both: arms of both domains.
            single: the arm of each domain alone.
        """
        return pd.concat(
            [self.contrasts([(arm, single[domain]) for arm in both], self.of_domain(domain)) for domain in single],
            ignore_index=True,
        )

    def as_intervals(self, contrasts: pd.DataFrame) -> pd.DataFrame:
        """Contrasts for `zdlib.paper.plots.metric_intervals`: a colour per pair, a row per data set.

        Those alone whose arms are trained on the data set's domain (on the other one errors are ten times as large), of
        three pairs or more: Student's interval of two is wider than any drawing.
        """
        trained = {arm.title: set(arm.options["domains"]) for arm in self.config.arms.values()}
        of = {data: OUTDOOR if data in self.roads else INDOOR for data in self.data}
        drawn = [of[row["data"]] in trained[row["arm"]] and row["pairs"] > 2 for row in _records(contrasts)]
        contrasts = contrasts[drawn]
        return contrasts.assign(protocol=contrasts["arm"] + " − " + contrasts["against"], method=contrasts["data"])

    # ------------------------------------------------------------------------------------------------------ routers
    def routers(self, arms: Sequence[str]) -> pd.DataFrame:
        """ZoeDepth's Table 6: labels needed, AbsRel and RMSE where the domains are trained."""
        rows = []
        for arm in self.there(arms):
            in_training, in_inference = LABELS[self.config.arms[arm].options.get("router", "trained")]
            row: dict[str, Any] = {"variant": self.title(arm), "seeds": len(self.config.arms[arm].seeds)}
            row |= {"labels, training": in_training, "labels, inference": in_inference}
            for metric, header in HEADINGS.items():
                for data in SEEN.values():
                    row |= _named(f"{header}, {data}", joint(self.values(arm, data, metric)))
            rows.append(row)
        return pd.DataFrame(rows)

    def routes(self, arms: Sequence[str]) -> pd.DataFrame:
        """How often a router says that a picture is of a road, and what the other head would have cost.

        Returns:
            One row per arm and data set: `variant, data`, the share of pictures that go to the domain's head, over all
            seeds and in the seed with the `fewest` (nothing for a labelled router); AbsRel through the domain's head,
            through the other one, and as used. The heads of an auto router have no domain but by what they learnt.
        """
        return pd.DataFrame([self._routed(arm, data) for arm in self.there(arms) for data in self.data])

    def _routed(self, arm: str, data: str) -> dict[str, Any]:
        rows = self.images[(self.images["arm"] == arm) & (self.images["data"] == data)]
        domain, other = (OUTDOOR, INDOOR) if data in self.roads else (INDOOR, OUTDOOR)
        row: dict[str, Any] = {"variant": self.title(arm), "data": data}
        if rows["outdoor"].notna().all():
            right = ((rows["outdoor"] > 0.5) == (domain == OUTDOOR)).groupby(rows["seed"]).mean()
            row |= {"routed to its head [%]": 100 * right.mean(), "fewest [%]": 100 * right.min()}
        named = (("its head", domain), ("other head", other))
        heads = {f"AbsRel, {what}": rows[f"abs_rel_{name}"].mean() for what, name in named}
        return row | heads | {"AbsRel, as used": rows["abs_rel"].mean()}


def _arm_and_seed(key: str) -> tuple[str, int]:
    arm, _, seed = key.rpartition("_")
    return arm, int(seed)


def data_table(profile: Profile, study: Study) -> pd.DataFrame:
    """ZoeDepth's Table 7 for what stands in.

    Returns:
        One row per data set: `data, domain, kind, frames in training` (of the official part that trains; 0 where no
        network has seen it), `judged` frames, `min [m], max [m], crop` and the name of its protocol.
    """
    rooms, roads = open_rooms(repo_root() / ROOMS_N), open_streets(repo_root() / STREETS_K)
    in_training = {
        SEEN[INDOOR]: rooms.splits.count("train"),
        SEEN[OUTDOOR]: len(roads.of_split("train")) * roads.frames,
    }
    rows = []
    for entry in (*profile.data.tests, *REAL):
        if entry.title not in study.data:
            continue
        protocol = protocols.get(entry.protocol or data_set(entry.set).protocol)
        rows.append(
            {
                "data": entry.title,
                "domain": "roads" if entry.title in study.roads else "rooms",
                "kind": "real" if entry.set.startswith("real-") else "rendered",
                "frames in training": in_training.get(entry.title, 0),
                "judged": study.values(next(iter(study.config.arms)), entry.title).shape[1],
                "min [m]": protocol.min_depth,
                "max [m]": protocol.max_depth,
                "crop": protocol.crop,
                "protocol": protocol.name,
            }
        )
    return pd.DataFrame(rows)


def quoted_routers() -> pd.DataFrame:
    """ZoeDepth's Table 6: `variant`, labels needed, AbsRel and RMSE on NYU and KITTI, `source`."""
    tables = {"NYU": published.load("nyu", "routers"), "KITTI": published.load("kitti", "routers")}
    first = next(iter(tables.values()))
    rows = pd.DataFrame({"variant": first["method"]})
    rows["labels, training"], rows["labels, inference"] = zip(*(LABELS[name] for name in rows["variant"]), strict=True)
    for metric, header in HEADINGS.items():
        for name, table in tables.items():
            rows[f"{header}, {name}"] = table[metric].to_numpy()
    return rows.assign(source=first["source"])


def in_one_line(contrasts: pd.DataFrame) -> str:
    """Every contrast of AbsRel in words, as Markdown."""
    return "\n".join(
        f"* **{row['arm']}** against *{row['against']}*, {row['data']}: {row['difference']:+.3f} "
        f"[{row['difference_low']:+.3f}, {row['difference_high']:+.3f}]: **{in_words(row, higher_is_better=False)}**."
        for row in _records(contrasts)
    )


def findings(study: Study) -> str:
    """What the tables say, as Markdown: made from them, so that a grid under way never contradicts its own words."""
    parts = [
        ("Relative pre-training (M against X), where a network is trained", study.family()),
        (
            "One checkpoint (NK against N and K), where both are trained",
            study.one_checkpoint(["m_nk", "m_nk_one"], {INDOOR: "m_n", OUTDOOR: "m_k"}),
        ),
        (
            "Routers against the labelled one",
            study.contrasts([("m_nk", "m_nk_labelled"), ("m_nk_auto", "m_nk_labelled")], list(SEEN.values())),
        ),
    ]
    lines = []
    for number, (title, table) in enumerate(parts, start=1):
        seen = table[table["data"].isin(list(SEEN.values()))] if len(table) else table
        lines.append(f"{number}. **{title}.** " + ("; ".join(map(_finding, _records(seen))) or "no pairs yet") + ".")
    routes = study.routes(["m_nk"])
    rate = "; ".join(f"{row['data']} {row['routed to its head [%]']:.1f} %" for row in _records(routes))
    lines.append(f"{len(lines) + 1}. **The trained router** sends pictures to the head of their domain: {rate or '–'}.")
    return "\n".join(lines)


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def _finding(row: dict[str, Any]) -> str:
    """A contrast of AbsRel: what it is, its interval over seeds, and what may be said of it."""
    said = in_words(row, higher_is_better=False)
    said += ", and within the margin" if row["p, equivalence"] < 0.05 else ""
    return (
        f"{row['arm']} − {row['against']} on {row['data']}: {row['difference']:+.3f} [{row['difference_low']:+.3f}, "
        f"{row['difference_high']:+.3f}] over {row['pairs']} pairs ({said})"
    )


def joint(table: pd.DataFrame) -> tuple[float, float, float]:
    """Mean, and the ends of the 95 % interval with seeds and scenes resampled; rows are seeds, columns images."""
    scenes = table.columns.get_level_values("scene").astype(str).tolist()
    return seeds_and_scenes(table.to_numpy(np.float64), scenes, np.random.default_rng(0))


def over_seeds(values: Float64[np.ndarray, " n"], level: float = 0.95) -> tuple[float, float, float]:
    """Mean and the ends of Student's interval; NaN for a single value."""
    if len(values) < 2:
        return float(values.mean()), np.nan, np.nan
    half = stats.t.ppf((1 + level) / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean()), float(values.mean() - half), float(values.mean() + half)


def _named(name: str, interval: tuple[float, float, float]) -> dict[str, float]:
    value, low, high = interval
    return {name: value, f"{name}_low": low, f"{name}_high": high}
