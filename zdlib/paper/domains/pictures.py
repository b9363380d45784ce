"""Pictures of the study of domains, and what routing costs in time.

`python -m zdlib.paper.domains.pictures` lets the study's networks predict a few rendered pictures that none was trained
on, and writes into `results/domains/per_image` `pictures.npz` (depths of each arm's first seed), `between.csv` (what
every router makes of pictures between the domains) and `routing_time.csv`. Git keeps all three; notebook 13 shows them
without any weights.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float32, UInt8
from matplotlib.figure import Figure
from PIL import Image

from zdlib.colours import depth_picture
from zdlib.config import Profile, load_profile
from zdlib.data.rooms.store import StoredImage, open_store
from zdlib.data.streets.reader import StreetFrames
from zdlib.errors import ZDError
from zdlib.files import atomic_path, write_csv
from zdlib.metrics.protocols import resize
from zdlib.models.depth_model import Inference
from zdlib.models.factory import create_model, load_depth_model
from zdlib.models.zoe.depth_model import ZoeDepthModel
from zdlib.models.zoe.network import ZoeDepth
from zdlib.paper.domains.job import INDOOR, OUTDOOR, predict_heads
from zdlib.paper.figures import Column, metric_scale, picture_grid
from zdlib.paths import RunPaths, repo_root

PROFILE = "domains"
ROOMS, STREETS = "data/rooms/rooms_i.h5", "data/streets/streets_v.h5"
SHOWN = {"x_nk_one": "X-NK†", "m_nk_one": "M-NK†", "m_nk": "M-NK"}  # arms of the zero-shot grids
ROUTED = ("m_nk_labelled", "m_nk", "m_nk_auto")
WIDTH = 320  # pixels of a picture in a figure
PLAIN = Inference(flip=False)


@dataclass(frozen=True)
class Scene:
    """A rendered picture with its depth (metres, 0 = invalid)."""

    name: str
    image: UInt8[np.ndarray, "h w 3"]
    depth: Float32[np.ndarray, "h w"]


def zero_shot_scenes() -> list[Scene]:
    """Three of Rooms-I and three of Streets-V, evenly spread over each: none picked."""
    rooms, streets = open_store(repo_root() / ROOMS), StreetFrames(repo_root() / STREETS)
    places = lambda count: [count * (2 * k + 1) // 6 for k in range(3)]  # noqa: E731
    seen = [_room(f"no. {n}", rooms[n]) for n in places(len(rooms))]
    return seen + [Scene(f"no. {n}", streets[n].image, streets[n].depth) for n in places(len(streets))]


def scenes_between() -> list[Scene]:
    """Pictures between the domains, chosen by a rule and not by what any network makes of them.

    The room of Rooms-I with the most window, what is seen of it towards the window, and the frame of Streets-V whose
    median depth is the smallest: a narrow street.
    """
    rooms, streets = open_store(repo_root() / ROOMS), StreetFrames(repo_root() / STREETS)
    window = rooms.label_names.index("window")
    chosen = int(np.argmax([np.count_nonzero(rooms.labels(n) == window) for n in range(len(rooms))]))
    room = _room("a room with a large window", rooms[chosen])
    rows, columns = _around(rooms.labels(chosen) == window)
    medians = [float(np.median(depth[depth > 0])) for depth in (streets[n].depth for n in range(len(streets)))]
    street = streets[int(np.argmin(medians))]
    return [
        room,
        Scene("towards its window", room.image[rows, columns], room.depth[rows, columns]),
        Scene("a narrow street", street.image, street.depth),
    ]


def _room(name: str, room: StoredImage) -> Scene:
    """A room, without depth where iBims-1's masks say that there is none to judge: windows, glass."""
    masks = [mask > 0 for mask in (room.mask_invalid, room.mask_transp) if mask is not None]
    return Scene(name, room.image, np.where(np.all(masks, axis=0), room.depth, np.float32(0)) if masks else room.depth)


def _around(mask: np.ndarray) -> tuple[slice, slice]:
    """The smallest window that holds 90 % of a mask's rows and of its columns, at least 64 pixels high and wide."""
    windows = []
    for axis, length in ((1, mask.shape[0]), (0, mask.shape[1])):
        share = np.cumsum(mask.sum(axis=axis)) / mask.sum()
        first, last = int(np.searchsorted(share, 0.05)), int(np.searchsorted(share, 0.95)) + 1
        missing = max(0, 64 - (last - first))
        first = max(0, min(first - missing // 2, length - 64))
        windows.append(slice(first, max(last, first + 64)))
    return windows[0], windows[1]


# -------------------------------------------------------------------------------------------------------- to disk
def predict_pictures(profile: Profile, paths: RunPaths) -> dict[str, Float32[np.ndarray, "pictures h w"]]:
    """Depths, at the network's resolution: `<arm>` of the zero-shot scenes, `between_<arm>` of those between."""
    maps = {}
    for arm in SHOWN:
        model = _first(profile, paths, arm)
        maps[arm] = np.stack([model(scene.image, PLAIN) for scene in zero_shot_scenes()])
    for arm in ROUTED[1:]:
        model = _first(profile, paths, arm)
        maps[f"between_{arm}"] = np.stack([model(scene.image, PLAIN) for scene in scenes_between()])
    return maps


def judge_between(profile: Profile, paths: RunPaths) -> pd.DataFrame:
    """What every seed's router makes of the scenes between the domains.

    Returns:
        `picture, arm, seed, outdoor` (probability; NaN for a labelled router), the true `median` depth in metres, and
        its prediction through each head, `median_nyu` and `median_kitti`.
    """
    assert profile.study is not None
    scenes, rows = scenes_between(), []
    for arm in ROUTED:
        files = {seed: paths.checkpoints / f"{arm}_{seed}.safetensors" for seed in profile.study.arms[arm].seeds}
        for seed, file in files.items():
            if not file.is_file():  # of a grid under way
                continue
            model = load_depth_model(file)
            for scene in scenes:
                found = predict_heads(model, [scene.image], PLAIN)
                valid = scene.depth > 0
                heads = {
                    f"median_{k}": np.median(resize(v[0], scene.depth.shape)[valid]) for k, v in found.depths.items()
                }
                outdoor = found.probabilities[0, model.domains.index(OUTDOOR)]
                row = {"picture": scene.name, "arm": arm, "seed": seed, "outdoor": outdoor}
                rows.append(row | {"median": np.median(scene.depth[valid])} | heads)
    return pd.DataFrame(rows)


def time_routing(profile: Profile, paths: RunPaths, rounds: int = 40) -> pd.DataFrame:
    """Processor seconds of a forward pass, routed and with the head named, in turns on one thread; medians over rounds.

    Of the study's network, and (few rounds: it takes seconds) of ZoeDepth's released NK, with random weights.

    Returns:
        `network, size, batch, named` and `routed` in seconds, `extra [%]`.
    """
    torch.set_num_threads(1)
    light = _first(profile, paths, "m_nk").network
    cases = [("light NK", light, 1, rounds), ("light NK", light, 8, rounds)]
    rows = [_timed(*case) for case in cases]
    rows.append(_timed("ZoeD-NK, BEiT-L", create_model("zoe_nk_beit_l"), 1, max(2, rounds // 20)))
    return pd.DataFrame(rows)


def _timed(name: str, network: ZoeDepth, batch: int, rounds: int) -> dict[str, Any]:
    """One row of `time_routing`; where the head is named, the router is taken out, as a labelled network has none."""
    images = torch.rand((batch, 3, *network.config.input_size), generator=torch.Generator().manual_seed(0))
    label, router = torch.zeros(batch, dtype=torch.long), network.head.router
    seconds: dict[str, list[float]] = {"named": [], "routed": []}
    with torch.inference_mode():
        for number in range(rounds + 1):
            for way, domains in (("named", label), ("routed", None)):
                network.head.router = router if domains is None else None
                began = time.process_time()
                network(images, domains=domains)
                if number:  # the first one warms up
                    seconds[way].append(time.process_time() - began)
    network.head.router = router
    named, routed = (float(np.median(seconds[way])) for way in ("named", "routed"))
    size = "×".join(map(str, network.config.input_size))
    measured = {"named": named, "routed": routed, "extra [%]": 100 * (routed / named - 1)}
    return {"network": name, "size": size, "batch": batch, "rounds": rounds, **measured}


def _first(profile: Profile, paths: RunPaths, arm: str) -> ZoeDepthModel:
    """The network of an arm's first seed."""
    assert profile.study is not None
    return load_depth_model(paths.checkpoints / f"{arm}_{profile.study.arms[arm].seeds[0]}.safetensors")


def main() -> None:
    """Write all three files."""
    profile, paths = load_profile(PROFILE), RunPaths(PROFILE)
    with atomic_path(paths.per_image / "pictures.npz") as temporary, open(temporary, "wb") as file:
        maps: dict[str, Any] = {key: m.astype(np.float16) for key, m in predict_pictures(profile, paths).items()}
        np.savez_compressed(file, **maps)
    write_csv(paths.per_image / "between.csv", judge_between(profile, paths).round(4))
    write_csv(paths.per_image / "routing_time.csv", time_routing(profile, paths).round(5))


# -------------------------------------------------------------------------------------------------------- to look at
def stored_pictures(paths: RunPaths | None = None) -> dict[str, Float32[np.ndarray, "pictures h w"]]:
    """What `main` has left of depths.

    Raises:
        ZDError: it has not run.
    """
    path = (paths or RunPaths(PROFILE)).per_image / "pictures.npz"
    if not path.is_file():
        raise ZDError(
            f"{path}: no such file: python -m zdlib.paper.domains.pictures makes it after the study's trainings"
        )
    with np.load(path) as file:
        return {key: file[key].astype(np.float32) for key in file.files}


def routing_time(paths: RunPaths | None = None) -> pd.DataFrame:
    """What `main` has measured of time.

    Raises:
        ZDError: it has not run.
    """
    return _stored("routing_time.csv", paths)


def between(titles: Mapping[str, str], paths: RunPaths | None = None) -> pd.DataFrame:
    """What routers make of pictures between the domains, over seeds.

    Args:
        titles: of arms.
        paths: of the profile whose jobs have run.

    Returns:
        One row per picture and arm: `picture, variant`, the least and the largest probability of roads, and medians in
        metres: true, and means over seeds through each head.

    Raises:
        ZDError: `main` has not run.
    """
    groups = _stored("between.csv", paths).groupby(["picture", "arm"], sort=False)
    table = groups.agg(
        least=("outdoor", "min"),
        most=("outdoor", "max"),
        true=("median", "first"),
        rooms=(f"median_{INDOOR}", "mean"),
        roads=(f"median_{OUTDOOR}", "mean"),
    ).reset_index()
    table.insert(1, "variant", table.pop("arm").map(titles))
    names = {"least": "p(roads), least", "most": "p(roads), most", "true": "median, true"}
    return table.rename(columns=names | {"rooms": "through rooms' head", "roads": "through roads' head"})


def _stored(name: str, paths: RunPaths | None) -> pd.DataFrame:
    path = (paths or RunPaths(PROFILE)).per_image / name
    if not path.is_file():
        raise ZDError(
            f"{path}: no such file: python -m zdlib.paper.domains.pictures makes it after the study's trainings"
        )
    return pd.read_csv(path)


def zero_shot_figure(domain: str) -> Figure:
    """ZoeDepth's Figures 10 (rooms) and 11 (roads): pictures that no network here was trained on, invalid pixels grey.

    Args:
        domain: `INDOOR` or `OUTDOOR`.
    """
    place, far = (slice(0, 3), 10.0) if domain == INDOOR else (slice(3, 6), 80.0)
    scenes, maps = zero_shot_scenes()[place], stored_pictures()
    columns = {title: maps[arm][place] for arm, title in SHOWN.items()}
    return _grid(scenes, columns, [far] * len(scenes))


def between_figure() -> Figure:
    """The pictures between the domains, and their depth through the head that each router chooses."""
    scenes, maps = scenes_between(), stored_pictures()
    columns = {"trained router": maps["between_m_nk"], "auto router": maps["between_m_nk_auto"]}
    return _grid(scenes, columns, [10.0, 10.0, 80.0], bar=False)


def _grid(
    scenes: list[Scene], columns: dict[str, Float32[np.ndarray, "pictures h w"]], far: list[float], bar: bool = True
) -> Figure:
    """Pictures, true depth and predictions, a row per scene; all cells have the first scene's shape."""
    shape = (round(WIDTH * scenes[0].image.shape[0] / scenes[0].image.shape[1]), WIDTH)
    scale = metric_scale(0.0, far[0]) if bar else None

    def painted(depths: Iterator[np.ndarray] | list[np.ndarray]) -> list[np.ndarray]:
        return [_sized(depth_picture(depth, 0.0, end), shape) for depth, end in zip(depths, far, strict=True)]

    true = painted([scene.depth for scene in scenes])
    predicted = {
        title: painted([resize(np.ascontiguousarray(m), s.depth.shape) for m, s in zip(maps, scenes, strict=True)])
        for title, maps in columns.items()
    }
    return picture_grid(
        [
            Column("picture", [_sized(scene.image, shape) for scene in scenes]),
            Column("true depth", true, scale),
            *(Column(title, pictures, scale) for title, pictures in predicted.items()),
        ],
        [scene.name for scene in scenes],
    )


def _sized(picture: UInt8[np.ndarray, "h w 3"], shape: tuple[int, int]) -> UInt8[np.ndarray, "h2 w2 3"]:
    return np.asarray(Image.fromarray(picture).resize((shape[1], shape[0]), Image.Resampling.BOX))


if __name__ == "__main__":
    main()
