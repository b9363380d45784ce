"""As many frames of every domain in every batch, in an order that a resumed epoch repeats."""

from collections import Counter

import numpy as np
import pytest
import torch

from zdlib.data.sample import Sample
from zdlib.errors import ZDError
from zdlib.recipes import RECIPES
from zdlib.train.balanced import BalancedBatches, DomainItems
from zdlib.train.training_set import TrainingSet


def frames(count: int, size: tuple[int, int] = (4, 6), depth: float = 2.0) -> TrainingSet:
    """So many grey frames."""
    samples = [
        Sample(name=str(n), image=np.full((*size, 3), n, np.uint8), depth=np.full(size, depth, np.float32), labels=None)
        for n in range(count)
    ]
    return TrainingSet(samples, np.arange(count), RECIPES["corrected"], augment=False, seed=0)


def batches(items: DomainItems, seed: int = 3, skip: int = 0, **options) -> list[list[int]]:
    order = BalancedBatches(
        items, options.get("batch_size", 4), options.get("frames"), torch.Generator().manual_seed(seed)
    )
    order.skip = skip
    chosen = list(order)
    assert len(chosen) == len(order) - skip
    return chosen


@pytest.fixture(scope="module")
def items() -> DomainItems:
    return DomainItems([frames(7), frames(3)], ["rooms", "roads"])


def test_every_batch_has_as_many_of_each(items):
    for batch in batches(items):
        assert Counter(items[position]["domain"].item() for position in batch) == {0: 2, 1: 2}


def test_all_frames_come_before_one_comes_again(items):
    shown = [position for batch in batches(items) for position in batch]
    rooms, roads = ([position for position in shown if (position >= 7) == far] for far in (False, True))
    assert sorted(rooms[:7]) == list(range(7))
    assert sorted(roads[:3]) == sorted(roads[3:6]) == [7, 8, 9]


def test_an_epoch_is_as_long_as_the_largest_domain_or_as_it_is_told(items):
    assert len(batches(items)) == 4
    assert len(batches(items, frames=21)) == 11


def test_the_rest_of_an_epoch_is_what_it_was(items):
    assert batches(items, skip=2) == batches(items)[2:]
    assert batches(items, seed=4) != batches(items)


def test_two_processes_share_a_batch_and_each_gets_every_domain(items, monkeypatch):
    whole = batches(items)
    monkeypatch.setattr("zdlib.train.balanced.processes", lambda: 2)
    for number in range(2):
        monkeypatch.setattr("zdlib.train.balanced.rank", lambda number=number: number)
        assert [batch[2 * number : 2 * number + 2] for batch in whole] == batches(items)


def test_a_batch_that_is_too_small_is_refused(items):
    with pytest.raises(ZDError, match=r"train\.batch_size 1: too small for 2 domains"):
        batches(items, batch_size=1)


def test_frames_of_two_sizes_are_refused_by_name():
    with pytest.raises(ZDError, match="rooms 4 × 6, roads 4 × 8"):
        DomainItems([frames(2), frames(2, (4, 8))], ["rooms", "roads"])
