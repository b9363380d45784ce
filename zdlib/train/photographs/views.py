"""Random views of a frame at the network's size, as a canonical camera would have taken them.

A crop that is enlarged is a longer lens. Depth follows as in Metric3D (Yin et al., ICCV 2023, section 3.2, "transform
labels"): target = depth · canonical focal length / the view's focal length, both in pixels of the network's input.
"""

import io
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, UInt8
from PIL import Image, ImageFilter

SMALLEST_CROP = 0.55  # of the largest crop's side
ASPECT = 1.12  # a crop is wider or higher than the network's input by at most this factor
GAMMA, EXPOSURE, WHITE, CONTRAST = (0.6, 1.6), (0.6, 1.5), (0.8, 1.25), (0.7, 1.3)
BLUR, NOISE, QUALITY = (0.3, 1.8), (0.005, 0.05), (25, 95)


@dataclass(frozen=True)
class View:
    """A crop of a frame at the network's size.

    Attributes:
        image: (h, w, 3).
        depth: (h, w) metres, 0 = none; of the frame, not yet of the canonical camera.
        focal: the view's focal length, pixels.
    """

    image: UInt8[np.ndarray, "h w 3"]
    depth: Float32[np.ndarray, "h w"]
    focal: float


def view(
    image: UInt8[np.ndarray, "_ _ 3"],
    depth: Float32[np.ndarray, "_ _"],
    focal: float,
    size: tuple[int, int],
    box: tuple[float, float, float, float] | None = None,
) -> View:
    """A part of a frame, the image averaged over its pixels and depth by nearest neighbour.

    Args:
        image: the frame's.
        depth: the frame's, of the same size.
        focal: pixels.
        size: height and width to give.
        box: left, top, right, bottom in pixels; None is the whole.
    """
    box = box or (0, 0, image.shape[1], image.shape[0])
    height, width = size
    shrunk = (width / (box[2] - box[0]) * height / (box[3] - box[1])) ** 0.5
    return View(
        np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR, box=box)),
        np.asarray(Image.fromarray(depth).resize((width, height), Image.Resampling.NEAREST, box=box)),
        focal * shrunk,
    )


def random_box(
    rng: np.random.Generator, height: int, width: int, size: tuple[int, int]
) -> tuple[float, float, float, float]:
    """A crop of a picture, of nearly the network's proportions."""
    aspect = size[1] / size[0] * ASPECT ** rng.uniform(-1, 1)
    share = rng.uniform(SMALLEST_CROP, 1)
    rows = share * min(height, width / aspect)
    columns = rows * aspect
    left, top = rng.uniform(0, width - columns), rng.uniform(0, height - rows)
    return left, top, left + columns, top + rows


def as_photographed(rng: np.random.Generator, image: UInt8[np.ndarray, "h w 3"]) -> Float32[np.ndarray, "h w 3"]:
    """The image as another camera on another day may have given it; values in [0, 1].

    In this order, each by chance: blur, gamma, exposure and white balance, contrast, no colours, noise (more of it in
    the dark), JPEG.
    """
    if rng.random() < 0.35:
        image = np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(rng.uniform(*BLUR))))
    values = (image / np.float32(255)) ** np.float32(_spread(rng, GAMMA))
    values = values * np.float32(_spread(rng, EXPOSURE)) * _factors(rng)
    if rng.random() < 0.5:
        mean = values.mean()
        values = mean + (values - mean) * np.float32(_spread(rng, CONTRAST))
    if rng.random() < 0.08:
        values = np.broadcast_to(values.mean(-1, keepdims=True), values.shape)
    if rng.random() < 0.5:
        strength = _spread(rng, NOISE) * (1.2 - np.clip(values, 0, 1))
        values = values + strength.astype(np.float32) * rng.standard_normal(values.shape, np.float32)
    values = np.clip(values, 0, 1)
    if rng.random() < 0.5:
        encoded = io.BytesIO()
        Image.fromarray(np.rint(values * 255).astype(np.uint8)).save(
            encoded, "JPEG", quality=int(rng.integers(*QUALITY))
        )
        values = np.asarray(Image.open(encoded)) / np.float32(255)
    return values.astype(np.float32)


def _spread(rng: np.random.Generator, limits: tuple[float, float]) -> float:
    """Between two factors, evenly on a logarithmic scale."""
    return float(np.exp(rng.uniform(*np.log(limits))))


def _factors(rng: np.random.Generator) -> Float32[np.ndarray, " 3"]:
    return np.array([_spread(rng, WHITE) for _ in range(3)], np.float32)
