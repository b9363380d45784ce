"""The classes that a network tells apart: NYU's 13 (Couprie et al., ICLR 2013), and 0 for unlabelled pixels."""

CLASS_NAMES: tuple[str, ...] = (
    "unlabelled",
    "bed",
    "books",
    "ceiling",
    "chair",
    "floor",
    "furniture",
    "objects",
    "picture",
    "sofa",
    "table",
    "tv",
    "wall",
    "window",
)
N_CLASSES = len(CLASS_NAMES)
VOID = 0  # id of unlabelled pixels
