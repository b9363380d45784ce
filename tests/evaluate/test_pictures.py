"""One call from a picture to its depth."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_models import tiny_model

import zdlib
from zdlib.errors import ZDError
from zdlib.models.checkpoints import save_checkpoint
from zdlib.models.depth_model import Convention, Inference
from zdlib.models.factory import load_depth_model


def test_predict_is_the_checkpoint_s_depth_model_applied_to_a_picture(tmp_path: Path) -> None:
    network = tiny_model("swinv2_test_window4_64")
    recipe = {"recipe": "corrected"}
    save_checkpoint(tmp_path / "a.safetensors", network, network.config, recipe)
    picture = np.random.default_rng(0).integers(0, 256, (48, 80, 3), dtype=np.uint8)
    depth = zdlib.predict(picture, tmp_path / "a.safetensors")
    assert depth.shape == (48, 80)
    assert np.array_equal(depth, load_depth_model(tmp_path / "a.safetensors")(picture))
    plain = Inference(flip=False, full_size=True)
    other = zdlib.predict(picture, tmp_path / "a.safetensors", plain)
    with torch.inference_mode():
        raw = network(torch.from_numpy(picture).permute(2, 0, 1)[None] / 255).metric_depth
    assert not np.array_equal(other, depth)
    assert other.mean() == pytest.approx(float(raw.mean()) * Convention().metres_per_unit, rel=0.05)
    Image.fromarray(picture).save(tmp_path / "picture.png")
    assert np.array_equal(zdlib.predict(str(tmp_path / "picture.png"), tmp_path / "a.safetensors"), depth)
    with pytest.raises(ZDError, match=r"b\.safetensors: no such file"):
        zdlib.predict(picture, tmp_path / "b.safetensors")
    with pytest.raises(ZDError, match=r"none\.png: no such file: name an image file"):
        zdlib.predict(tmp_path / "none.png", tmp_path / "a.safetensors")
    with pytest.raises(ZDError, match="holds another model than zoe_swin2_t"):
        zdlib.predict(picture, tmp_path / "a.safetensors", model="zoe_swin2_t")
