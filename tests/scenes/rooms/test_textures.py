import numpy as np
import pytest

from scenes.rooms import textures


@pytest.mark.parametrize("kind", list(textures.KINDS))
def test_textures_are_colours_and_repeat_by_seed(kind):
    first = textures.texture(kind, 3)
    assert first.dtype == np.float32
    assert first.shape[2] == 3
    assert first.min() >= 0
    assert first.max() <= 1
    textures.texture.cache_clear()
    assert np.array_equal(textures.texture(kind, 3), first)


@pytest.mark.parametrize("kind", [kind for kind in textures.KINDS if kind != "screen"])
def test_seeds_differ(kind):
    assert not np.array_equal(textures.texture(kind, 0), textures.texture(kind, 1))
