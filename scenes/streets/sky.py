"""Season, weather, sun and sky."""

from dataclasses import dataclass

import numpy as np

from scenes.streets.geometry import Array
from scenes.streets.textures import noise

SEASONS = ("spring", "summer", "autumn", "winter")
WEATHER = ("clear", "low sun", "clear", "overcast", "wet", "clear", "low sun", "cloudy", "overcast", "cloudy")
DRYNESS = {"spring": (0.0, 0.3), "summer": (0.1, 0.6), "autumn": (0.35, 0.7), "winter": (0.6, 0.95)}
LOW_SUN = {"clear": (20, 58), "cloudy": (20, 58), "low sun": (6, 14), "overcast": (25, 50), "wet": (20, 45)}
COVER = {
    "clear": (0.15, 0.35), "low sun": (0.15, 0.35), "cloudy": (0.5, 0.7),
    "overcast": (1.0, 1.0), "wet": (0.85, 1.0),
}  # fmt: skip


@dataclass(frozen=True)
class Light:
    """What lights a scene.

    Attributes:
        season, weather: words of `SEASONS` and `WEATHER`.
        sun: (3,) unit vector towards the sun.
        sun_colour: (3,) linear strength of the sunlight, 0 under a closed cover of clouds.
        sky: (h, w, 3) linear radiance by direction, row 0 at the zenith, column 0 towards +x.
        visibility: metres at which haze has taken 1 - 1/e of an object's own light.
        wet: the road mirrors.
    """

    season: str
    weather: str
    sun: Array
    sun_colour: Array
    sky: Array
    visibility: float
    wet: bool


def season_and_weather(seed: int) -> tuple[str, str]:
    """Seasons in turn, and weathers in turn so that 40 consecutive seeds hold every combination."""
    return SEASONS[seed % len(SEASONS)], WEATHER[(seed // len(SEASONS)) % len(WEATHER)]


def make_light(rng: np.random.Generator, season: str, weather: str) -> Light:
    """Draw sun and clouds of a weather."""
    elevation, azimuth = np.radians(rng.uniform(*LOW_SUN[weather])), rng.uniform(0, 2 * np.pi)
    across = np.cos(elevation)
    sun = np.array([across * np.cos(azimuth), across * np.sin(azimuth), np.sin(elevation)])
    cover = float(rng.uniform(*COVER[weather]))
    strength = (3.2 + 2.2 * np.sin(elevation)) * (1 if cover < 0.45 else 0.45 if cover < 0.8 else 0.0)
    # The lower the sun, the longer its way through the air and the redder its light.
    red = np.clip((0.45 - elevation) / 0.35, 0, 1)
    colour = strength * (np.array([1.0, 0.93, 0.82]) * (1 - red) + np.array([1.0, 0.72, 0.42]) * red)
    low, high = (600.0, 2000.0) if weather == "wet" else (1000.0, 6000.0)
    visibility = float(np.exp(rng.uniform(np.log(low), np.log(high))))
    return Light(season, weather, sun, colour, make_sky(rng, sun, cover), visibility, weather == "wet")


def make_sky(rng: np.random.Generator, sun: Array, cover: float, height: int = 384, width: int = 1536) -> Array:
    """(h, w, 3) float32 linear radiance: blue, haze at the horizon, a glow around the sun, clouds."""
    polar = (np.arange(height) + 0.5) / height * np.pi
    azimuth = (np.arange(width) + 0.5) / width * 2 * np.pi
    across = np.sin(polar)[:, None]
    up = np.cos(polar)[:, None] * np.ones(width)
    direction = np.stack([across * np.cos(azimuth), across * np.sin(azimuth), up], -1)
    to_sun = direction @ sun
    haze = np.exp(-np.clip(up, 0, 1) * 4.5)[..., None]
    image = (1 - haze) * np.array([0.13, 0.26, 0.58]) + haze * np.array([0.55, 0.63, 0.74])
    image *= (0.75 + 0.55 * np.exp((to_sun - 1) * 3))[..., None]
    image += np.exp((to_sun - 1) * 25)[..., None] * np.array([0.8, 0.7, 0.5]) * (1 - 0.9 * cover)
    # Clouds lie on a plane: noise looked up where the ray meets z = 1.
    clouds = noise(rng, 1024, 1024, 1.35, 2)
    place = direction[..., :2] / np.maximum(up, 0.04)[..., None] * rng.uniform(60, 110) + 512
    value = clouds[np.mod(place[..., 1], 1024).astype(int), np.mod(place[..., 0], 1024).astype(int)]
    if cover > 0.8:
        value = 0.55 + 0.35 * value
    cloud = 0.92 * (np.clip((value - (1 - cover)) / 0.22, 0, 1) * (up > 0))[..., None]
    shade = (0.55 + 0.5 * np.clip(1.3 - value, 0, 1)) * (0.8 + 0.4 * np.exp((to_sun - 1) * 2) * (1 - 0.7 * cover))
    image = image * (1 - cloud) + cloud * np.array([0.74, 0.76, 0.82]) * shade[..., None]
    return np.where(up[..., None] < 0, np.array([0.25, 0.25, 0.24]), image).astype(np.float32)
