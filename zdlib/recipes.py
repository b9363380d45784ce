"""The published training recipe and the corrected one, and the latter for streets, as values of one type.

Every difference between what the original repository did and what the field's protocol asks is a field here; the code
that trains is the same. Sources: the original repository at commit 512f0ad (its training notebook) and the evaluation
conventions of ZoeDepth.
"""

from typing import Literal, get_args

import pandas as pd
from pydantic import BaseModel, ConfigDict

RecipeName = Literal["published", "corrected", "street"]


class Recipe(BaseModel):
    """How frames become training targets, and which frames.

    Attributes:
        metres_per_unit: what one unit of the network's output means. 1 is metres; the original divides depths that are
            already in metres by 1000, so its unit is the kilometre.
        min_depth, max_depth: open interval of valid depths, in the network's unit. In kilometres, 1e-3 silently removes
            everything nearer than one metre and 10 removes nothing.
        depth_source: NYU's raw measurements (holes stay invalid) or the in-painted ones.
        split: `official` (795 train / 654 test, scene-disjoint) or `contiguous` (the first 1158 frames / the last 291).
        void: what an unlabelled pixel is to the segmentation losses: `class` (class 0, learnt like any other) or
            `ignore` (masked out).
        selection: the frames that choose the best checkpoint: a `validation` part carved out of training by scenes, or
            the first frames of the training set itself (`train_frames`).
        selection_input_range: the largest pixel value that selection feeds to the network (the original forgot the
            division by 255 there).
        portrait_resize: squeeze the landscape image to portrait before the network's own resize (the original passed
            (width, height) to a function that expects (height, width)).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    metres_per_unit: float
    min_depth: float
    max_depth: float
    depth_source: Literal["raw", "inpainted"]
    split: Literal["official", "contiguous"]
    void: Literal["class", "ignore"]
    selection: Literal["validation", "train_frames"]
    selection_input_range: Literal[1, 255]
    portrait_resize: bool


RECIPES: dict[RecipeName, Recipe] = {
    "published": Recipe(
        metres_per_unit=1000.0,
        min_depth=1e-3,
        max_depth=10.0,
        depth_source="inpainted",
        split="contiguous",
        void="class",
        selection="train_frames",
        selection_input_range=255,
        portrait_resize=True,
    ),
    "corrected": Recipe(
        metres_per_unit=1.0,
        min_depth=1e-3,
        max_depth=10.0,
        depth_source="raw",
        split="official",
        void="ignore",
        selection="validation",
        selection_input_range=1,
        portrait_resize=False,
    ),
}

# ZoeDepth's range on KITTI, up to 80 m. The unit is 10 m: the head's attractors reach about a unit far (1 / (300 dx) of
# a distance dx), so that with this one roads are to it what rooms are in metres.
RECIPES["street"] = RECIPES["corrected"].model_copy(
    update={"metres_per_unit": 10.0, "min_depth": 1e-4, "max_depth": 8.0}
)

assert set(RECIPES) == set(get_args(RecipeName))


def differences() -> pd.DataFrame:
    """One row for each field in which the two recipes differ: `setting`, `published`, `corrected`."""
    published, corrected = (RECIPES[name].model_dump() for name in ("published", "corrected"))
    rows = [(key, published[key], corrected[key]) for key in published if published[key] != corrected[key]]
    return pd.DataFrame(rows, columns=["setting", "published", "corrected"])
