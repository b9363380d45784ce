"""Validation: mean depth metrics over the selection frames, however many processes share them."""

from collections.abc import Callable, Collection

import numpy as np
import pandas as pd
from jaxtyping import Float32
from torch.utils.data import DataLoader

from zdlib.distributed import gather, processes, rank
from zdlib.metrics.depth import METRICS, depth_metrics
from zdlib.train.method import Batch, Watch
from zdlib.train.training_set import TrainingSet


def validate(
    frames: TrainingSet,
    predict: Callable[[Batch], Float32[np.ndarray, "b h w"]],
    batch_size: int,
    metrics: Collection[str] = METRICS,
    watch: Watch | None = None,
) -> dict[str, float]:
    """Means over frames of an image's depth metrics, in metres.

    Processes take whole batches in turn, so that the result does not depend on their number.

    Args:
        frames: at least one with a valid pixel.
        predict: depth of a batch of them, in the unit of their depth and at its size.
        batch_size: of a process.
        metrics: which ones.
        watch: is shown each frame by the process that predicts it.
    """
    rows, metres = [], frames.recipe.metres_per_unit
    first, every = rank(), processes()
    batches = [list(range(len(frames)))[i : i + batch_size] for i in range(0, len(frames), batch_size)]
    for number, batch in enumerate(DataLoader(frames, batch_sampler=batches[first::every])):
        place = (first + number * every) * batch_size
        for i, prediction in enumerate(predict(batch)):
            valid = batch["mask"][i, 0].numpy()
            if not valid.any():
                continue
            found, true = prediction * metres, batch["depth"][i, 0].numpy() * metres
            scores = depth_metrics(found, true, valid)
            rows.append((place + i, {name: scores[name] for name in metrics}))
            if watch is not None:
                watch(place + i, batch["image"][i], true, found, valid)
    in_order = [scores for _, scores in sorted(gather(rows), key=lambda row: row[0])]
    return {str(name): float(value) for name, value in pd.DataFrame(in_order).mean().items()}
