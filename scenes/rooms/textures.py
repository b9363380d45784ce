"""Procedural textures: floors, walls, cloth, pictures, book spines, screens and the view through a window.

Every function takes a seeded generator and gives an (h, w, 3) float array of sRGB values 0..1. A texture is named by
its kind and its seed, so a layout stays a small description and a texture is made once per process.
"""

import math
from collections.abc import Callable
from functools import cache

import numpy as np
from jaxtyping import Float32
from PIL import Image, ImageDraw, ImageFilter

SIZE = 384
WOODS = np.array([[0.55, 0.36, 0.2], [0.42, 0.26, 0.14], [0.66, 0.5, 0.33], [0.3, 0.19, 0.12], [0.62, 0.44, 0.3]])
CARPETS = np.array(
    [[0.55, 0.5, 0.43], [0.35, 0.35, 0.38], [0.62, 0.56, 0.48], [0.4, 0.3, 0.25], [0.3, 0.36, 0.42], [0.5, 0.2, 0.18]]
)
TILES = np.array([[0.75, 0.72, 0.66], [0.6, 0.55, 0.5], [0.8, 0.8, 0.8], [0.5, 0.42, 0.36], [0.35, 0.36, 0.38]])
PAINTS = np.array(
    [
        [0.82, 0.78, 0.7],
        [0.85, 0.85, 0.83],
        [0.74, 0.76, 0.7],
        [0.7, 0.76, 0.8],
        [0.84, 0.74, 0.6],
        [0.78, 0.66, 0.58],
        [0.62, 0.7, 0.62],
        [0.86, 0.82, 0.62],
        [0.72, 0.68, 0.74],
        [0.66, 0.42, 0.36],
        [0.5, 0.56, 0.62],
    ]
)
BOOK_CLOTHS = np.array(
    [
        [140, 30, 30],
        [30, 50, 110],
        [40, 90, 50],
        [200, 180, 140],
        [30, 30, 30],
        [180, 120, 50],
        [220, 220, 215],
        [90, 50, 90],
    ]
)


def _resize(values: np.ndarray, width: int, height: int) -> np.ndarray:
    image = Image.fromarray((np.clip(values, 0, 1) * 255).astype(np.uint8))
    return np.asarray(image.resize((width, height), Image.Resampling.BICUBIC), float) / 255


def _noise(rng: np.random.Generator, height: int, width: int, cells: int) -> np.ndarray:
    """Value noise of five octaves that repeats at the border, scaled to 0..1."""
    total = np.zeros((height, width))
    for octave in range(5):
        count = max(2, int(cells * 2**octave))
        grid = np.pad(rng.random((count, count)), ((0, 1), (0, 1)), mode="wrap")
        total += _resize(grid, width, height) / 2**octave
    return (total - total.min()) / np.ptp(total)


def _colours(rng: np.random.Generator, low: int, high: int) -> tuple[int, int, int]:
    r, g, b = (int(value) for value in rng.integers(low, high, 3))
    return r, g, b


def wood(rng: np.random.Generator) -> np.ndarray:
    """Grain along u, as on furniture."""
    grain = 0.5 * _resize(_noise(rng, 64, 512, 6), SIZE, SIZE) + 0.5 * np.repeat(rng.random(SIZE)[:, None], SIZE, 1)
    return (0.8 + 0.4 * (grain - 0.5))[..., None] * WOODS[rng.integers(len(WOODS))]


def planks(rng: np.random.Generator) -> np.ndarray:
    """Floor boards with joints."""
    image = wood(rng)
    count = 6
    step = SIZE // count
    for i in range(count):
        rows = slice(i * step, (i + 1) * step)
        image[rows] *= 0.85 + 0.3 * rng.random()
        image[i * step : i * step + 2] *= 0.5
        joint = int(rng.integers(SIZE))
        image[rows, joint:] *= 0.9 + 0.2 * rng.random()
        image[rows, joint : joint + 2] *= 0.5
    return image


def carpet(rng: np.random.Generator) -> np.ndarray:
    """Short pile of one colour."""
    pile = 0.85 + 0.3 * (rng.random((SIZE, SIZE)) - 0.5) + 0.15 * (_noise(rng, SIZE, SIZE, 4) - 0.5)
    return pile[..., None] * CARPETS[rng.integers(len(CARPETS))]


def tile(rng: np.random.Generator) -> np.ndarray:
    """Four by four tiles with joints."""
    value, count = np.ones((SIZE, SIZE)), 4
    step = SIZE // count
    for i in range(count):
        for j in range(count):
            value[i * step : (i + 1) * step, j * step : (j + 1) * step] = 0.9 + 0.15 * rng.random()
    value *= 0.92 + 0.16 * _noise(rng, SIZE, SIZE, 6)
    for i in range(count):
        value[i * step : i * step + 3] = 0.6
        value[:, i * step : i * step + 3] = 0.6
    return value[..., None] * TILES[rng.integers(len(TILES))]


def paint(rng: np.random.Generator) -> np.ndarray:
    """Painted wall, now and then with stripes."""
    value = 0.97 + 0.05 * (_noise(rng, SIZE, SIZE, 3) - 0.5) + 0.02 * (rng.random((SIZE, SIZE)) - 0.5)
    if rng.random() < 0.2:
        value = value * (1 - 0.08 * ((np.arange(SIZE) // 24) % 2))[None]
    return value[..., None] * PAINTS[rng.integers(len(PAINTS))]


def brick(rng: np.random.Generator) -> np.ndarray:
    """Running bond of bricks."""
    base = np.array([[0.55, 0.3, 0.24], [0.75, 0.72, 0.68], [0.45, 0.34, 0.3]])[rng.integers(3)]
    value, rows, columns = np.ones((SIZE, SIZE)), 12, 4
    high, wide = SIZE // rows, SIZE // columns
    for i in range(rows):
        for j in range(columns):
            start = (j * wide + (i % 2) * wide // 2) % SIZE
            value[i * high : (i + 1) * high, start : start + wide] = 0.75 + 0.4 * rng.random()
            value[i * high : (i + 1) * high, start : start + 3] = 1.25
        value[i * high : i * high + 3] = 1.25
    return (value * (0.85 + 0.3 * _noise(rng, SIZE, SIZE, 8)))[..., None] * base


def cloth(rng: np.random.Generator) -> np.ndarray:
    """Woven or printed cloth: plain, stripes or checks."""
    a, b = (0.5 * rng.uniform(0.2, 0.9) + 0.5 * rng.uniform(0.15, 0.9, 3) for _ in range(2))
    pattern, across = rng.integers(3), np.arange(SIZE)
    period = int(rng.integers(16, 64))
    stripe = ((across // period) % 2).astype(float)
    weight = np.zeros((SIZE, SIZE))
    if pattern == 1:
        weight = np.repeat(stripe[None], SIZE, 0)
    elif pattern == 2:
        weight = (stripe[None] + stripe[:, None]) / 2
    weave = 0.9 + 0.2 * (rng.random((SIZE, SIZE)) - 0.5)
    return weave[..., None] * (a * (1 - weight[..., None]) + b * weight[..., None])


def rug(rng: np.random.Generator) -> np.ndarray:
    """Carpet with a picture woven in."""
    return np.clip(carpet(rng) * (0.45 + 0.75 * _resize(art(rng), SIZE, SIZE)), 0, 1)


def _landscape(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    image = Image.new("RGB", (width, height))
    draw = ImageDraw.Draw(image)
    top, bottom = np.array(_colours(rng, 90, 255)), np.array(_colours(rng, 140, 255))
    for y in range(height):
        r, g, b = (int(value) for value in top + (bottom - top) * y / height)
        draw.line([(0, y), (width, y)], (r, g, b))
    for layer in range(4):
        horizon, phase = height * (0.45 + 0.14 * layer), rng.random(2) * 6
        ridge = [
            (float(x), horizon + 14 * math.sin(x / 30 + phase[0]) + 9 * math.sin(x / 11 + phase[1]))
            for x in range(0, width + 4, 4)
        ]
        draw.polygon([(0.0, float(height)), *ridge, (float(width), float(height))], _colours(rng, 20, 160))
    return image


def _blocks(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    image = Image.new("RGB", (width, height), (240, 235, 225))
    draw = ImageDraw.Draw(image)
    for _ in range(9):
        x, y = int(rng.integers(0, width)), int(rng.integers(0, height))
        right, low = x + int(rng.integers(20, 110)), y + int(rng.integers(20, 90))
        draw.rectangle([x, y, right, low], _colours(rng, 0, 255), (20, 20, 20), 3)
    return image


def _strokes(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    image = Image.new("RGB", (width, height), _colours(rng, 120, 250))
    draw = ImageDraw.Draw(image)
    for _ in range(250):
        x, y, angle, length = rng.random() * width, rng.random() * height, rng.random() * 6.28, rng.random() * 40
        end = (x + length * math.cos(angle), y + length * math.sin(angle))
        draw.line([(x, y), end], _colours(rng, 20, 255), int(rng.integers(2, 9)))
    return image.filter(ImageFilter.GaussianBlur(1.2))


def _still_life(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    image = Image.new("RGB", (width, height), _colours(rng, 20, 90))
    draw = ImageDraw.Draw(image)
    draw.rectangle([0, int(height * 0.7), width, height], (90, 60, 40))
    for _ in range(14):
        x, y = width * (0.3 + 0.4 * rng.random()), height * (0.15 + 0.45 * rng.random())
        r = int(rng.integers(8, 24))
        draw.ellipse([x - r, y - r, x + r, y + r], _colours(rng, 90, 255))
    vase = [(0.42, 0.6), (0.58, 0.6), (0.55, 0.9), (0.45, 0.9)]
    draw.polygon([(width * x, height * y) for x, y in vase], (150, 150, 190))
    return image.filter(ImageFilter.GaussianBlur(1))


def art(rng: np.random.Generator) -> np.ndarray:
    """A picture: landscape, coloured blocks, brush strokes or still life, half of them on a white mat."""
    width, height = 256, 192
    painters = (_landscape, _blocks, _strokes, _still_life)
    image = painters[rng.integers(len(painters))](rng, width, height)
    if rng.random() < 0.4:
        mat = Image.new("RGB", (width, height), (238, 236, 230))
        mat.paste(image.resize((width * 6 // 10, height * 6 // 10)), (width // 5, height // 5))
        image = mat
    return np.asarray(image, float) / 255


def spines(rng: np.random.Generator) -> np.ndarray:
    """Twenty-four book spines side by side."""
    count, width, height = 24, 480, 128
    image = Image.new("RGB", (width, height))
    draw = ImageDraw.Draw(image)
    step = width // count
    for i in range(count):
        shade = BOOK_CLOTHS[rng.integers(len(BOOK_CLOTHS))] * (0.7 + 0.4 * rng.random())
        r, g, b = (int(value) for value in shade.clip(0, 255))
        draw.rectangle([i * step, 0, (i + 1) * step, height], (r, g, b))
        title = _colours(rng, 150, 255)
        for y in (height * 0.12, height * 0.85):
            draw.line([(i * step + 2, y), ((i + 1) * step - 2, y)], title, 2)
        end = height * (0.45 + 0.3 * rng.random())
        draw.rectangle([i * step + step * 0.35, height * 0.25, i * step + step * 0.65, end], title)
    return np.asarray(image, float) / 255


def screen(rng: np.random.Generator) -> np.ndarray:
    """What a television or monitor shows: nearly always nothing."""
    if rng.random() < 0.7:
        return np.full((8, 8, 3), 0.06)
    return art(rng) * 0.7


def outdoor(rng: np.random.Generator) -> np.ndarray:
    """View through a window: sky, clouds, houses, trees, lawn, a little out of focus."""
    width, height = 384, 384
    sky_top, sky_low = np.array([0.45, 0.62, 0.88]), np.array([0.85, 0.9, 0.95])
    if rng.random() < 0.4:
        sky_top, sky_low = np.array([0.7, 0.73, 0.78]), np.array([0.88, 0.89, 0.9])
    fall = np.linspace(0, 1, height)[:, None, None]
    sky = sky_top + (sky_low - sky_top) * fall
    clouds = np.clip(_noise(rng, height, width, 3) * 2.2 - 1, 0, 1)[..., None] * 0.7
    backdrop = sky * (1 - clouds) + clouds * 0.95
    image = Image.fromarray((np.clip(backdrop, 0, 1) * 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    horizon = int(height * rng.uniform(0.5, 0.7))
    draw.rectangle([0, horizon, width, height], (70 + int(rng.integers(40)), 100 + int(rng.integers(40)), 60))
    for _ in range(int(rng.integers(1, 4))):
        left, wide, high = int(rng.integers(-60, width)), int(rng.integers(70, 170)), int(rng.integers(60, 160))
        draw.rectangle([left, horizon - high, left + wide, horizon + 8], _colours(rng, 90, 190))
        draw.polygon(
            [(left - 8, horizon - high), (left + wide // 2, horizon - high - 45), (left + wide + 8, horizon - high)],
            _colours(rng, 60, 120),
        )
        for i in range(3):
            for j in range(2):
                pane_x, pane_y = left + 12 + i * wide // 3, horizon - high + 16 + j * high // 2
                draw.rectangle([pane_x, pane_y, pane_x + wide // 7, pane_y + high // 5], (60, 66, 80))
    for _ in range(int(rng.integers(3, 8))):
        x, radius = float(rng.integers(0, width)), float(rng.integers(20, 55))
        y = horizon - float(rng.integers(10, 80))
        draw.rectangle([x - 4, y, x + 4, horizon + 14], (70, 50, 35))
        for _ in range(14):
            dx, dy, r = rng.normal(0, radius / 2), rng.normal(0, radius / 2), radius * rng.uniform(0.2, 0.5)
            shade = rng.uniform(0.6, 1.3)
            green = (int(50 * shade), int(95 * shade), int(45 * shade))
            draw.ellipse([x + dx - r, y + dy - r, x + dx + r, y + dy + r], green)
    return np.asarray(image.filter(ImageFilter.GaussianBlur(2.0)), float) / 255


KINDS: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    "wood": wood,
    "planks": planks,
    "carpet": carpet,
    "tile": tile,
    "paint": paint,
    "brick": brick,
    "cloth": cloth,
    "rug": rug,
    "art": art,
    "spines": spines,
    "screen": screen,
    "outdoor": outdoor,
}


@cache
def texture(kind: str, seed: int) -> Float32[np.ndarray, "h w 3"]:
    """(h, w, 3) float32 sRGB 0..1 texture of `kind`; the same kind and seed give the same texture."""
    image = KINDS[kind](np.random.default_rng([list(KINDS).index(kind), seed]))
    return np.clip(image, 0, 1).astype(np.float32)
