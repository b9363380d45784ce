"""NYU Depth V2's class ids: 894 raw names -> 40 classes -> 13 classes, and what to call and how to colour the 13.

`nyu40.csv` holds the published maps: 894 -> 40 of Gupta et al. (CVPR 2013; `classMapping40.mat`) and 40 -> 13 of
Couprie et al. (ICLR 2013; `class13Mapping.mat`). Id 0 means "unlabelled" on all three levels.
"""

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import UInt8, UInt16

from zdlib.errors import ZDError
from zdlib.labels import CLASS_NAMES as CLASS_NAMES  # beside its palette for who draws them

N_RAW_CLASSES = 894

# Large surfaces are muted, small classes saturated, neighbours in a room far apart in lightness.
PALETTE: UInt8[np.ndarray, "14 3"] = np.array(
    [
        (0, 0, 0),  # unlabelled
        (51, 34, 136),  # bed
        (238, 119, 51),  # books
        (245, 240, 220),  # ceiling
        (17, 119, 51),  # chair
        (140, 110, 80),  # floor
        (153, 153, 51),  # furniture
        (204, 102, 119),  # objects
        (170, 51, 119),  # picture
        (68, 170, 153),  # sofa
        (221, 204, 119),  # table
        (204, 51, 17),  # tv
        (187, 187, 187),  # wall
        (136, 204, 238),  # window
    ],
    dtype=np.uint8,
)


@cache
def class_table() -> pd.DataFrame:
    """One row for each raw name: `id894` (1..894), `name`, `id40`, `name40`, `id13`. Shared: do not modify."""
    return pd.read_csv(Path(__file__).with_name("nyu40.csv"), keep_default_na=False)


@cache
def raw_names() -> tuple[str, ...]:
    """The 894 raw names in NYU's order; raw id i is `raw_names()[i - 1]`."""
    return tuple(class_table()["name"])


@cache
def _lookup() -> UInt8[np.ndarray, "895"]:
    table = np.zeros(N_RAW_CLASSES + 1, np.uint8)
    table[class_table()["id894"]] = class_table()["id13"]
    table.setflags(write=False)
    return table


def raw_ids(names: list[str]) -> dict[str, int]:
    """Raw id (1..894) of each name.

    Raises:
        ZDError: a name is not one of NYU's 894.
    """
    known = {name: number for number, name in enumerate(raw_names(), 1)}
    for name in names:
        if name not in known:
            raise ZDError(f"class name {name!r}: not one of NYU's 894 names: choose one from zdlib/data/nyu40.csv")
    return {name: known[name] for name in names}


def to_13(labels894: UInt16[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w"]:
    """Raw label image -> class ids 0..13 (`CLASS_NAMES`), 0 = unlabelled.

    Raises:
        ZDError: an id above 894.
    """
    highest = int(labels894.max(initial=0))
    if highest > N_RAW_CLASSES:
        raise ZDError(f"label {highest}: NYU's raw ids end at {N_RAW_CLASSES}: these labels are not in NYU's numbering")
    return _lookup()[labels894]


def colourise(labels: UInt8[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w 3"]:
    """Class ids 0..13 -> RGB picture in `PALETTE`'s colours."""
    return PALETTE[labels]
