"""Depth metrics of a stream of batches, without waiting for the accelerator."""

import pandas as pd
import torch
import torch.distributed as dist
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor

from zdlib.errors import ZDError
from zdlib.metrics import METRICS, batch_depth_metrics


class DepthAccumulator:
    """Keeps every image's metrics on the device they were computed on, and copies them to the host once.

    Means, intervals and pooled values are taken from the resulting per-image table; no running average is kept, so
    that the order of batches and the number of processes change nothing.
    """

    def __init__(self) -> None:
        self._rows: list[Float64[Tensor, "b 12"]] = []

    def update(
        self,
        pred: Float[Tensor, "b h w"],
        gt: Float[Tensor, "b h w"],
        valid: Bool[Tensor, "b h w"],
        frames: Int64[Tensor, " b"],
    ) -> None:
        """Add a batch.

        Args:
            pred: prediction, as in `zdlib.metrics.depth_metrics`.
            gt: ground truth.
            valid: the pixels that count.
            frames: the images' frame numbers, by which `per_image` sorts and recognises repetitions.
        """
        pixels = valid.sum(dim=(1, 2), dtype=torch.float64)
        frames = frames.to(pixels.device, torch.float64, non_blocking=True)
        metrics = batch_depth_metrics(pred, gt, valid)
        self._rows.append(torch.cat([frames[:, None], pixels[:, None], metrics], dim=1))

    def merge(self, other: "DepthAccumulator") -> None:
        """Take over the images of another accumulator (of another process, say: accumulators can be pickled)."""
        self._rows.extend(other._rows)

    def gather(self) -> None:
        """Merge the accumulators of all processes of the default group, on every process; alone, do nothing."""
        if not (dist.is_available() and dist.is_initialized()):
            return
        mine = self._table().cpu()
        tables: list[Tensor | None] = [None] * dist.get_world_size()
        dist.all_gather_object(tables, mine)
        self._rows = [table for table in tables if table is not None]

    def per_image(self) -> pd.DataFrame:
        """One row an image, sorted by frame: `frame, pixels` and every metric (NaN without a valid pixel).

        A frame that was added more than once (samplers of several processes repeat frames to even out their shares)
        appears once.

        Raises:
            ZDError: the repetitions of a frame differ.
        """
        table = pd.DataFrame(self._table().cpu().numpy(), columns=["frame", "pixels", *METRICS])
        table = table.astype({"frame": "int64", "pixels": "int64"}).drop_duplicates().sort_values("frame")
        if table["frame"].duplicated().any():
            frame = table.loc[table["frame"].duplicated(), "frame"].iloc[0]
            raise ZDError(f"frame {frame}: was judged twice with different results: give every image its own number")
        return table.reset_index(drop=True)

    def _table(self) -> Float64[Tensor, "n 12"]:
        if not self._rows:
            return torch.zeros((0, 2 + len(METRICS)), dtype=torch.float64)
        device = self._rows[0].device
        return torch.cat([rows.to(device) for rows in self._rows])
