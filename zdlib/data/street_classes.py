"""Cityscapes' classes (Cordts et al., CVPR 2016): 34 ids in the files, of which 19 are trained on, renumbered."""

import numpy as np
from jaxtyping import Int, UInt8

NAMES = (
    "road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign", "vegetation", "terrain",
    "sky", "person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle",
)  # fmt: skip
"""Of the train ids 0..18; those from 11 on can move by themselves."""

LABEL_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
"""The id in the files of each train id."""

IGNORED = 255
"""What a train id is where none of the 19 is meant."""

STATIC = 4
"""The id in the files of what stands about and is none of the 19."""

FIRST_MOVABLE = 11

PALETTE: UInt8[np.ndarray, "256 3"] = np.zeros((256, 3), np.uint8)
PALETTE[:19] = [
    (128, 64, 128), (244, 35, 232), (70, 70, 70), (102, 102, 156), (190, 153, 153), (153, 153, 153),
    (250, 170, 30), (220, 220, 0), (107, 142, 35), (152, 251, 152), (70, 130, 180), (220, 20, 60),
    (255, 0, 0), (0, 0, 142), (0, 0, 70), (0, 60, 100), (0, 80, 100), (0, 0, 230), (119, 11, 32),
]  # fmt: skip

_TO_TRAIN: UInt8[np.ndarray, "256"] = np.full(256, IGNORED, np.uint8)
_TO_TRAIN[list(LABEL_IDS)] = np.arange(len(LABEL_IDS))
_TO_FILE: UInt8[np.ndarray, "256"] = np.full(256, STATIC, np.uint8)
_TO_FILE[: len(LABEL_IDS)] = LABEL_IDS


def to_train_ids(ids: Int[np.ndarray, "h w"] | UInt8[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w"]:
    """Ids of the files (0..33; -1 is stored as 255) to train ids 0..18, 255 = ignored."""
    return _TO_TRAIN[ids]


def to_file_ids(train_ids: UInt8[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w"]:
    """Train ids to ids of the files; what is ignored becomes `STATIC`."""
    return _TO_FILE[train_ids]


def colourise(train_ids: UInt8[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w 3"]:
    """Train ids to a picture in Cityscapes' colours; ignored pixels are black."""
    return PALETTE[train_ids]
