"""From one protocol to another in single changes: what each of them does to the numbers of the same weights.

A path starts at one named protocol and takes over one property after the other of a second one, until it *is* the
second one. Every point on it is evaluated, every bar of the waterfall is the difference of two neighbouring points;
so the bars add up. Excursions are single changes from the start that lead nowhere else. What a change does depends on
what was changed before it: the excursions show the path's changes alone, too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from jaxtyping import Float32, UInt8
from tqdm import tqdm

from zdlib.config import Profile
from zdlib.data.sample import Reader
from zdlib.data.sets.ibims import IBimsReader
from zdlib.errors import ZDError
from zdlib.evaluate.judge import DepthMap, DepthMaps, FrameNumbers, image_row, prediction_of, summarise
from zdlib.metrics import protocols
from zdlib.metrics.depth import HIGHER_IS_BETTER, METRICS, pooled_metrics
from zdlib.metrics.intervals import Interval, bootstrap_ratio, paired_difference
from zdlib.metrics.protocols import Protocol
from zdlib.models.depth_model import border
from zdlib.paper.evaluations import load_per_image
from zdlib.paper.original import implied_by_ratio
from zdlib.paper.predicted import predicted
from zdlib.paper.trained_runs import TrainedRun, inference, load_run, open_nyu
from zdlib.paths import RunPaths, resolve

SHOWN = ("delta1", "abs_rel", "rmse")
Property = Literal["depth_source", "use_mask", "floor", "cap", "frames"]
Prediction = Literal["usual", "without flip", "with flip", "padded"]


@dataclass(frozen=True)
class Step:
    """One change of a path: what it is called, and which property it takes over from which protocol."""

    label: str
    taken: Property
    target: str


@dataclass(frozen=True)
class Way:
    """One way of counting.

    Attributes:
        label: the change that leads to it; for the start the protocol's name.
        protocol: what is compared with what.
        prediction: what is predicted; `usual` is what the profile's `evaluate` section asks.
        pooled: metrics over the pixels of all images together, where the usual table averages the images' metrics.
        unseen: only frames count that did not shape the weights.
    """

    label: str
    protocol: Protocol
    prediction: Prediction = "usual"
    pooled: bool = False
    unseen: bool = False


@dataclass(frozen=True)
class Counted:
    """What a way of counting gave: its per-image table (`zdlib.evaluate.judge.evaluate_depth`)."""

    way: Way
    per_image: pd.DataFrame

    def values(self) -> dict[str, float]:
        """Every metric, averaged as the way says."""
        if self.way.pooled:
            return pooled_metrics(self.per_image)
        means = summarise(self.per_image)
        return {metric: means[metric] for metric in METRICS}


NYU_STEPS = (
    Step("in-painted ground truth", "depth_source", "nyu/published"),
    Step("1 m floor", "floor", "nyu/published"),
    Step("no 10 m cap", "cap", "nyu/published"),
    Step("the original's test frames", "frames", "nyu/published-291"),
    Step("training frames averaged in", "frames", "nyu/published"),
)
IBIMS_STEPS = (
    Step("masks ignored", "use_mask", "ibims/published"),
    Step("1 m floor", "floor", "ibims/published"),
    Step("no 10 m cap", "cap", "ibims/published"),
)


def take(protocol: Protocol, step: Step) -> Protocol:
    """`protocol` with the step's property of the step's target; under that protocol's name where it has become one.

    The floor is the lower limit of the ground truth and of the clamped prediction together, the cap the upper ones.

    Raises:
        ValueError: a floor or a cap where one of the two protocols does not clamp.
    """
    target = protocols.get(step.target)
    changed: dict[str, Any]
    if step.taken in ("floor", "cap"):
        if protocol.clip is None or target.clip is None:
            raise ValueError(f"{protocol.name} to {target.name}: a {step.taken} needs two protocols that clamp")
        (low, high), (new_low, new_high) = protocol.clip, target.clip
        if step.taken == "floor":
            changed = {"min_depth": target.min_depth, "clip": (new_low, high)}
        else:
            changed = {"max_depth": target.max_depth, "clip": (low, new_high)}
    else:
        changed = {step.taken: getattr(target, step.taken)}
    return _named(replace(protocol, **changed), f"{protocol.name}, {step.label}")


def path_ways(start: str, steps: Sequence[Step], unseen_until_last: bool = False) -> list[Way]:
    """The start and, change by change, every way of counting up to the end of the path.

    Args:
        start: a protocol's name.
        steps: the changes.
        unseen_until_last: whether frames that shaped the weights count at the end of the path alone. Otherwise a
            change of frames mixes two things: other frames, and frames that the network knows.
    """
    ways = [Way(start, protocols.get(start), unseen=unseen_until_last)]
    for number, step in enumerate(steps, start=1):
        unseen = unseen_until_last and number < len(steps)
        ways.append(Way(step.label, take(ways[-1].protocol, step), unseen=unseen))
    return ways


def excursion_ways(start: str, steps: Sequence[Step], flip: bool) -> list[Way]:
    """Single changes from the start: the given ones, and those that no path contains.

    Args:
        start: a protocol's name.
        steps: changes of a path, each taken alone here.
        flip: whether the usual prediction is averaged with that of the mirrored image.
    """
    origin = protocols.get(start)
    ways = [Way(step.label, take(origin, step)) for step in steps]
    no_crop = replace(origin, name=f"{start}, no crop", crop="none")
    centres = replace(origin, name=f"{start}, corners not aligned", align_corners=False)
    return [
        *ways,
        Way("no crop", no_crop),
        Way("no flip averaging", origin, "without flip") if flip else Way("flip averaging", origin, "with flip"),
        Way("image padded by reflection", origin, "padded"),
        Way("corners not aligned in resizing", centres),
        Way("pixels pooled, not averaged per image", origin, pooled=True),
    ]


def audited_runs(profile: Profile) -> tuple[str, str]:
    """The runs that the audit looks at: the one trained as the original was, and the first with the corrected recipe.

    A profile without either has its first run in that place.
    """
    first = next(iter(profile.runs))
    segmenting = {key: run.recipe for key, run in reversed(profile.runs.items()) if run.segments}
    by_recipe = {recipe: key for key, recipe in segmenting.items()}
    return by_recipe.get("published", first), by_recipe.get("corrected", first)


def nyu_path(profile: Profile, paths: RunPaths, key: str) -> list[Counted]:
    """A run's way from `nyu/standard` on frames that it has never seen to `nyu/published` on all frames.

    The official test frames are judged here in every way; other frames were judged by notebook 04, whose per-image
    tables are read.

    Raises:
        ZDError: the data, the checkpoint or notebook 04's tables are missing or unreadable, these tables are of
            another checkpoint, or the network has seen every test frame.
    """
    return _nyu_counted(profile, paths, key, path_ways("nyu/standard", NYU_STEPS, unseen_until_last=True))


def nyu_excursions(profile: Profile, paths: RunPaths, key: str) -> list[Counted]:
    """`nyu/standard` and the single changes from it, as `nyu_path` judges them.

    Raises:
        ZDError: as there.
    """
    # The last step has no table of its own under the start's pixels, so it is not among the excursions.
    changes = excursion_ways("nyu/standard", NYU_STEPS[:-1], profile.evaluate.flip)
    return _nyu_counted(profile, paths, key, [Way("nyu/standard", protocols.get("nyu/standard")), *changes])


def _nyu_counted(profile: Profile, paths: RunPaths, key: str, ways: Sequence[Way]) -> list[Counted]:
    data, run, start = open_nyu(profile), load_run(profile, key, paths), ways[0].protocol
    test = data.frames(start).tolist()
    ours = [way for way in ways if way.protocol.frames == start.frames]
    kinds = list(dict.fromkeys(way.prediction for way in ours))
    everything = predicted(profile, run, paths, "nyu", data.readers["raw"])
    images = [data.readers["raw"][frame].image for frame in test]
    maps = predictions(run, images, {frame: everything[frame] for frame in test}, profile, kinds)
    tables = dict(zip(ours, judge(ours, maps, data.readers, test, run.seen), strict=True))
    _check_same_weights(tables[ways[0]], load_per_image(paths, start.name, key), paths)
    counted = []
    for way in ways:
        table = tables[way] if way in tables else load_per_image(paths, way.protocol.name, key)
        if way.unseen:
            table = table[~table["trained_on"].astype(bool)].reset_index(drop=True)
        if not len(table):
            raise ZDError(f"{run.title}: has seen all frames of {way.protocol.name}: train on fewer")
        counted.append(Counted(way, table))
    return counted


def ibims_path(profile: Profile, paths: RunPaths, key: str) -> list[Counted]:
    """A run's way from `ibims/zoedepth` to `ibims/published`.

    Raises:
        ZDError: the data or the checkpoint is missing or unreadable.
    """
    reader, run = IBimsReader(resolve(profile.data.ibims.root)), load_run(profile, key, paths)
    frames = list(range(len(reader)))
    path = path_ways("ibims/zoedepth", IBIMS_STEPS)
    maps: dict[Prediction, DepthMaps] = {"usual": predicted(profile, run, paths, "ibims", reader)}
    tables = judge(path, maps, {"only": reader}, frames, ())
    return [Counted(way, table) for way, table in zip(path, tables, strict=True)]


def predictions(
    run: TrainedRun,
    images: Sequence[UInt8[np.ndarray, "_ _ 3"]],
    usual: Mapping[int, DepthMap],
    profile: Profile,
    kinds: Sequence[Prediction] = get_args(Prediction),
) -> dict[Prediction, DepthMaps]:
    """Metres by frame number, for each kind of `Prediction`: those there are, and one call for each other.

    `padded` is that of the image surrounded by its reflection as in ZoeDepth's `infer`, border included.

    Args:
        run: predicts.
        images: of the frames in `usual`, in its order.
        usual: what the profile's `evaluate` section asks, by frame number.
        profile: has that section.
        kinds: what is wanted.
    """
    there: tuple[Prediction, ...] = ("usual", "with flip" if profile.evaluate.flip else "without flip")
    way = inference(profile)
    ways = {
        "with flip": replace(way, flip=True),
        "without flip": replace(way, flip=False),
        "padded": replace(way, pad=True),
    }
    made: dict[Prediction, DepthMaps] = dict.fromkeys(there, usual)
    for kind in [kind for kind in kinds if kind not in there]:
        maps = run.model.predict(images, ways[kind])
        made[kind] = dict(zip(usual, maps, strict=True))
    return {kind: made[kind] for kind in kinds}


def without_border(depth: DepthMap, size: tuple[int, ...]) -> Float32[np.ndarray, "h w"]:
    """The part of a `padded` prediction that is the image, enlarged to the image's size."""
    height, width = size
    rows, columns = border(height, width)
    enlarged = protocols.resize(depth, (height + 2 * rows, width + 2 * columns))
    return enlarged[rows : rows + height, columns : columns + width]


def judge(
    ways: Sequence[Way],
    maps: Mapping[Prediction, DepthMaps],
    readers: Mapping[str, Reader],
    frames: Sequence[int],
    seen: FrameNumbers,
) -> list[pd.DataFrame]:
    """The per-image table of each way of counting, all on the same frames, each of which is read once.

    Args:
        ways: what to do.
        maps: predictions by kind and frame number.
        readers: ground truth by `Protocol.depth_source`.
        frames: frame numbers.
        seen: frames whose gradients or errors shaped the model; they are marked.

    Raises:
        ZDError: a prediction is missing, or a frame is unreadable.
    """
    known = frozenset(int(frame) for frame in seen)
    rows: list[list[dict[str, Any]]] = [[] for _ in ways]
    for frame in tqdm(frames, desc=f"{len(ways)} ways of counting", unit="image", mininterval=1):
        samples = {source: readers[source][frame] for source in dict.fromkeys(w.protocol.depth_source for w in ways)}
        for way, table in zip(ways, rows, strict=True):
            sample = samples[way.protocol.depth_source]
            depth = prediction_of(maps[way.prediction], frame)
            if way.prediction == "padded":
                depth = without_border(depth, sample.depth.shape)
            prepared, valid = way.protocol.prepare(depth, sample)
            table.append(image_row(frame, sample, prepared, valid, way.protocol, frame in known))
    return [pd.DataFrame(table) for table in rows]


def path_table(path: Sequence[Counted], metrics: Sequence[str] = SHOWN) -> pd.DataFrame:
    """One row a point of the path: `change`, `images`, `trained_on` (percent), each metric and its `…_change`.

    The changes of a column add up to the difference of its last and its first value.
    """
    rows: list[dict[str, Any]] = []
    before: dict[str, float] = {}
    for point in path:
        values = point.values()
        row: dict[str, Any] = {"change": point.way.label, **_images(point)}
        for metric in metrics:
            row |= {metric: values[metric], f"{metric}_change": values[metric] - before.get(metric, np.nan)}
        rows.append(row)
        before = values
    return pd.DataFrame(rows)


def excursion_table(
    start: Counted, excursions: Sequence[Counted], rng: np.random.Generator, metrics: Sequence[str] = SHOWN
) -> pd.DataFrame:
    """One row a change: `change, images, trained_on`; each metric, `…_change`, `…_change_low` and `…_change_high`.

    The last two end the 95 % interval of the change by bootstrap over scenes; there is none where the frames differ
    from the start's, or where pixels are pooled.
    """
    rows: list[dict[str, Any]] = []
    first = start.values()
    for point in excursions:
        values = point.values()
        row: dict[str, Any] = {"change": point.way.label, **_images(point)}
        same = point.per_image["frame"].tolist() == start.per_image["frame"].tolist() and not point.way.pooled
        both = (start.per_image["pixels"] > 0) & (point.per_image["pixels"] > 0) if same else None
        for metric in metrics:
            low = high = np.nan
            if both is not None:
                a, b = (table.loc[both, metric].to_numpy(np.float64) for table in (start.per_image, point.per_image))
                interval = paired_difference(a, b, start.per_image.loc[both, "scene"].tolist(), rng).interval
                low, high = interval.low, interval.high
            change = values[metric] - first[metric]
            ends = {f"{metric}_change{end}": value for end, value in (("", change), ("_low", low), ("_high", high))}
            row |= {metric: values[metric], **ends}
        rows.append(row)
    return pd.DataFrame(rows)


def seen_and_unseen(per_image: pd.DataFrame, metrics: Sequence[str] = SHOWN) -> pd.DataFrame:
    """The means over the frames that shaped the model, over the others, and over all: `frames, images, share, …`.

    Weighted with their `share` (percent) the first two rows give the third. A part without frames has NaN means.
    """
    counted = per_image[per_image["pixels"] > 0]
    known = counted["trained_on"].astype(bool)
    parts = {"shaped the weights": counted[known], "never seen": counted[~known], "all": counted}
    rows = [
        {"frames": name, "images": len(part), "share": 100 * len(part) / len(counted), **part[list(metrics)].mean()}
        for name, part in parts.items()
    ]
    return pd.DataFrame(rows)


def error_ratios(parts: pd.DataFrame, metrics: Sequence[str] = SHOWN) -> dict[str, float]:
    """How many times larger each error is on frames never seen than on the others, from `seen_and_unseen`.

    The error of a metric that is better when higher is what it lacks to 1. NaN where one part has no frames.
    """
    rows = parts.set_index("frames")
    errors = {metric: 1 - rows[metric] if metric in HIGHER_IS_BETTER else rows[metric] for metric in metrics}
    return {metric: float(error["never seen"] / error["shaped the weights"]) for metric, error in errors.items()}


def ratio_interval(per_image: pd.DataFrame, metric: str, rng: np.random.Generator) -> Interval:
    """The ratio of `error_ratios` for one metric, with its 95 % interval over scenes."""
    counted = per_image[per_image["pixels"] > 0]
    seen = counted["trained_on"].astype(bool)
    parts = counted[~seen], counted[seen]
    values = [part[metric].to_numpy(np.float64) for part in parts]
    unseen_errors, seen_errors = [1 - v for v in values] if metric in HIGHER_IS_BETTER else values
    return bootstrap_ratio(unseen_errors, seen_errors, (parts[0]["scene"].tolist(), parts[1]["scene"].tolist()), rng)


def ratio_table(
    per_image: Mapping[str, pd.DataFrame], mean: float, truth: float, rng: np.random.Generator
) -> pd.DataFrame:
    """How well a network's δ1 on unseen frames can be told from its mean over all frames and another's ratio of errors.

    Args:
        per_image: by network, its table under `nyu/published`; networks that have seen all frames or none are left out.
        mean: δ1 of the network in question over all frames.
        truth: its δ1 on the frames that it has not seen.
        rng: where resamples are drawn from.

    Returns:
        One row a network: `method`, `ratio` of 1 − δ1 on unseen frames to that on seen ones with its 95 % interval over
        scenes (`ratio_low`, `ratio_high`), what it makes of `mean` for the unseen frames of the original's split
        (`implied`, `implied_low`, `implied_high`), and the `truth`.
    """
    rows = []
    for method, table in per_image.items():
        counted = table[table["pixels"] > 0]
        seen = counted["trained_on"].astype(bool)
        if seen.all() or not seen.any():
            continue
        ratio = ratio_interval(table, "delta1", rng)
        ends = {"": ratio.value, "_low": ratio.low, "_high": ratio.high}
        implied = {end: 1 - implied_by_ratio(1 - mean, value)[1] for end, value in ends.items()}
        rows.append(
            {
                "method": method,
                **{f"ratio{end}": value for end, value in ends.items()},
                # The larger the ratio, the lower the implied value.
                "implied": implied[""],
                "implied_low": implied["_high"],
                "implied_high": implied["_low"],
                "truth": truth,
            }
        )
    return pd.DataFrame(rows)


def _images(point: Counted) -> dict[str, Any]:
    counted = point.per_image[point.per_image["pixels"] > 0]
    return {"images": len(counted), "trained_on": 100 * float(counted["trained_on"].mean())}


def _named(protocol: Protocol, otherwise: str) -> Protocol:
    """The known protocol that counts in the same way, or this one under another name."""
    about = {"name", "note", "source"}
    counting = [field.name for field in fields(Protocol) if field.name not in about]
    for known in protocols.PROTOCOLS.values():
        if known.dataset == protocol.dataset and all(getattr(known, f) == getattr(protocol, f) for f in counting):
            return known
    return replace(protocol, name=otherwise)


def _check_same_weights(ours: pd.DataFrame, theirs: pd.DataFrame, paths: RunPaths) -> None:
    """Notebook 04's table and ours must be of the same weights and frames."""
    same = ours["frame"].tolist() == theirs["frame"].tolist()
    if not same or not np.allclose(ours["abs_rel"], theirs["abs_rel"], rtol=1e-6, equal_nan=True):
        raise ZDError(f"{paths.per_image}: its tables are of another checkpoint or data set: run notebook 04 again")
