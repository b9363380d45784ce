import importlib.util

import numpy as np
import pytest

from scenes.rooms import catalogue, generate, render
from zdlib.data.rooms.store import open_store
from zdlib.errors import ZDError
from zdlib.paths import resolve

needs_mitsuba = pytest.mark.skipif(
    importlib.util.find_spec("mitsuba") is None
    or importlib.util.find_spec("mitsuba_oidn") is None
    or not (catalogue.DEFAULT_FOLDER / "Scopia.sh3f").is_file(),
    reason="Mitsuba or the furniture is not installed",
)


def test_developing_keeps_windows_from_burning_out():
    radiance = np.full((40, 40, 3), 0.2, np.float32)
    radiance[:10, :10] = 1.6
    image = render.develop(radiance, np.random.default_rng(0))
    assert image.dtype == np.uint8
    assert 80 < image[30, 30].mean() < 180
    assert 200 < image[0, 0].mean() < 254


def test_developing_removes_a_colour_cast_in_part():
    radiance = np.full((8, 8, 3), 0.2, np.float32) * np.float32([1.5, 1, 0.6])
    red, _, blue = render.develop(radiance, np.random.default_rng(0))[0, 0].astype(int)
    assert 1 < red / blue < 1.35  # 1.5 / 0.6, encoded, would be 1.5


def test_missing_llvm_names_the_package(monkeypatch):
    monkeypatch.delenv(render.LLVM_VARIABLE, raising=False)
    monkeypatch.setattr(render.glob, "glob", lambda pattern: [])
    with pytest.raises(ZDError, match="libllvm19"):
        render._llvm_path()


@needs_mitsuba
def test_a_committed_scene_renders_again():
    store = open_store(resolve("data/rooms/rooms_n.h5"))
    stored = store[0]
    plan = generate.PLANS["rooms_n"]
    view = next(v for v in generate.views(plan, stored.seed) if v.number == stored.view)
    again = generate.render_view(plan, view)
    assert np.allclose(view.camera.pose(), stored.pose)
    assert (np.abs(again["depth"] - stored.depth) < 1e-3).mean() > 0.999
    names = np.array(view.label_names)[again["label"]]
    assert (names == np.array(store.label_names)[stored.labels]).mean() > 0.999
    error = again["image"].astype(float) - stored.image
    assert 10 * np.log10(255**2 / (error**2).mean()) > 35
