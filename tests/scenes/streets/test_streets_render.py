import importlib.util

import numpy as np
import pytest

from scenes.streets import assets, render
from scenes.streets.generate import PLANS, render_clip
from scenes.streets.pack import encode
from zdlib.data.streets.store import open_store
from zdlib.errors import ZDError
from zdlib.paths import resolve

needs_mitsuba = pytest.mark.skipif(
    importlib.util.find_spec("mitsuba") is None
    or importlib.util.find_spec("mitsuba_oidn") is None
    or not (assets.FOLDER / "Scopia.sh3f").is_file(),
    reason="Mitsuba or the models are not installed",
)


def test_missing_llvm_names_the_package(monkeypatch):
    monkeypatch.setattr(render.glob, "glob", lambda pattern: [])
    with pytest.raises(ZDError, match="libllvm19"):
        render._llvm_path()


def test_missing_models_name_the_package(monkeypatch, tmp_path):
    monkeypatch.setenv("STREETS_FURNITURE", str(tmp_path))
    assets.archive.cache_clear()
    with pytest.raises(ZDError, match="sweethome3d-furniture"):
        assets.archive("S")


@needs_mitsuba
@pytest.mark.slow
@pytest.mark.parametrize(("name", "split"), [("streets_k", "val"), ("streets_v", "test")])
def test_a_committed_clip_renders_again_bit_for_bit(name, split):
    store, plan = open_store(resolve(f"data/streets/{name}.h5")), PLANS[name]
    number = store.of_split(split)[0]
    again = render_clip(plan, store.seeds[number])
    for moment in range(plan.frames):
        frame = store.frame(number, moment)
        depth = np.where(again["depth"][moment] > 0, np.exp(again["depth"][moment] / 1000), 0)
        assert np.array_equal(frame.depth, depth.astype(np.float32))
        assert np.array_equal(frame.labels, again["label"][moment])
        assert np.array_equal(frame.instances, again["instance"][moment])
        assert np.array_equal(frame.pose, again["pose"][moment])
        for side, picture in enumerate(again["image"][moment]):
            stored = store._read("image", (number, moment, side))
            assert np.array_equal(stored, encode(picture, "JPEG"))
