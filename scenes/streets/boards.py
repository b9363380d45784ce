"""Windows, doors, shop boards and traffic signs: the cells of one atlas of 8 by 8."""

import numpy as np
from PIL import Image, ImageDraw

from scenes.streets.geometry import Array, Colour
from scenes.streets.textures import blend, noise, pick, tint

CELL, CELLS = 96, 8
WINDOW_ROWS, DOOR_ROW, BOARD_ROW, SIGN_ROW = 5, 5, 6, 7
FRAMES: tuple[Colour, ...] = (
    (0.85, 0.85, 0.83), (0.35, 0.25, 0.18), (0.2, 0.22, 0.24), (0.8, 0.78, 0.7), (0.55, 0.57, 0.58),
)  # fmt: skip
DOORS: tuple[Colour, ...] = (
    (0.30, 0.18, 0.11), (0.18, 0.26, 0.20), (0.16, 0.18, 0.26), (0.42, 0.12, 0.10), (0.55, 0.53, 0.50),
)  # fmt: skip
SHOPS: tuple[Colour, ...] = (
    (0.7, 0.1, 0.1), (0.1, 0.2, 0.5), (0.1, 0.4, 0.2), (0.9, 0.85, 0.7), (0.15, 0.15, 0.15), (0.85, 0.6, 0.1),
)  # fmt: skip
DIRECTIONS: tuple[Colour, ...] = ((0.05, 0.2, 0.55), (0.9, 0.8, 0.1))
SIGN_SHAPES = ("disc", "disc", "disc", "triangle", "octagon", "diamond", "square", "disc")
SIDES = {"disc": 20, "triangle": 3, "octagon": 8, "diamond": 4}
RED, BLUE, BLACK, YELLOW, WHITE = (190, 25, 30), (20, 60, 150), (20, 20, 20), (235, 190, 20), (240, 240, 240)


def atlas(rng: np.random.Generator) -> Array:
    """(768, 768, 3) sRGB: five rows of windows, one each of doors, boards and signs."""
    image = np.zeros((CELLS * CELL, CELLS * CELL, 3), np.float32)
    for row in range(WINDOW_ROWS):
        style = int(rng.integers(6))
        for column in range(CELLS):
            image[_cell(row, column)] = window(rng, FRAMES[row], style)
    for column in range(CELLS):
        back = None if column < 6 else DIRECTIONS[column - 6]
        image[_cell(DOOR_ROW, column)] = door(rng)
        image[_cell(BOARD_ROW, column)] = letters(rng, back)
        image[_cell(SIGN_ROW, column)] = sign(rng, column)
    return image


def _cell(row: int, column: int) -> tuple[slice, slice]:
    return slice(row * CELL, (row + 1) * CELL), slice(column * CELL, (column + 1) * CELL)


def cell_uv(row: int, column: int) -> Array:
    """(4, 2) texture coordinates of a cell: lower left, lower right, upper right, upper left."""
    u0, v1 = column / CELLS + 0.004, 1 - row / CELLS - 0.004
    u1, v0 = (column + 1) / CELLS - 0.004, 1 - (row + 1) / CELLS + 0.004
    return np.array([(u0, v0), (u1, v0), (u1, v1), (u0, v1)])


def window(rng: np.random.Generator, frame: Colour, style: int, size: int = CELL) -> Array:
    """Glass with curtains and reflections, frame and bars."""
    down = np.linspace(0, 1, size)[:, None] * np.ones(size)
    sky = rng.uniform(0.12, 0.45)
    image = tint(0.10 + sky * (1 - down) * (0.6 + 0.6 * noise(rng, size, size, 1.6)), (0.85, 0.95, 1.05))
    kind = rng.integers(5)
    if kind == 0:
        curtain = (np.abs(np.linspace(-1, 1, size)) > rng.uniform(0.4, 0.75))[None] * np.ones((size, 1))
        folds = 0.7 + 0.3 * np.sin(np.arange(size) * 1.1)[None, :, None] ** 2
        image = blend(image, curtain * 0.8, np.array((0.72, 0.70, 0.64)) * folds)
    elif kind == 1:
        blind = (down < rng.uniform(0.2, 0.9)) * (0.8 + 0.2 * np.sin(np.arange(size) * 1.6)[:, None])
        image = blend(image, blind * 0.85, (0.66, 0.65, 0.62))
    elif kind == 2 and rng.random() < 0.5:
        image = blend(image, (noise(rng, size, size, 0.8, 2) > 0.6) * (down > 0.6), (0.2, 0.3, 0.12))
    bar = max(1, round(size * 0.07))
    for side in (np.s_[:bar], np.s_[-bar:], np.s_[:, :bar], np.s_[:, -bar:]):
        image[side] = frame
    if style % 3 != 2:
        image[:, size // 2 - bar // 2 - 1 : size // 2 + bar // 2 + 1] = frame
    if style % 2:
        image[int(size * 0.3) : int(size * 0.3) + bar] = frame
    return np.clip(image, 0, 1).astype(np.float32)


def door(rng: np.random.Generator, size: int = CELL) -> Array:
    """A panelled door with a pane."""
    colour = pick(rng, DOORS)
    image = tint(0.85 + 0.3 * noise(rng, size, size, 0.7), colour)
    left, right = int(size * 0.15), int(size * 0.85)
    for i in range(2):
        top, bottom = int(size * (0.08 + 0.45 * i)), int(size * (0.45 + 0.45 * i))
        image[top:bottom, left:right] *= 0.75
        image[top : top + 1, left:right] = colour * 1.5
    image[int(size * 0.1) : int(size * 0.35), int(size * 0.25) : int(size * 0.75)] = (0.2, 0.24, 0.28)
    return np.clip(image, 0, 1)


def letters(rng: np.random.Generator, back: Colour | None = None, size: int = CELL) -> Array:
    """A board with something like writing on it."""
    ground = pick(rng, SHOPS) if back is None else np.array(back)
    ink = np.array((0.95, 0.95, 0.9) if ground.mean() < 0.5 else (0.1, 0.1, 0.12))
    image = Image.new("RGB", (size, size), tuple(int(value * 255) for value in ground))
    draw, colour = ImageDraw.Draw(image), tuple(int(value * 255) for value in ink)
    x, y, s = size * 0.12, size * 0.25, size * 0.5
    while x < size * 0.85:
        kind = rng.integers(5)
        if kind == 0:
            draw.line([x, y, x, y + s], colour, 2)
            draw.line([x, y, x + s * 0.5, y], colour, 2)
        elif kind == 1:
            draw.ellipse([x, y, x + s * 0.55, y + s], outline=colour, width=2)
        elif kind == 2:
            draw.line([x, y + s, x + s * 0.3, y, x + s * 0.6, y + s], colour, 2)
        elif kind == 3:
            draw.line([x, y, x, y + s, x + s * 0.5, y + s], colour, 2)
        else:
            draw.line([x, y + s, x, y, x + s * 0.5, y + s, x + s * 0.5, y], colour, 2)
        x += s * 0.8
    return np.asarray(image, np.float32) / 255


def sign(rng: np.random.Generator, kind: int, n: int = CELL) -> Array:
    """Face of a traffic sign: limit, no stopping, ahead only, warning, stop, priority, parking, no entry."""
    image = Image.new("RGB", (n, n), (235, 235, 235))
    draw = ImageDraw.Draw(image)

    def disc(radius: float, colour: tuple[int, int, int]) -> None:
        draw.ellipse([n * (0.5 - radius), n * (0.5 - radius), n * (0.5 + radius), n * (0.5 + radius)], fill=colour)

    if kind == 0:
        disc(0.5, RED)
        disc(0.38, WHITE)
        draw.text((n * 0.32, n * 0.38), str(rng.choice([3, 5, 7]) * 10), fill=BLACK, font_size=n * 0.3)
    elif kind == 1:
        disc(0.5, RED)
        disc(0.40, BLUE)
        draw.line([n * 0.2, n * 0.2, n * 0.8, n * 0.8], RED, n // 10)
    elif kind == 2:
        disc(0.5, BLUE)
        draw.line([n * 0.5, n * 0.2, n * 0.5, n * 0.8], (255, 255, 255), n // 10)
        draw.polygon([(n * 0.5, n * 0.12), (n * 0.3, n * 0.4), (n * 0.7, n * 0.4)], (255, 255, 255))
    elif kind == 3:
        draw.rectangle([0, 0, n, n], RED)
        draw.polygon([(n * 0.5, n * 0.2), (n * 0.16, n * 0.86), (n * 0.84, n * 0.86)], WHITE)
        draw.line([n * 0.5, n * 0.42, n * 0.5, n * 0.68], BLACK, n // 12)
        draw.ellipse([n * 0.46, n * 0.72, n * 0.54, n * 0.8], BLACK)
    elif kind == 4:
        draw.rectangle([0, 0, n, n], RED)
        draw.text((n * 0.14, n * 0.36), "STOP", fill=(255, 255, 255), font_size=n * 0.27)
    elif kind == 5:
        draw.rectangle([0, 0, n, n], WHITE)
        draw.polygon([(n * 0.5, n * 0.2), (n * 0.8, n * 0.5), (n * 0.5, n * 0.8), (n * 0.2, n * 0.5)], YELLOW)
    elif kind == 6:
        draw.rectangle([0, 0, n, n], (255, 255, 255))
        draw.rectangle([4, 4, n - 4, n - 4], BLUE)
        draw.text((n * 0.3, n * 0.2), "P", fill=(255, 255, 255), font_size=n * 0.55)
    else:
        disc(0.5, RED)
        draw.rectangle([n * 0.2, n * 0.42, n * 0.8, n * 0.58], WHITE)
    return np.asarray(image, np.float32) / 255
