"""A job of the study of domains: train one arm with one seed, and score it on rooms and roads, seen and unseen.

An arm trains on the data sets of its own domains alone. It is judged on all tests of its profile, and where the fetched
real pictures are (`ZD_DATA`) on two more. A network with several heads is asked for each head's depth of every picture
and for its router's probabilities, so that the cost of a wrong route is known and not only its frequency.

What is made of the scores is in `zdlib.paper.domains.study`: other statistics make no training stale.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float64

from zdlib.config import BenchmarkConfig, DataConfig, Profile, RunConfig, SplitConfig
from zdlib.data.streets.export import prepare_what_is_read
from zdlib.errors import ZDError
from zdlib.evaluate.by_profile import Benchmark, open_benchmarks
from zdlib.evaluate.judge import DepthMap, Images
from zdlib.files import write_csv
from zdlib.models.depth_model import Inference, batches, to_tensor
from zdlib.models.factory import load_depth_model
from zdlib.models.zoe.depth_model import ZoeDepthModel
from zdlib.paths import RunPaths, resolve
from zdlib.train.run import train

METRICS = ("delta1", "abs_rel", "rmse", "log10")
INDOOR, OUTDOOR = "nyu", "kitti"  # names of domains, those of `zdlib predict --scene`
ROADS = frozenset(
    {"kitti", "kitti_raw", "cityscapes", "vkitti2", "ddad", "diml_outdoor", "diode_outdoor", "real-streets"}
)
REAL = (
    BenchmarkConfig(
        set="real-hololens",
        name="HoloLens",
        root="$ZD_DATA/real_data",
        split=SplitConfig(scenes=("last",)),
        protocol="real-hololens/indoor",
    ),
    BenchmarkConfig(
        set="real-streets", name="real-streets", root="$ZD_DATA/real_data", protocol="real-streets/outdoor"
    ),
)


def run_job(profile: Profile, key: str, paths: RunPaths) -> None:
    """Train a job (or reuse its finished training); write its scores, `study_<key>.csv` and `study_<key>_images.csv`.

    Raises:
        ZDError: no such job, or unreadable data.
        Stopped: the training was interrupted, with its state saved.
    """
    alone = narrowed(profile.job(key), key)
    prepare_what_is_read(alone.data)
    train(alone, key, paths)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = load_depth_model(paths.checkpoints / f"{key}.safetensors", device=device)
    images = judge_everywhere(with_real_pictures(alone), alone.runs[key], model)
    write_csv(paths.per_image / f"study_{key}_images.csv", images.round(5))
    write_csv(paths.per_image / f"study_{key}.csv", means(images))


def narrowed(profile: Profile, key: str) -> Profile:
    """The profile of one job, with only those training sets that its domains name."""
    domains = profile.runs[key].options.get("domains", {})
    wanted = {name for domain in domains.values() for name in domain.get("sets", ())}
    data = profile.data.model_copy(update={"train": tuple(e for e in profile.data.train if e.set in wanted)})
    return profile.model_copy(update={"data": data})


def with_real_pictures(profile: Profile) -> Profile:
    """The profile, with the real tests of `REAL` that are on this disk."""
    there = []
    for entry in REAL:
        try:
            if resolve(entry.root).is_dir() and entry.set not in {test.set for test in profile.data.tests}:
                there.append(entry)
        except ZDError:  # ZD_DATA is not set
            continue
    tests = (*profile.data.tests, *there)
    data = DataConfig.model_validate(profile.data.model_dump() | {"tests": [test.model_dump() for test in tests]})
    return profile.model_copy(update={"data": data})


def judge_everywhere(profile: Profile, run: RunConfig, model: ZoeDepthModel) -> pd.DataFrame:
    """Per-image rows of all tests.

    Returns:
        `data, frame, scene` and the depth metrics, as the network is used: through the head that its router chooses, or
        that the label names where the router is `labelled`. Of a network with several heads also
        `outdoor`, the router's probability (NaN without one), and `abs_rel_<name>`, AbsRel through each head.
    """
    options = Inference(**profile.evaluate.model_dump(include={"batch_size", "flip", "precision"}))
    tables = []
    for test in open_benchmarks(profile):
        if len(model.domains) < 2:
            rows = test.judge(model, options)
        else:
            label = OUTDOOR if test.entry.set in ROADS else INDOOR
            told = label if run.options.get("router") == "labelled" else None
            rows = judge_heads(test, model, options, told)
        tables.append(rows[rows["pixels"] > 0].assign(data=test.entry.title))
    images = pd.concat(tables, ignore_index=True)
    extra = [column for column in images if column == "outdoor" or str(column).startswith("abs_rel_")]
    return images[["data", "frame", "scene", *METRICS, *extra]]


@dataclass(frozen=True)
class Heads:
    """What a network with several heads says of some pictures.

    Attributes:
        depths: of each head by name, one map per picture, metres.
        probabilities: the router's, per picture and head; NaN without one.
    """

    depths: Mapping[str, list[DepthMap]]
    probabilities: Float64[np.ndarray, "pictures heads"]

    def routed(self, names: Sequence[str]) -> list[DepthMap]:
        """The depth of each picture through the likeliest head."""
        return [self.depths[names[k]][i] for i, k in enumerate(self.probabilities.argmax(1))]


def predict_heads(model: ZoeDepthModel, pictures: Sequence[np.ndarray], options: Inference) -> Heads:
    """Depth through every head, and the router's probabilities of the picture as it is (not its mirror image)."""
    depths: dict[str, list[DepthMap]] = {name: [] for name in model.domains}
    router, said, probabilities = model.network.head.router, [], []
    handle = None if router is None else router.register_forward_hook(lambda *arguments: said.append(arguments[-1]))
    try:
        for batch in batches(pictures, options.batch_size, "depth through every head"):
            said.clear()
            images = to_tensor(batch, model.device)
            for name in model.domains:
                depth = model.depth(images, replace(options, domain=name))
                depths[name] += list(depth[:, 0].cpu().numpy())
            none = torch.full((len(batch), len(model.domains)), torch.nan)
            probabilities.append(said[0][: len(batch)].float().softmax(1).cpu() if said else none)
    finally:
        if handle is not None:
            handle.remove()
    return Heads(depths, torch.cat(probabilities).double().numpy())


def judge_heads(test: Benchmark, model: ZoeDepthModel, options: Inference, told: str | None) -> pd.DataFrame:
    """A test's rows through the head that is told, or that the router chooses; with each head's AbsRel beside."""
    found = predict_heads(model, Images(test.reader, test.frames), options)
    used = found.depths[told] if told else found.routed(model.domains)
    by_head = {name: test.judge_maps(dict(zip(test.frames, maps, strict=True))) for name, maps in found.depths.items()}
    rows = test.judge_maps(dict(zip(test.frames, used, strict=True)))
    return rows.assign(
        outdoor=found.probabilities[:, model.domains.index(OUTDOOR)],
        **{f"abs_rel_{name}": table["abs_rel"].to_numpy() for name, table in by_head.items()},
    )


def means(images: pd.DataFrame) -> pd.DataFrame:
    """Means over images in long form: `data, where, metric, value`, as those of the control study."""
    rows: list[dict[str, Any]] = []
    for data, group in images.groupby("data", sort=False):
        values = group[list(METRICS)].mean()
        rows += [{"data": data, "where": "all pixels", "metric": m, "value": float(values[m])} for m in METRICS]
    return pd.DataFrame(rows)
