"""Strong perturbations of a student's pictures: colours, blur, and boxes of another picture.

Depth Anything's strengths are unpublished; these are those of its author's UniMatch (Yang et al., CVPR 2023), to which
he refers for CutMix. The functions draw from the generator they are given and from nothing else.
"""

import numpy as np
from jaxtyping import Float32, UInt8
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

JITTER_PROBABILITY, GREY_PROBABILITY, BLUR_PROBABILITY = 0.8, 0.2, 0.5
JITTER = 0.5  # brightness, contrast and saturation are multiplied by 1 ± this
HUE = 0.25  # of the colour circle, either way
SIGMA = (0.1, 2.0)  # pixels of the blur
AREA, ASPECT = (0.02, 0.4), (0.3, 1 / 0.3)  # of a box: share of the picture, height by width

Box = tuple[int, int, int, int]  # first and one past the last row, first and one past the last column
NO_BOX: Box = (0, 0, 0, 0)


def perturb(image: UInt8[np.ndarray, "h w 3"], rng: np.random.Generator) -> UInt8[np.ndarray, "h w 3"]:
    """The picture with other colours, perhaps grey, perhaps blurred; nothing in it moves."""
    picture = Image.fromarray(image)
    if rng.random() < JITTER_PROBABILITY:
        steps = [_enhanced(kind) for kind in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)]
        steps.append(_turned)
        for number in rng.permutation(len(steps)):
            picture = steps[number](picture, rng)
    if rng.random() < GREY_PROBABILITY:
        picture = ImageOps.grayscale(picture).convert("RGB")
    if rng.random() < BLUR_PROBABILITY:
        picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(*SIGMA)))
    return np.asarray(picture)


def _enhanced(kind):  # type: ignore[no-untyped-def]
    def step(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
        changed: Image.Image = kind(picture).enhance(rng.uniform(1 - JITTER, 1 + JITTER))
        return changed

    return step


def _turned(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Other hues."""
    hue, saturation, value = picture.convert("HSV").split()
    turn = round(rng.uniform(-HUE, HUE) * 255)
    turned = Image.fromarray((np.asarray(hue).astype(np.int16) + turn).astype(np.uint8))  # round the circle
    return Image.merge("HSV", (turned, saturation, value)).convert("RGB")


def draw_box(size: tuple[int, int], rng: np.random.Generator) -> Box:
    """A box of random area, aspect and place inside a picture of (height, width) pixels; at least one pixel."""
    height, width = size
    while True:
        area, aspect = rng.uniform(*AREA) * height * width, rng.uniform(*ASPECT)
        rows, columns = max(1, int((area * aspect) ** 0.5)), max(1, int((area / aspect) ** 0.5))
        top, left = int(rng.integers(height)), int(rng.integers(width))
        if top + rows <= height and left + columns <= width:
            return top, top + rows, left, left + columns


def as_bytes(image: Float32[np.ndarray, "3 h w"]) -> UInt8[np.ndarray, "h w 3"]:
    """Values in [0, 1] as an 8-bit picture."""
    rounded: np.ndarray = np.round(image * 255).astype(np.uint8)
    return np.ascontiguousarray(rounded.transpose(1, 2, 0))
