import pickle

import numpy as np
import pandas as pd
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from zdlib.accumulator import DepthAccumulator
from zdlib.errors import ZDError
from zdlib.metrics import METRICS, depth_metrics


def batch(frames):
    maps = [np.random.default_rng(frame).uniform(1, 5, (2, 6, 8)).astype(np.float32) for frame in frames]
    pred, gt = (torch.from_numpy(np.stack(part)) for part in zip(*maps, strict=True))
    return pred, gt, gt > 1.5, torch.tensor(frames)


def accumulated(*batches):
    accumulator = DepthAccumulator()
    for frames in batches:
        accumulator.update(*batch(frames))
    return accumulator


def test_rows_are_the_single_metrics():
    table = accumulated([3, 1], [2]).per_image()
    assert table["frame"].tolist() == [1, 2, 3]
    for i, frame in enumerate((1, 2, 3)):
        pred, gt, valid, _ = batch([frame])
        assert table["pixels"][i] == valid.sum()
        expected = depth_metrics(pred[0].numpy(), gt[0].numpy(), valid[0].numpy())
        assert table.loc[i, list(METRICS)].to_dict() == pytest.approx(expected, rel=1e-6)


def test_order_processes_and_repetitions_change_nothing():
    together = accumulated([0, 1], [2, 3]).per_image()
    merged = accumulated([3, 1])
    merged.merge(pickle.loads(pickle.dumps(accumulated([0], [2, 1]))))
    pd.testing.assert_frame_equal(merged.per_image(), together, check_exact=True)


def test_image_without_a_valid_pixel_keeps_its_row():
    pred, gt, valid, frames = batch([0, 1])
    valid[1] = False
    accumulator = DepthAccumulator()
    for _ in range(2):
        accumulator.update(pred, gt, valid, frames)
    table = accumulator.per_image()
    assert table["pixels"].tolist()[1] == 0
    assert table.loc[1, list(METRICS)].isna().all()


def test_one_number_for_two_images_is_refused():
    pred, gt, valid, _ = batch([0, 1])
    accumulator = DepthAccumulator()
    accumulator.update(pred, gt, valid, torch.tensor([7, 7]))
    with pytest.raises(ZDError, match="frame 7: was judged twice"):
        accumulator.per_image()


def test_empty():
    table = DepthAccumulator().per_image()
    assert table.empty
    assert list(table) == ["frame", "pixels", *METRICS]


def gather_on(rank, folder):
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
    accumulator = accumulated([0, 1, 2] if rank == 0 else [3, 0])  # uneven, and frame 0 twice
    accumulator.gather()
    accumulator.per_image().to_pickle(f"{folder}/{rank}.pkl")
    dist.destroy_process_group()


def test_gather_across_processes(tmp_path):
    alone = accumulated([0, 1, 2, 3])
    alone.gather()
    mp.spawn(gather_on, (str(tmp_path),), nprocs=2)
    for rank in (0, 1):
        gathered = pd.read_pickle(tmp_path / f"{rank}.pkl")
        pd.testing.assert_frame_equal(gathered, alone.per_image(), check_exact=True)
