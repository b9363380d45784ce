"""Five ways to learn depth on the same pictures, with what each of them needed.

    python -m zdlib.paper.side_by_side

lets the trained networks, whose weights are not in git, predict the test frames of two rendered roads and of rendered
rooms, and writes `results/side_by_side/scores.csv` and `pictures.npz`, which git keeps and the last notebook shows.
Scale and shift of each inverse depth are fitted to the truth, image by image (MiDaS' alignment), for all alike: two of
the five know no metres.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float32, UInt8
from matplotlib.figure import Figure
from PIL import Image
from tqdm import tqdm

from zdlib.colours import depth_picture
from zdlib.data.sample import Sample
from zdlib.errors import ZDError
from zdlib.files import atomic_path, write_csv
from zdlib.metrics import protocols
from zdlib.metrics.depth import depth_metrics
from zdlib.metrics.intervals import image_intervals
from zdlib.metrics.protocols import resize
from zdlib.models.catalogue import load_depth_model
from zdlib.models.depth_model import DepthModel, Inference
from zdlib.paper.figures import Column, picture_grid
from zdlib.paper.label_free.judged import street_frames, zero_shot
from zdlib.paths import repo_root

FOLDER = Path("results") / "side_by_side"
FIX = "python -m zdlib.paper.side_by_side makes it"
FARTHEST = {"Streets-K": 40.0, "Streets-V": 40.0, "Rooms-N": 5.0}  # metres, of colours
WIDTH = 256  # pixels of a kept picture at most
METRICS = ("abs_rel", "delta1")
NEAREST = np.float32(1e-3)  # metres: a depth of 0 has no inverse


@dataclass(frozen=True)
class Pupil:
    """A network and how it learnt.

    Attributes:
        title: in tables and over pictures.
        needed: what it was given beside pictures.
        gives: what its numbers are.
        weights: its checkpoint, from the root of the checkout.
        learnt_on: the data sets whose training part that is.
    """

    title: str
    needed: str
    gives: str
    weights: str
    learnt_on: str


PUPILS = (
    Pupil(
        "supervised",
        "metric depth of rooms and roads",
        "metres",
        "results/streets_mixed/checkpoints/zoed_nk.safetensors",
        "Streets-K, Rooms-N",
    ),
    Pupil(
        "distilled",
        "metric depth and 13 classes of rooms",
        "metres",
        "results/demo/checkpoints/distill.safetensors",
        "Rooms-N",
    ),
    Pupil(
        "pseudo-labelled",
        "depth of rooms and roads, and a teacher's maps of pictures without depth",
        "up to scale and shift",
        "results/depth_anything_study/checkpoints/perturbed_1.safetensors",
        "Streets-K, Rooms-N",
    ),
    Pupil(
        "stereo-taught",
        "pairs of roads, focal length and baseline",
        "metres",
        "results/stereo/checkpoints/light_monodepth_long_1.safetensors",
        "Streets-K",
    ),
    Pupil(
        "video-taught",
        "three frames in a row of roads, and the focal length",
        "up to a scale",
        "results/video/checkpoints/depth_only_1.safetensors",
        "Streets-K",
    ),
)


@dataclass(frozen=True)
class Tests:
    """A data set's test frames; the one in their middle is shown."""

    title: str
    frames: list[Sample]

    @property
    def shown(self) -> Sample:
        """The frame in the middle: nobody picked it."""
        return self.frames[len(self.frames) // 2]


def tests() -> Iterator[Tests]:
    """What is judged: roads that networks learnt on, roads that none did, and rooms.

    Of Streets-K the middle frame of each test clip, of the rooms every fourth: their neighbours show the same place.
    """
    yield Tests("Streets-K", [frame.sample for frame in street_frames() if frame.number % 3 == 1])
    for data in zero_shot(("Streets-V", "Rooms-N")):
        samples = [sample for _, sample in data.frames]
        yield Tests(data.title, samples[::4] if data.title == "Rooms-N" else samples)


def rules(data: str) -> protocols.Protocol:
    """The protocol of a data set: relative inverse depth, aligned."""
    return protocols.get("nyu/relative" if data == "Rooms-N" else "streets/relative")


def inverse_depth(model: DepthModel, sample: Sample) -> Float32[np.ndarray, "_ _"]:
    """What a network of any family says, as inverse depth at its own resolution."""
    domain = None
    if model.domains:
        domain = model.domains[0] if sample.depth.max() <= 10 else model.domains[-1]
    depth = model(sample.image, Inference(flip=False, domain=domain))
    return depth if model.convention.kind == "relative" else 1 / np.maximum(depth, NEAREST)


def judge(root: Path) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Every network whose checkpoint is there, on every frame.

    Returns:
        `network, data, frame, scene`, `abs_rel` and `delta1` after alignment; and aligned depths of the frames that are
        shown, by `<network> <data>`.

    Raises:
        ZDError: no checkpoint is there.
    """
    pupils = [pupil for pupil in PUPILS if (root / pupil.weights).is_file()]
    if not pupils:
        raise ZDError(f"{root}: holds none of the five checkpoints ({PUPILS[0].weights}, …): train them first")
    models = {pupil.title: load_depth_model(root / pupil.weights) for pupil in pupils}
    rows: list[dict[str, Any]] = []
    pictures = {}
    for data in tests():
        protocol = rules(data.title)
        for number, sample in enumerate(tqdm(data.frames, desc=data.title, unit="frame", mininterval=1)):
            for title, model in models.items():
                depth, valid = protocol.prepare(inverse_depth(model, sample), sample)
                scores = depth_metrics(depth, sample.depth, valid)
                named = {"network": title, "data": data.title, "frame": number, "scene": sample.scene}
                rows.append(named | {name: scores[name] for name in METRICS})
                if sample is data.shown:
                    pictures[f"{title} {data.title}"] = _small(depth).astype(np.float16)
    return pd.DataFrame(rows), pictures


def _small(depth: np.ndarray) -> np.ndarray:
    height, width = depth.shape
    return resize(depth, (round(height * WIDTH / width), WIDTH)) if width > WIDTH else depth


def main() -> None:
    """Write both files."""
    scores, maps = judge(repo_root())
    pictures: dict[str, Any] = dict(maps)
    folder = repo_root() / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_path(folder / "pictures.npz") as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, **pictures)
    write_csv(folder / "scores.csv", scores.round(5))


# ------------------------------------------------------------------------------------------------------ to look at
def table(root: Path | None = None) -> pd.DataFrame:
    """One row a network: `network, needed, learnt_on, gives`, and AbsRel after alignment on each data set.

    `<data>_low` and `<data>_high` are the ends of its 95 % interval over scenes.

    Raises:
        ZDError: the scores are not there.
    """
    scores, rows = pd.read_csv(_there("scores.csv", root), dtype={"scene": str}), []
    for pupil in PUPILS:
        of_network = scores[scores["network"] == pupil.title]
        if of_network.empty:
            continue
        row: dict[str, Any] = {name: getattr(pupil, name) for name in ("needed", "learnt_on", "gives")}
        for data in FARTHEST:
            frames = of_network[of_network["data"] == data].assign(pixels=1)
            interval = image_intervals(frames, np.random.default_rng(0), ["abs_rel"])["abs_rel"]
            row |= {data: interval.value, f"{data}_low": interval.low, f"{data}_high": interval.high}
        rows.append({"network": pupil.title, **row})
    return pd.DataFrame(rows)


def figure(root: Path | None = None) -> Figure:
    """A row a data set: the picture, its true depth, and what every network makes of it.

    Raises:
        ZDError: the pictures are not there.
    """
    with np.load(_there("pictures.npz", root)) as kept:
        maps = {name: kept[name].astype(np.float32) for name in kept.files}
    shown = {data.title: data.shown for data in tests()}
    small = {name: _small(sample.depth) for name, sample in shown.items()}
    columns = [
        Column("picture", [_small_picture(sample.image) for sample in shown.values()]),
        Column("true depth", [depth_picture(small[name], 0.0, far) for name, far in FARTHEST.items()]),
    ]
    for pupil in PUPILS:
        if f"{pupil.title} Streets-K" in maps:
            made = [depth_picture(maps[f"{pupil.title} {name}"], 0.0, far) for name, far in FARTHEST.items()]
            columns.append(Column(pupil.title, made))
    return picture_grid(columns)


def _there(name: str, root: Path | None) -> Path:
    path = (root or repo_root()) / FOLDER / name
    if not path.is_file():
        raise ZDError(f"{path}: no such file: {FIX}")
    return path


def _small_picture(image: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "_ _ 3"]:
    height, width = image.shape[:2]
    size = (WIDTH, round(height * WIDTH / width)) if width > WIDTH else (width, height)
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BOX))


if __name__ == "__main__":
    main()
