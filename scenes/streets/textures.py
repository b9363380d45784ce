"""Procedural surfaces: (h, w, 3) float32 sRGB in 0..1. Row 0 is the top; the world's v axis points up."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image, ImageDraw

from scenes.streets.geometry import Array, Colour

PLASTER: tuple[Colour, ...] = (
    (0.86, 0.82, 0.72), (0.88, 0.87, 0.84), (0.84, 0.74, 0.58), (0.78, 0.66, 0.52), (0.74, 0.78, 0.76),
    (0.86, 0.78, 0.60), (0.72, 0.60, 0.54), (0.66, 0.70, 0.72), (0.80, 0.62, 0.50), (0.62, 0.66, 0.56),
)  # fmt: skip
BRICK: tuple[Colour, ...] = (
    (0.56, 0.30, 0.22), (0.48, 0.24, 0.18), (0.66, 0.52, 0.38), (0.60, 0.40, 0.30), (0.72, 0.68, 0.60),
)  # fmt: skip
STONE: tuple[Colour, ...] = ((0.62, 0.58, 0.50), (0.56, 0.55, 0.53), (0.66, 0.56, 0.44))
ROOF: tuple[Colour, ...] = (
    (0.56, 0.28, 0.20), (0.48, 0.26, 0.22), (0.32, 0.30, 0.31), (0.40, 0.36, 0.34), (0.60, 0.36, 0.26),
)  # fmt: skip
PLANKS: tuple[Colour, ...] = (
    (0.48, 0.36, 0.25), (0.55, 0.50, 0.44), (0.40, 0.28, 0.19), (0.34, 0.40, 0.34), (0.70, 0.68, 0.62),
)  # fmt: skip
FOLIAGE: tuple[Colour, ...] = ((0.26, 0.38, 0.14), (0.34, 0.42, 0.18), (0.22, 0.32, 0.16), (0.42, 0.40, 0.20))
CLADDING: tuple[Colour, ...] = (
    (0.62, 0.65, 0.67),
    (0.34, 0.42, 0.50),
    (0.70, 0.68, 0.62),
    (0.36, 0.44, 0.38),
)


def noise(rng: np.random.Generator, height: int, width: int, beta: float = 1.0, low: float = 1.0) -> Array:
    """Tileable noise in 0..1 with a 1/f^beta spectrum; `low` = lowest frequency kept (cycles per texture)."""
    fy, fx = np.fft.fftfreq(height)[:, None] * height, np.fft.rfftfreq(width)[None] * width
    frequency = np.hypot(fy * max(1, width / height), fx * max(1, height / width))
    amplitude = np.where(frequency >= low, 1 / np.maximum(frequency, 1) ** beta, 0)
    phase = np.exp(2j * np.pi * rng.random(frequency.shape))
    values = np.fft.irfft2(amplitude * phase, s=(height, width))
    bottom, top = np.quantile(values[::4, ::4], [0.01, 0.99])
    return np.clip((values - bottom) / (top - bottom), 0, 1).astype(np.float32)


def tint(value: Array, colour: ArrayLike) -> Array:
    """A grey image (h, w) in a colour."""
    return np.clip(value[..., None] * np.asarray(colour, np.float32), 0, 1).astype(np.float32)


def blend(image: Array, mask: Array, colour: ArrayLike) -> Array:
    """Another colour over an image where the mask (h, w) is 1."""
    weight = np.clip(mask, 0, 1)[..., None]
    return image * (1 - weight) + np.asarray(colour, np.float32) * weight


def pick(rng: np.random.Generator, choices: Sequence[Colour]) -> Array:
    """One of several colours."""
    return np.array(choices[int(rng.integers(len(choices)))])


def asphalt(rng: np.random.Generator, width: float, length: float, lanes: int) -> Array:
    """Road surface, u across `width` metres, v along `length`: grain, wheel tracks, repairs, cracks."""
    per_metre = 40
    h, w = int(length * per_metre), int(width * per_metre)
    base = rng.uniform(0.36, 0.52)
    grain = 0.74 + 0.34 * noise(rng, h, w, 0.9, 3) + 0.24 * (noise(rng, h, w, 0.15, 40) - 0.5)
    value = base * (grain + 0.2 * (noise(rng, h, w, 1.6) - 0.5))
    value = np.where(rng.random((h, w)) < 0.035, value * rng.uniform(1.25, 1.6), value)
    across = np.linspace(0, width, w)
    for lane in range(lanes):
        centre = width * (lane + 0.5) / lanes
        for offset in (-0.75, 0.75):
            value = value * (1 - 0.10 * np.exp(-(((across - centre - offset) / 0.28) ** 2))[None])
        oil = np.exp(-(((across - centre) / 0.3) ** 2))[None] * noise(rng, h, w, 1.5)
        value = value * (1 - 0.12 * oil)
    worn = _wear_of_asphalt(rng, value, base, per_metre)
    worn *= 0.94 + 0.12 * rng.random((h, w), dtype=np.float32)
    return tint(worn, np.array([1, 1, 1.02]) * rng.uniform(0.97, 1.03, 3))


def _wear_of_asphalt(rng: np.random.Generator, value: Array, base: float, per_metre: int) -> Array:
    h, w = value.shape
    image = Image.fromarray((np.clip(value, 0, 1) * 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for _ in range(rng.poisson(5)):
        x, y = rng.uniform(0, w), rng.uniform(0, h)
        wide, long = rng.uniform(0.4, 1.6) * per_metre, rng.uniform(0.6, 9) * per_metre
        grey = int(255 * base * rng.choice([0.72, 0.82, 1.15]))
        draw.rectangle([x, y, x + wide, y + long], fill=grey, outline=int(grey * 0.6), width=2)
    for _ in range(rng.poisson(9)):
        line, angle = [(rng.uniform(0, w), rng.uniform(0, h))], rng.choice([0, np.pi / 2, rng.uniform(0, 6)])
        for _ in range(rng.integers(10, 60)):
            angle += rng.normal(0, 0.35)
            angle -= 0.15 * np.sin(2 * angle)
            line.append((line[-1][0] + 9 * np.cos(angle), line[-1][1] + 9 * np.sin(angle)))
        draw.line(line, fill=int(255 * base * 0.45), width=int(rng.choice([1, 2, 3])))
    radius = 0.32 * per_metre
    for _ in range(3):
        x, y = rng.uniform(0.1, 0.9) * w, rng.uniform(0, h)
        draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=60, outline=130, width=2)
        for row in np.arange(-radius * 0.7, radius * 0.7, 4):
            draw.line([x - radius * 0.6, y + row, x + radius * 0.6, y + row], fill=95)
    return np.asarray(image, np.float32) / 255


def concrete_road(rng: np.random.Generator, width: float, length: float, lanes: int) -> Array:
    """Concrete slabs with sealed joints and the traces of tyres, like `asphalt` in size."""
    h, w = int(length * 40), int(width * 40)
    value = rng.uniform(0.56, 0.66) * (0.82 + 0.2 * noise(rng, h, w, 0.9, 2) + 0.2 * (noise(rng, h, w, 0.2, 40) - 0.5))
    across = np.linspace(0, width, w)
    for lane in range(lanes):
        centre = width * (lane + 0.5) / lanes
        value = value * (1 - 0.14 * np.exp(-(((np.abs(across - centre) - 0.75) / 0.3) ** 2))[None])
        value[:, max(0, int(centre / width * w) - w // lanes // 2) :][:, :2] *= 0.55
    step = 40 * 6
    for row in range(0, h, step):
        value[row : row + 2] *= 0.5
        value[row : row + step] *= rng.uniform(0.92, 1.06)
    return tint(value * (0.94 + 0.12 * rng.random((h, w))), (1, 0.99, 0.95))


def paint(rng: np.random.Generator, colour: Colour = (0.82, 0.82, 0.8), size: int = 256) -> Array:
    """Worn road paint."""
    wear = noise(rng, size, size, 1.0, 3)
    image = tint(0.9 + 0.1 * noise(rng, size, size, 0.3, 20), colour)
    return blend(image, (wear < rng.uniform(0.12, 0.34)) * 0.8, (0.33, 0.33, 0.33)).astype(np.float32)


def paving(rng: np.random.Generator, size: int = 512, metres: float = 4.0) -> Array:
    """Slabs, cobbles or bricks of a sidewalk."""
    kind = int(rng.integers(4))
    height, width = [(0.3, 0.3), (0.1, 0.2), (0.4, 0.4), (0.5, 0.25)][kind]
    base = [(0.58, 0.57, 0.54), (0.50, 0.42, 0.38), (0.62, 0.60, 0.56), (0.48, 0.48, 0.48)][kind]
    rows, columns = round(metres / height), round(metres / width)
    y, x = np.mgrid[0:size, 0:size] / size
    row = (y * rows).astype(int)
    shifted = x * columns + (0.5 * (row % 2) if kind != 2 else 0)
    value = (0.86 + 0.26 * rng.random((rows, columns)))[row % rows, shifted.astype(int) % columns]
    to_row = np.minimum((y * rows) % 1, 1 - (y * rows) % 1) * height
    to_column = np.minimum(shifted % 1, 1 - shifted % 1) * width
    value = np.where(np.minimum(to_row, to_column) < 0.008, value * 0.62, value)
    value = value * (0.8 + 0.3 * noise(rng, size, size, 1.0, 2)) * (0.9 + 0.2 * rng.random((size, size)))
    return tint(value, base)


def concrete(rng: np.random.Generator, size: int = 256, joints: int = 2) -> Array:
    """Kerbs, copings, sills."""
    value = 0.72 + 0.34 * noise(rng, size, size, 1.0) + 0.14 * (rng.random((size, size)) - 0.5)
    for k in range(joints):
        value[int(k * size / joints) : int(k * size / joints) + 2] *= 0.6
    return tint(value, (0.6, 0.59, 0.56))


def grass(rng: np.random.Generator, dry: float, size: int = 768) -> Array:
    """Lawn or verge; `dry` from 0 (spring) to 1 (winter)."""
    blades, patch = noise(rng, size, size, 0.25, 25), noise(rng, size, size, 1.4)
    image = tint(0.30 + 0.75 * blades, (0.42, 0.48, 0.24))
    image = blend(image, np.clip(patch * 1.6 - 1.2 + dry, 0, 0.85), (0.60, 0.54, 0.33))
    image = image * (0.65 + 0.5 * blades[..., None])
    image = blend(image, (noise(rng, size, size, 1.0, 3) < 0.1 * dry) * 0.7, (0.40, 0.32, 0.23))
    if dry < 0.45:
        image[rng.random((size, size)) < 0.0012] = (0.9, 0.88, 0.55)
    return np.clip(image, 0, 1).astype(np.float32)


def gravel(rng: np.random.Generator, size: int = 512) -> Array:
    """A drive."""
    value = 0.55 + 0.6 * noise(rng, size, size, 0.3, 20) + 0.2 * (noise(rng, size, size, 1.5) - 0.5)
    return tint(value, (0.50, 0.45, 0.38))


def leaves(rng: np.random.Generator, colour: Colour | None = None, size: int = 512) -> Array:
    """Dense foliage of a clipped hedge or a far wood."""
    base = pick(rng, FOLIAGE) if colour is None else np.array(colour)
    image = Image.new("RGB", (size, size), (int(base[0] * 80), int(base[1] * 80), int(base[2] * 80)))
    draw = ImageDraw.Draw(image)
    count = 5200
    for k in range(count):
        x, y = rng.uniform(-8, size + 8, 2)
        angle, length = rng.uniform(0, 6.28), rng.uniform(5, 11)
        light = 0.35 + 0.9 * (k / count) ** 1.5 * rng.uniform(0.6, 1.2)
        fill = np.clip(base * light * rng.uniform(0.85, 1.15, 3), 0, 1) * 255
        c, s = np.cos(angle) * length, np.sin(angle) * length
        outline = [(x - c, y - s), (x + s * 0.38, y - c * 0.38), (x + c, y + s), (x - s * 0.38, y + c * 0.38)]
        draw.polygon(outline, fill=(int(fill[0]), int(fill[1]), int(fill[2])))
    return np.asarray(image, np.float32) / 255


def brick(rng: np.random.Generator, size: int = 512, per_metre: float = 80) -> Array:
    """Running bond at real size."""
    y, x = np.mgrid[0:size, 0:size] / per_metre
    row = (y / 0.075).astype(int)
    shifted = x / 0.25 + 0.5 * (row % 2)
    value = (0.75 + 0.45 * rng.random((256, 256)))[row % 256, shifted.astype(int) % 256]
    joint = ((y / 0.075) % 1 < 0.14) | (shifted % 1 < 0.05)
    image = tint(value * (0.85 + 0.25 * noise(rng, size, size, 0.6)), pick(rng, BRICK))
    return blend(image, joint * 0.8, (0.62, 0.60, 0.56)).astype(np.float32)


def plaster(rng: np.random.Generator, size: int = 512) -> Array:
    """Rendered wall with grain, soot and rain streaks."""
    small = Image.fromarray((noise(rng, max(8, size // 16), size, 0.7, 4) * 255).astype(np.uint8))
    streak = np.asarray(small.resize((size, size), Image.Resampling.BICUBIC), np.float32) / 255
    value = 0.84 + 0.16 * noise(rng, size, size, 1.0) + 0.16 * (noise(rng, size, size, 0.2, 15) - 0.5)
    value = value - 0.10 * streak * np.linspace(1, 0.3, size)[:, None]
    value *= 1 - 0.18 * np.clip((np.arange(size) / size - 0.92) / 0.08, 0, 1)[:, None]
    return tint(value, pick(rng, PLASTER))


def stone(rng: np.random.Generator, size: int = 512, per_metre: float = 80) -> Array:
    """Ashlar or rubble."""
    y, x = np.mgrid[0:size, 0:size] / per_metre
    y = y + 0.02 * noise(rng, size, size, 1.2)
    row = (y / 0.28).astype(int)
    shifted = x / 0.5 + rng.random(512)[row % 512]
    value = (0.72 + 0.4 * rng.random((256, 256)))[row % 256, shifted.astype(int) % 256]
    value = value * (0.75 + 0.4 * noise(rng, size, size, 0.8))
    joint = ((y / 0.28) % 1 < 0.07) | (shifted % 1 < 0.04)
    return tint(np.where(joint, value * 0.6, value), pick(rng, STONE))


def cladding(rng: np.random.Generator, size: int = 512, ribs: int = 32) -> Array:
    """Corrugated metal of a hall, with joints of its sheets and dirt."""
    x = np.arange(size) / size
    value = 0.82 + 0.18 * np.abs(np.sin(np.pi * x * ribs))[None] * np.ones((size, 1))
    value = value * (0.88 + 0.16 * noise(rng, size, size, 1.2))
    value[:: size // 3] *= 0.7
    return tint(value, pick(rng, CLADDING))


def roof_tiles(rng: np.random.Generator, size: int = 256, metres: float = 3.0) -> Array:
    """Pantiles."""
    y, x = np.mgrid[0:size, 0:size] / size
    rows, columns = int(metres / 0.3), int(metres / 0.25)
    row, column = (y * rows).astype(int), (x * columns).astype(int)
    value = (0.75 + 0.4 * rng.random((rows, columns)))[row, column]
    value = value * (0.72 + 0.28 * np.abs(np.sin(np.pi * x * columns))) * (1 - 0.35 * (((y * rows) % 1) > 0.85))
    return tint(value * (0.85 + 0.3 * noise(rng, size, size, 1.0)), pick(rng, ROOF))


def planks(rng: np.random.Generator, size: int = 256, count: int = 10) -> Array:
    """Boards of a fence."""
    value = np.repeat(0.7 + 0.4 * rng.random(count), -(-size // count))[:size][None]
    value = value * (0.75 + 0.35 * noise(rng, size, size, 1.1))
    value[:, :: max(1, size // count)] *= 0.45
    return tint(value, pick(rng, PLANKS))
