"""Joint augmentation of image, depth and labels, as the original repository does it.

In this order: rotation by up to 1° either way (always), mirroring (half of the time), then on the image alone gamma,
brightness and a factor for each channel (half of the time). Cropping and translation are off there.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, UInt8
from PIL import Image

MAX_DEGREES = 1.0
FLIP_PROBABILITY = 0.5
COLOUR_PROBABILITY = 0.5
GAMMA = (0.9, 1.1)
BRIGHTNESS = (0.75, 1.25)
CHANNEL = (0.9, 1.1)

Frame = tuple[UInt8[np.ndarray, "h w 3"], Float32[np.ndarray, "h w"], UInt8[np.ndarray, "h w"]]


@dataclass(frozen=True)
class Augmentation:
    """The random numbers of one frame; the default changes nothing.

    Attributes:
        degrees: rotation, counter-clockwise.
        flip: mirror left and right.
        gamma: exponent of the image's values in [0, 1].
        gains: factor of each channel after that, brightness included.
    """

    degrees: float = 0.0
    flip: bool = False
    gamma: float = 1.0
    gains: tuple[float, float, float] = (1.0, 1.0, 1.0)

    @staticmethod
    def draw(rng: np.random.Generator) -> "Augmentation":
        """Draw the numbers of one frame."""
        degrees = rng.uniform(-MAX_DEGREES, MAX_DEGREES)
        flip = bool(rng.random() < FLIP_PROBABILITY)
        if rng.random() >= COLOUR_PROBABILITY:
            return Augmentation(degrees, flip)
        gamma, brightness = rng.uniform(*GAMMA), rng.uniform(*BRIGHTNESS)
        red, green, blue = (brightness * rng.uniform(*CHANNEL, size=3)).tolist()
        return Augmentation(degrees, flip, gamma, (red, green, blue))

    def move(self, frame: Frame) -> Frame:
        """Rotate and mirror: the image bilinearly, depth and labels by nearest neighbour, 0 in uncovered corners."""
        image, depth, labels = frame
        if self.degrees:
            image = _rotate(image, self.degrees, Image.Resampling.BILINEAR)
            depth = _rotate(depth, self.degrees, Image.Resampling.NEAREST)
            labels = _rotate(labels, self.degrees, Image.Resampling.NEAREST)
        if self.flip:
            image, depth, labels = image[:, ::-1], depth[:, ::-1], labels[:, ::-1]
        return image, depth, labels

    def colour(self, image: UInt8[np.ndarray, "h w 3"]) -> Float32[np.ndarray, "3 h w"]:
        """Values in [0, 1] after gamma, gains and clipping; of an unchanged image `image / 255`.

        An 8-bit image has 256 values a channel, so a table replaces a quarter of a million powers.
        """
        curve = (np.arange(256) / 255) ** self.gamma
        tables = np.clip(np.outer(self.gains, curve), 0, 1).astype(np.float32)
        values = np.empty((3, *image.shape[:2]), np.float32)
        for channel, table in enumerate(tables):
            # Every index is inside; "clip" only spares `take` the copy it makes before it can raise.
            np.take(table, image[..., channel], out=values[channel], mode="clip")
        return values


def _rotate(picture: np.ndarray, degrees: float, resampling: Image.Resampling) -> np.ndarray:
    return np.array(Image.fromarray(picture).rotate(degrees, resampling))
