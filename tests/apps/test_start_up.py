"""What a command loads before it does anything: the bound on its start, without a clock."""

import subprocess
import sys

import numpy as np
import pytest
import tiny_paper as tiny
from PIL import Image

# Each of these takes from a tenth of a second to two, and none is of use to a picture's depth.
HEAVY = (
    "torch._dynamo",
    "torch._inductor",
    "torch.distributed.tensor",
    "h5py",
    "scipy",
    "skimage",
    "matplotlib.pyplot",
)
PREDICT = f"""
import sys
from zdlib.apps.command_line import main
status = main(["predict", "room.png"])
loaded = [name for name in {HEAVY} if name in sys.modules]
assert (status, loaded) == (0, []), (status, loaded)
"""


def run(code: str, folder: object = None) -> None:
    surroundings = {"cwd": folder or tiny.ROOT, "env": tiny.surroundings(tiny.ROOT)}
    done = subprocess.run([sys.executable, "-c", code], **surroundings, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def folder(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (64, 96, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "room.png")
    return tmp_path


@pytest.mark.slow
def test_a_prediction_loads_little(folder):
    run(PREDICT, folder)


@pytest.mark.slow
def test_the_compiler_is_there_for_who_wants_it():
    run(
        """
import sys
from zdlib.apps.start_up import without_compiler
with without_compiler():
    import torch, zdlib.models.registry, timm
    assert "torch._dynamo.config" not in sys.modules
assert "torch._dynamo" not in sys.modules
with without_compiler():
    import torch._dynamo  # a mention
    assert "torch._dynamo.config" not in sys.modules
    torch._dynamo.reset()  # a use
double = torch.compile(lambda x: 2 * x, backend="eager")
assert double(torch.ones(2)).tolist() == [2.0, 2.0]
with without_compiler():  # it is loaded: nothing is taken away
    assert sys.modules["torch._dynamo"].reset
"""
    )


def test_help_loads_no_library():
    run(
        """
import contextlib, sys
from zdlib.apps.command_line import main
with contextlib.suppress(SystemExit):
    main(["--help"])
assert not {"numpy", "torch", "pandas", "PIL"} & set(sys.modules), "the help takes its time"
"""
    )
