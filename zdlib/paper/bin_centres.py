"""What became of a trained network's bins: how far apart their centres lie, level by level."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from jaxtyping import UInt8

from zdlib.models.depth_model import Inference, batches, to_tensor
from zdlib.models.zoe.depth_model import ZoeDepthModel
from zdlib.paper.trained_runs import TrainedRun

LEVELS = ("seed, 1/32", "1/16", "1/8", "1/4", "1/2")


def spread_by_level(run: TrainedRun, pictures: Sequence[UInt8[np.ndarray, "h w 3"]], batch_size: int) -> pd.DataFrame:
    """How much of the depth range the bins of a run cover where they are: one row per level of the head.

    Args:
        run: a trained ZoeDepth with a bins head.
        pictures: of one size.
        batch_size: pictures of a forward pass.

    Returns:
        Columns `method`, `level` and, averaged over pixels and pictures, in metres: `lowest` and `highest` centre, and
        the standard deviation of a pixel's centres, `spread`.
    """
    model: ZoeDepthModel = run.model
    sums = np.zeros((len(LEVELS), 3))
    for batch in batches(pictures, batch_size, f"bins of {run.title}"):
        with model.inference(Inference().precision):
            images = model.squeezed(to_tensor(batch, model.device))
            network = model.network
            levels = network.head.trace(network.decoder(network.levels(images)))
        for number, centres in enumerate(levels):
            metres = centres.float() * model.convention.metres_per_unit  # b k h w
            parts = metres.amin(1), metres.amax(1), metres.std(1, correction=0)
            sums[number] += [float(torch.mean(part)) * len(batch) for part in parts]
    means = sums / len(pictures)
    table = pd.DataFrame(means, columns=["lowest", "highest", "spread"])
    return table.assign(method=run.title, level=LEVELS)[["method", "level", "lowest", "highest", "spread"]]
