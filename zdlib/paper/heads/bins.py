"""What the bins of trained metric heads do: where their centres lie at each level, and how a pixel chooses among them.

Measured from the weights of a study's jobs (profile `heads`) in its own run, after the trainings; what was measured is
kept in `results/<profile>/per_image/bins_{levels,choice,edge}.csv`, which other profiles' reports read.

    python -m zdlib.paper.heads.bins          # measures again, where the weights are
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Float32, UInt8
from scipy.ndimage import maximum_filter, minimum_filter
from torch import Tensor

from zdlib.config import Profile, load_profile
from zdlib.errors import ZDError
from zdlib.files import write_csv
from zdlib.geometry import resize
from zdlib.metrics import protocols
from zdlib.models.depth_model import Inference, to_tensor
from zdlib.models.layers.dpt import DecoderFeatures
from zdlib.models.zoe.log_binomial import log_binomial_depth
from zdlib.models.zoe.metric_bins import MetricBins
from zdlib.models.zoe.network import ZoeDepth
from zdlib.paper.bin_centres import spread_by_level
from zdlib.paper.trained_runs import TrainedRun, load_run, open_nyu
from zdlib.paths import RunPaths

PROFILE = "heads"
FRAMES = 16  # test frames that are looked at
EDGE_RATIO = 1.15  # of the largest to the smallest true depth around a pixel: from here on it lies at a depth edge
AROUND = 3  # pixels: the neighbourhood's side
HALF_WIDTH = 16  # pixels of the picture of an edge, to either side
EVEN = 12  # pixels to either side of the edge that is drawn, at which depth must be smooth
TABLES = ("levels", "choice", "edge")


@dataclass(frozen=True)
class Bins:
    """What was measured of every training.

    Attributes:
        levels: `arm, seed, level, lowest, highest, spread`, metres, means over pixels (`spread_by_level`).
        choice: `arm, seed, where, entropy, effective, width`: means over the pixels at depth edges (`edge`) and
            elsewhere of the entropy of the distribution over bins (nats), of exp(entropy), i.e. how many equally
            likely bins would have it, and of the distribution's standard deviation in metres.
        edge: the first seed of each arm along a row of a picture across a depth edge, every bin of every pixel:
            `arm, pixel, true, predicted, bin, centre, probability`.
    """

    levels: pd.DataFrame
    choice: pd.DataFrame
    edge: pd.DataFrame


def bins_of(profile: Profile, paths: RunPaths) -> Bins:
    """What the bins of a study's trainings do: measured where this is the study's own run, else what it has left.

    Args:
        profile: of the study.
        paths: of the run that shows it.

    Raises:
        ZDError: weights or tables are not there.
    """
    if paths.profile == profile.name:
        write(measure(profile, paths), paths)
    return read(RunPaths(profile.name))


def write(bins: Bins, paths: RunPaths) -> None:
    """Keep what was measured."""
    for name in TABLES:
        write_csv(paths.per_image / f"bins_{name}.csv", getattr(bins, name).round(5))


def read(paths: RunPaths) -> Bins:
    """What `write` has kept.

    Raises:
        ZDError: nothing.
    """
    files = [paths.per_image / f"bins_{name}.csv" for name in TABLES]
    for file in files:
        if not file.is_file():
            raise ZDError(f"{file}: no such file: ./run_all.sh --profile {paths.profile} measures it")
    return Bins(*map(pd.read_csv, files))


def measure(profile: Profile, paths: RunPaths) -> Bins:
    """Look at every training of a study whose head has bins, on the first official test frames.

    Raises:
        ZDError: weights or data are not there.
    """
    assert profile.study is not None
    nyu = open_nyu(profile)
    frames = nyu.frames(protocols.get("nyu/standard"))[:FRAMES].tolist()
    samples = [nyu.readers["raw"][frame] for frame in frames]
    pictures, depths = [sample.image for sample in samples], [sample.depth for sample in samples]
    height, width = profile.model.input_size
    depths = [_nearest(depth, (height, width)) for depth in depths]
    place = sharpest_edge(depths)
    levels, choice, edge = [], [], []
    for key, config in profile.study.jobs().items():
        arm, _, seed = key.rpartition("_")
        run = load_run(profile.job(key), key, paths)
        if run.model.network.config.head != "naive":
            levels.append(spread_by_level(run, pictures, profile.evaluate.batch_size).assign(arm=arm, seed=int(seed)))
            choice.append(choice_of(run, pictures, depths).assign(arm=arm, seed=int(seed)))
        if config.seed == profile.study.arms[arm].seeds[0]:
            edge.append(along_edge(run, pictures, depths, place).assign(arm=arm))
    order = ["arm", "seed"]
    return Bins(
        pd.concat(levels)[[*order, "level", "lowest", "highest", "spread"]],
        pd.concat(choice)[[*order, "where", "entropy", "effective", "width"]],
        pd.concat(edge)[["arm", "pixel", "true", "predicted", "bin", "centre", "probability"]],
    )


# -------------------------------------------------------------------------------------------------- distributions
def probabilities(head: MetricBins, features: DecoderFeatures) -> tuple[Tensor, Tensor]:
    """The distribution over bins at every pixel, and the centres there in the training's unit; (b k h w) each.

    The head itself never holds them: it goes from its output layer to the mean at once. Depth is linear in the
    centres, so that the mean of an indicator of one bin is that bin's probability.

    Source: ZoeDepth, section 3.2 and equation 3.

    Args:
        head: of one domain, with bins.
        features: of the decoder, at all pixels.
    """
    config = head.config
    route = torch.zeros(len(features.fine), dtype=torch.long, device=features.fine.device)
    fine = [features.fine, features.rel_depth] if config.rel_depth_in_output else [features.fine]
    size = fine[0].shape[2:]
    centres, share = head.bins(head.conv(features.bottleneck), features.fused, route)
    hidden = head.output.layer(0, torch.cat(fine, dim=1), route, slice(0, head.n_fine)) + resize(share, size)
    raw = head.output.layer(2, F.gelu(hidden), route)
    centres = resize(centres, size)
    if config.output == "softmax":
        return raw.softmax(1), centres
    limits = config.min_temperature, config.max_temperature
    indicators = torch.eye(centres.shape[1], device=raw.device)[:, None, :, None, None]
    parts = [log_binomial_depth(raw, one.expand_as(centres), *limits) for one in indicators]
    return torch.cat(parts, dim=1), centres


def choice_of(
    run: TrainedRun, pictures: Sequence[UInt8[np.ndarray, "h w 3"]], depths: Sequence[Float32[np.ndarray, "nh nw"]]
) -> pd.DataFrame:
    """Entropy and width of a run's distributions over bins, at depth edges and elsewhere (see `Bins.choice`).

    Args:
        run: with a bins head.
        pictures: of one size.
        depths: their true depth at the network's size; 0 where there is none.
    """
    values: dict[str, list[np.ndarray]] = {"edge": [], "elsewhere": []}
    for probability, centres, depth in _distributions(run, pictures, depths):
        logarithm = np.log(np.maximum(probability, 1e-30))
        entropy = -(probability * logarithm).sum(0)
        mean = (probability * centres).sum(0)
        width = np.sqrt(np.maximum((probability * centres**2).sum(0) - mean**2, 0))
        numbers = np.stack([entropy, np.exp(entropy), width])
        edge, smooth = at_edge(depth)
        values["edge"].append(numbers[:, edge])
        values["elsewhere"].append(numbers[:, smooth])
    rows = [
        {"where": where, **dict(zip(("entropy", "effective", "width"), np.hstack(parts).mean(1), strict=True))}
        for where, parts in values.items()
    ]
    return pd.DataFrame(rows)


def _distributions(
    run: TrainedRun, pictures: Sequence[np.ndarray], depths: Sequence[np.ndarray]
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Probabilities and centres (k h w, float64, metres) of each picture, with its true depth."""
    model = run.model
    network = model.network
    assert isinstance(network, ZoeDepth)
    for picture, depth in zip(pictures, depths, strict=True):
        with model.inference(Inference().precision):
            images = model.squeezed(to_tensor([picture], model.device))
            probability, centres = probabilities(network.head, network.decoder(network.levels(images)))
        metres = centres[0].double().cpu().numpy() * model.convention.metres_per_unit
        yield probability[0].double().cpu().numpy(), metres, depth


# ---------------------------------------------------------------------------------------------------------- edges
def at_edge(depth: Float32[np.ndarray, "h w"]) -> tuple[Bool[np.ndarray, "h w"], Bool[np.ndarray, "h w"]]:
    """Pixels at a depth edge, and those in smooth depth; pixels near one without depth are neither.

    Args:
        depth: metres, 0 where there is none.
    """
    near, far = minimum_filter(depth, AROUND), maximum_filter(depth, AROUND)
    there = near > 0
    edge = there & (far > EDGE_RATIO * np.where(there, near, 1))
    return edge, there & ~edge


def sharpest_edge(depths: Sequence[Float32[np.ndarray, "h w"]]) -> tuple[int, int, int]:
    """Picture, row and column with the largest step of depth between two smooth surfaces, in the middle of the row.

    Raises:
        ZDError: none has depth around it.
    """
    best, place = 0.0, None
    for number, depth in enumerate(depths):
        for column in range(HALF_WIDTH, depth.shape[1] - HALF_WIDTH):
            left, right = depth[:, column - EVEN : column], depth[:, column : column + EVEN]
            smooth = np.minimum(left.min(1), right.min(1)) > 0
            for side in (left, right):
                smooth &= side.max(1) < 1.05 * np.maximum(side.min(1), 1e-6)
            step = np.abs(np.log(np.maximum(left.mean(1), 1e-6) / np.maximum(right.mean(1), 1e-6))) * smooth
            row = int(step.argmax())
            if step[row] > best:
                best, place = float(step[row]), (number, row, column)
    if place is None:
        raise ZDError("no test frame has a depth edge between two smooth surfaces: take others")
    return place


def along_edge(
    run: TrainedRun,
    pictures: Sequence[UInt8[np.ndarray, "h w 3"]],
    depths: Sequence[Float32[np.ndarray, "nh nw"]],
    place: tuple[int, int, int],
) -> pd.DataFrame:
    """Every bin of every pixel along a row across an edge (see `Bins.edge`); of a head without bins, its depth alone.

    Args:
        run: any head.
        pictures: of one size.
        depths: as for `choice_of`.
        place: see `sharpest_edge`.
    """
    number, row, column = place
    window = slice(column - HALF_WIDTH, column + HALF_WIDTH)
    true = depths[number][row, window]
    pixel = np.arange(-HALF_WIDTH, HALF_WIDTH)
    if run.model.network.config.head == "naive":
        (depth,) = run.model.predict([pictures[number]], Inference(flip=False))
        table = {"pixel": pixel, "true": true, "predicted": depth[row, window]}
        return pd.DataFrame(table).assign(bin=0, centre=np.nan, probability=np.nan)
    ((probability, centres, _),) = _distributions(run, [pictures[number]], [depths[number]])
    probability, centres = probability[:, row, window], centres[:, row, window]
    k, n = probability.shape
    return pd.DataFrame(
        {
            "pixel": np.tile(pixel, k),
            "true": np.tile(true, k),
            "predicted": np.tile((probability * centres).sum(0), k),
            "bin": np.repeat(np.arange(k), n),
            "centre": centres.ravel(),
            "probability": probability.ravel(),
        }
    )


def _nearest(depth: Float32[np.ndarray, "h w"], size: tuple[int, int]) -> Float[np.ndarray, "nh nw"]:
    """Depth at another size, by nearest neighbour: between the two sides of an edge there is nothing."""
    rows, columns = (((np.arange(n) + 0.5) * b / n).astype(np.int64) for n, b in zip(size, depth.shape, strict=True))
    return depth[np.ix_(rows, columns)]


if __name__ == "__main__":
    _profile = load_profile(PROFILE)
    write(measure(_profile, RunPaths(PROFILE)), RunPaths(PROFILE))
