"""Depth as a piece of HTML: colours, a scale in metres, and the numbers, which `page.js` reads under the pointer."""

import base64
import html
import io

import numpy as np
from jaxtyping import Float32
from matplotlib.colors import to_hex
from PIL import Image

from zdlib.colours import DEPTH_MAP

MOST_VALUES = 400_000  # of a view; a larger picture gives every second pixel, every third, …
_TICKS = 5
_COLOURS = 12  # of the scale's gradient

EMPTY = '<div class="zd-empty">Depth appears here.</div>'


def depth_view(depth: Float32[np.ndarray, "h w"], title: str) -> str:
    """The view of a depth map.

    Its numbers are the map's own, float32 metres without rounding: those of every n-th row and column from the first.

    Args:
        depth: metres.
        title: what is measured, for those who hear the page instead of seeing it.
    """
    height, width = depth.shape
    step = max(1, int(np.ceil((height * width / MOST_VALUES) ** 0.5)))
    shown = np.ascontiguousarray(depth[::step, ::step], "<f4")
    near, far = float(shown.min()), float(shown.max())
    return (
        f'<figure class="zd-depth" tabindex="0" role="img" aria-label="{html.escape(title, quote=True)}" '
        f'data-step="{step}" data-rows="{shown.shape[0]}" data-columns="{shown.shape[1]}" '
        f'data-values="{base64.b64encode(shown.tobytes()).decode()}">'
        f'<div class="zd-map"><img alt="" draggable="false" src="{_colours(shown, near, far)}">'
        '<span class="zd-cross" hidden></span></div>'
        f'<div class="zd-scale" style="background:linear-gradient(to right,{_gradient()})"></div>'
        f'<div class="zd-ticks">{_ticks(near, far)}</div>'
        '<figcaption class="zd-value" aria-live="polite">Point at the map, or touch it, to read '
        "metres.</figcaption></figure>"
    )


def _colours(depth: Float32[np.ndarray, "h w"], near: float, far: float) -> str:
    """A PNG, as an address that holds it."""
    picture = DEPTH_MAP((depth - near) / max(far - near, 1e-6), bytes=True)[..., :3]
    encoded = io.BytesIO()
    Image.fromarray(picture).save(encoded, "png", compress_level=4)
    return f"data:image/png;base64,{base64.b64encode(encoded.getvalue()).decode()}"


def _gradient() -> str:
    return ",".join(to_hex(DEPTH_MAP(place)) for place in np.linspace(0, 1, _COLOURS))


def _ticks(near: float, far: float) -> str:
    return "".join(f"<span>{value:.2f} m</span>" for value in np.linspace(near, far, _TICKS))
