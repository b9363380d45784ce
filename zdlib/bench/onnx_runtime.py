"""ONNX Runtime with the file that `zdlib export` would write, of pictures at the network's size, without the way there.

Its arena is off: like everybody else's, its memory comes from the process's allocator, which keeps what was freed, and
is measured alike. It works on as many threads as PyTorch.

int8 does not take part: dynamic quantisation of its products saved a tenth of the time (ZoeD SwinV2-T on one thread:
0.35 s of processor time in place of 0.39; convolutions, which are most of it, stay in float32) and moved the depth by
4 % of its range: twice as far as bfloat16, which saves more.
"""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from zdlib.models.depth_model import DepthModel, Inference
from zdlib.models.export.files import onnx_session, require_onnx, write_onnx
from zdlib.models.export.pictures import Images, trace

NAME = "ONNX Runtime"


def forward_pass(model: DepthModel, x: Tensor) -> Callable[[], Tensor]:
    """What gives the depth (b, h, w) of a batch once.

    Args:
        model: whose network.
        x: (b, 3, h, w) of the network's size.

    Raises:
        ZDError: the extra `export` is not installed.
    """
    require_onnx()
    two = torch.cat([x, x])[:2]  # what is traced of one would hold for one alone
    program, _ = trace(Images(model, Inference(flip=False), (x.shape[2], x.shape[3])), two)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        write_onnx(program, path, {}, "depth")
        session = onnx_session(path, torch.get_num_threads())
    inputs = x.numpy()
    return lambda: torch.from_numpy(session(inputs))
