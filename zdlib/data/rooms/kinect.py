"""What a Kinect v1 would have measured: exact depth in, NYU-like depth with holes, steps and a border out.

The model, in the order of the code, with its sources:
* lateral jitter at depth edges, disparity noise and quantisation: Barron and Malik (CVPR 2013), whose constant 35130 is
  8 · 580 px · 7.5 cm in centimetres (eighths of a pixel of disparity), so that the step grows with the squared depth;
* shadows: the projector stands 7.5 cm to the right of the infrared camera (as the camera sees it); what it cannot
  light, to the left of nearer things, has no depth;
* weak returns: the pattern is lost where albedo · cos(incidence) / depth² is small (dark, grazing or far surfaces),
  with the threshold varied smoothly so that holes are blobs;
* the working range; the margins without depth and the white border that undistorting and aligning the cameras leave.

`inpaint` fills the holes for NYU's `depths`, as colour-guided diffusion in the spirit of Levin et al. (SIGGRAPH 2004),
which NYU's authors used. The result is an estimate, like NYU's: not the exact depth.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, UInt8
from PIL import Image
from scipy.ndimage import distance_transform_edt

BASELINE = 0.075  # metres between projector and infrared camera
DISPARITY_UNITS = 351.30  # metres · eighths of a native pixel: disparity = 351.30 / depth
DISPARITY_NOISE = 1 / 6  # standard deviation, in those units (the rounding adds its own)
JITTER = 0.5  # standard deviation of the lateral error, in pixels
NEAREST, FARTHEST = 0.5, 9.99  # metres
WEAKEST_RETURN = 0.003  # of a unit white surface at 1 m, facing the sensor
BLOB = 12  # pixels at a width of 320: size of the patches in which the threshold varies
BLOB_SPREAD, SPECKLE = 0.6, 0.2  # standard deviations of the threshold's logarithm: patches, single pixels
WHITE_BORDER = 7 / 640  # of the width, on all sides of the image
# What aligning the cameras leaves without depth: measured on two real frames (valid rows 42 to 471 of 480, columns 32
# to 609 of 640). Eigen's crop, rows 45 to 470 and columns 41 to 600, lies just inside.
MARGINS = (42 / 480, 8 / 480, 32 / 640, 30 / 640)  # top, bottom, left, right


@dataclass(frozen=True)
class KinectFrame:
    """A frame as NYU ships it.

    Attributes:
        image: (h, w, 3) uint8 RGB with the white border.
        raw_depth: (h, w) float32 metres as measured; 0 in holes.
        depth: (h, w) float32 metres, holes filled; positive everywhere.
    """

    image: UInt8[np.ndarray, "h w 3"]
    raw_depth: Float32[np.ndarray, "h w"]
    depth: Float32[np.ndarray, "h w"]


def simulate(
    image: UInt8[np.ndarray, "h w 3"], depth: Float32[np.ndarray, "h w"], focal: float, rng: np.random.Generator
) -> KinectFrame:
    """Turn an exact frame into a measured one.

    Args:
        image: RGB without noise.
        depth: exact planar depth in metres, 0 = no surface.
        focal: focal length in pixels of this image.
        rng: decides the noise; a generator seeded alike gives the same frame.
    """
    height, width = depth.shape
    top, bottom, left, right = (
        round(part * n) for part, n in zip(MARGINS, (height, height, width, width), strict=True)
    )
    inside = np.zeros(depth.shape, bool)
    inside[top : height - bottom, left : width - right] = True
    measured = _quantised(_jittered(depth, rng), rng)
    speckle = SPECKLE * rng.standard_normal(depth.shape, np.float32)
    threshold = WEAKEST_RETURN * np.exp(BLOB_SPREAD * _blobs(depth.shape, rng) + speckle)
    valid = (
        inside
        & (measured > NEAREST)
        & (measured < FARTHEST)
        & ~_shadow(depth, focal)
        & (_signal(image, depth, focal) > threshold)
    )
    raw = np.where(valid, measured, 0).astype(np.float32)
    edge = round(WHITE_BORDER * width)
    bordered = np.full_like(image, 255)
    bordered[edge : height - edge, edge : width - edge] = image[edge : height - edge, edge : width - edge]
    return KinectFrame(bordered, raw, inpaint(bordered, raw))


def inpaint(
    image: UInt8[np.ndarray, "h w 3"], raw: Float32[np.ndarray, "h w"], iterations: int = 40
) -> Float32[np.ndarray, "h w"]:
    """Fill the zeros of a depth map; measured pixels keep their value.

    Each hole starts from its nearest measurement and then takes, again and again, the mean of its four neighbours,
    weighted by how alike their colours are.
    """
    hole = raw == 0
    if not hole.any() or hole.all():
        return raw
    height, width = raw.shape
    nearest = distance_transform_edt(hole, return_distances=False, return_indices=True)
    filled = raw[tuple(nearest)].ravel()
    rows, columns = np.nonzero(hole)
    here = rows * width + columns
    around = np.stack(
        [
            np.maximum(rows - 1, 0) * width + columns,
            np.minimum(rows + 1, height - 1) * width + columns,
            rows * width + np.maximum(columns - 1, 0),
            rows * width + np.minimum(columns + 1, width - 1),
        ]
    )
    colours = image.reshape(-1, 3).astype(np.float32) / 255
    difference = ((colours[around] - colours[here]) ** 2).sum(-1)
    weights = np.exp(-difference / (2 * 0.05**2)) + 1e-6
    weights = (weights / weights.sum(0)).astype(np.float32)
    for _ in range(iterations):
        filled[here] = (weights * filled[around]).sum(0)
    return filled.reshape(raw.shape)


def _jittered(depth: Float32[np.ndarray, "h w"], rng: np.random.Generator) -> Float32[np.ndarray, "h w"]:
    """Depth looked up a little beside each pixel: ragged edges, unchanged surfaces."""
    height, width = depth.shape
    rows, columns = np.indices(depth.shape)
    shift = np.rint(JITTER * rng.standard_normal((2, height, width), np.float32)).astype(int)
    return depth[np.clip(rows + shift[0], 0, height - 1), np.clip(columns + shift[1], 0, width - 1)]


def _quantised(depth: Float32[np.ndarray, "h w"], rng: np.random.Generator) -> Float32[np.ndarray, "h w"]:
    """Depth of the noisy disparity rounded to whole units; 0 stays 0."""
    noise = DISPARITY_NOISE * rng.standard_normal(depth.shape, np.float32)
    disparity = np.rint(DISPARITY_UNITS / np.maximum(depth, 0.1) + noise)
    return np.where(depth > 0, DISPARITY_UNITS / np.maximum(disparity, 1), 0).astype(np.float32)


def _shadow(depth: Float32[np.ndarray, "h w"], focal: float) -> Bool[np.ndarray, "h w"]:
    """Pixels whose surface the projector does not see: something nearer lies on the same ray of it.

    A point of column x and depth z is in the projector's column x - f·b/z; a depth buffer over those columns finds the
    nearest surface of each ray.
    """
    height, width = depth.shape
    far = np.where(depth > 0, depth, np.float32(1e3))
    column = np.arange(width) - focal * BASELINE / far
    left = np.floor(column).astype(int)
    margin = 1 + int(focal * BASELINE / NEAREST)
    size = width + margin + 1
    ray = np.clip(left + margin, 0, size - 2) + size * np.arange(height)[:, None]
    buffer = np.full(height * size, np.inf, np.float32)
    for step in (0, 1):  # both neighbours, so that a slanted surface leaves no gap
        np.minimum.at(buffer, (ray + step).ravel(), far.ravel())
    # What is a little nearer on the same ray is the same surface, seen at an angle.
    return np.maximum(buffer[ray], buffer[ray + 1]) < 0.95 * far - 0.05


def _signal(
    image: UInt8[np.ndarray, "h w 3"], depth: Float32[np.ndarray, "h w"], focal: float
) -> Float32[np.ndarray, "h w"]:
    """Returned light: albedo (guessed from brightness) · cos(incidence) / depth²; 1 = white, facing, at 1 m."""
    luminance = (image @ np.array([0.2126, 0.7152, 0.0722], np.float32) / 255) ** 2.2
    safe = np.maximum(depth, 0.1)
    slope = [_smaller_difference(depth, axis) * focal / safe for axis in (0, 1)]
    cosine = 1 / np.sqrt(1 + slope[0] ** 2 + slope[1] ** 2)
    return ((0.05 + luminance) * cosine / safe**2).astype(np.float32)


def _smaller_difference(depth: Float32[np.ndarray, "h w"], axis: int) -> Float32[np.ndarray, "h w"]:
    """The smaller of the differences to the two neighbours: the slope of a surface, blind to a jump beside it."""
    steps = np.abs(np.diff(depth, axis=axis))
    before = np.insert(steps, 0, np.inf, axis)
    after = np.insert(steps, steps.shape[axis], np.inf, axis)
    return np.minimum(before, after)


def _blobs(shape: tuple[int, ...], rng: np.random.Generator) -> Float32[np.ndarray, "h w"]:
    """Smooth noise of unit variance on its own grid."""
    height, width = shape
    cell = max(1, round(BLOB * width / 320))
    coarse = rng.standard_normal((height // cell + 2, width // cell + 2), np.float32)
    return np.array(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))
