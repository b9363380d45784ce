"""Which frames train, which choose the checkpoint, which are held out."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from zdlib.data.sample import Reader
from zdlib.data.sets.nyu import Splits, contiguous_split
from zdlib.recipes import Recipe


@dataclass(frozen=True)
class FrameRoles:
    """0-based frame numbers of one training run.

    Attributes:
        train: frames whose gradients are taken.
        selection: frames whose error chooses the checkpoint.
        selection_is_held_out: False where the recipe selects on frames it trains on.
    """

    train: Int64[np.ndarray, " n"]
    selection: Int64[np.ndarray, " m"]
    selection_is_held_out: bool


@dataclass(frozen=True)
class UsedSet:
    """A data set that a run trains on, as its checkpoint remembers it.

    Attributes:
        set: its key.
        root: its copy, as the profile names it, and which list or part of it (`SetConfig.frames_of`).
        title: what captions call it.
        frames: how many it has; the first of the next data set has the number after its last.
    """

    set: str
    root: str
    title: str
    frames: int


@dataclass(frozen=True)
class RunFrames:
    """The frames of a run.

    Attributes:
        reader: gives them, with the depth that the run's recipe asks for.
        roles: their numbers in the reader, by what they are used for.
        source: the file they come from, for messages.
        sets: the data sets that they are of, in the reader's order.
    """

    reader: Reader
    roles: FrameRoles
    source: Path
    sets: tuple[UsedSet, ...] = ()

    @property
    def title(self) -> str:
        """What captions call the data."""
        return " + ".join(used.title for used in self.sets)


def frame_roles(recipe: Recipe, official: Splits, scenes: Sequence[str], validation_fraction: float) -> FrameRoles:
    """Assign frames as the recipe says.

    `validation`: every k-th scene of the training part, in the file's order (which groups scene types), until the
    fraction of frames is reached; no scene is on both sides, and every seed validates on the same frames.
    `train_frames`: as many of the first training frames as there are held-out ones, which is what the original did.

    Args:
        recipe: its `split` and `selection` decide.
        official: the data set's own split.
        scenes: the scene of every frame of the file.
        validation_fraction: share of training frames to set aside (`validation` only).
    """
    split = official if recipe.split == "official" else contiguous_split(len(scenes))
    if recipe.selection == "train_frames":
        return FrameRoles(split.train, split.train[: len(split.test)], selection_is_held_out=False)
    names = np.array(scenes)[split.train]
    ordered = list(dict.fromkeys(names))
    every = max(2, round(1 / validation_fraction))
    chosen = set(ordered[every // 2 :: every] or ordered[-1:])
    held_out = np.array([name in chosen for name in names])
    return FrameRoles(split.train[~held_out], split.train[held_out], selection_is_held_out=True)
