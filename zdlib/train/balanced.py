"""Frames of several domains in every batch: as many of each, however many a domain has."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch.utils.data import Sampler

from zdlib.distributed import processes, rank
from zdlib.errors import ZDError
from zdlib.train.training_set import TrainingSet


class DomainItems:
    """The items of several training sets, one after the other; each says which set it is of.

    An item has what `TrainingSet` gives, and `domain` int64 (), the number of its set.

    Args:
        parts: one training set per domain; their frames have one size.
        title: of each domain, for messages.

    Raises:
        ZDError: two domains' frames differ in size, so that they cannot share a batch.
    """

    def __init__(self, parts: Sequence[TrainingSet], title: Sequence[str]):
        self.parts, self.title = list(parts), list(title)
        self.offsets = [sum(len(part) for part in self.parts[:number]) for number in range(len(self.parts))]
        sizes = {name: tuple(part[0]["depth"].shape[1:]) for name, part in zip(self.title, self.parts, strict=True)}
        if len(set(sizes.values())) > 1:
            told = ", ".join(f"{name} {height} × {width}" for name, (height, width) in sizes.items())
            raise ZDError(f"data.train: frames of one batch differ in size ({told}): give each set the same size")

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def __getitem__(self, position: int) -> dict[str, Any]:
        """The item at `position`, counted through all domains."""
        domain = max(number for number, offset in enumerate(self.offsets) if offset <= position)
        return self.parts[domain][position - self.offsets[domain]] | {"domain": torch.tensor(domain)}

    def set_epoch(self, epoch: int) -> None:
        """Change the augmentation's random numbers."""
        for part in self.parts:
            part.set_epoch(epoch)


class BalancedBatches(Sampler[list[int]]):
    """Positions in `DomainItems` of each step of an epoch, as many of every domain; this process's share of each.

    A domain's frames come in a random order, all of them once before any comes again; an epoch begins the order anew.

    Args:
        items: where positions lead to.
        batch_size: of all processes together; its domains get equal shares, so it may be a frame or two too large.
        frames: of each domain in an epoch; None: as many as the largest has.
        order: decides the order; an epoch draws from it.

    Attributes:
        skip: batches of the epoch that were done before; they are drawn and not given.

    Raises:
        ZDError: a process would get no frame of a domain.
    """

    def __init__(self, items: DomainItems, batch_size: int, frames: int | None, order: torch.Generator):
        self._items, self._order = items, order
        self._share = batch_size // len(items.parts)
        self._steps = -(-(frames or max(map(len, items.parts))) // max(1, self._share))
        self.skip = 0
        if self._share < processes():
            raise ZDError(
                f"train.batch_size {batch_size}: too small for {len(items.parts)} domains on {processes()} "
                "processes: make it larger"
            )

    def __iter__(self) -> Iterator[list[int]]:
        wanted = self._steps * self._share
        of_domains = [
            self._drawn(len(part), wanted) + offset
            for part, offset in zip(self._items.parts, self._items.offsets, strict=True)
        ]
        first, last = (self._share * (rank() + i) // processes() for i in (0, 1))
        for number in range(self.skip, self._steps):
            here = [drawn[number * self._share :][first:last] for drawn in of_domains]
            yield torch.stack(here, dim=1).flatten().tolist()  # in turn, so that parts of a batch are balanced, too

    def __len__(self) -> int:
        return self._steps

    def _drawn(self, frames: int, wanted: int) -> torch.Tensor:
        rounds = [torch.randperm(frames, generator=self._order) for _ in range(-(-wanted // frames))]
        return torch.cat(rounds)[:wanted]
