"""Exported networks as files: written beside their place, tried there against PyTorch, and only then shown.

Both kinds carry the same description (`describe`): ONNX as its metadata, torch.export's files as `zdlib.json`.
"""

import json
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.export import ExportedProgram

import zdlib
from zdlib.errors import ZDError
from zdlib.files import atomic_path
from zdlib.gates.opening import reason
from zdlib.models.depth_model import DepthModel, Inference
from zdlib.models.export.pictures import INPUT, Pictures, example, trace

LARGEST_DIFFERENCE = 1e-3  # from PyTorch's depth, as a share of its range: rounding alone gives a tenth of it
PROGRAM_NOTE = "zdlib.json"
KINDS = (".onnx", ".pt2")
_LARGEST = 2**31 - 2**26  # bytes of weights: an ONNX file is one message of at most 2 GiB


def require_onnx() -> Any:
    """ONNX Runtime, with all that writing an ONNX file needs.

    Raises:
        ZDError: something of it is not installed.
    """
    try:
        import onnx  # noqa: F401
        import onnxruntime
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ZDError("ONNX needs the extra export: pip install 'zdlib[export]'") from error
    return onnxruntime


def describe(model: DepthModel, options: Inference, size: tuple[int, int], name: str) -> dict[str, str]:
    """What the numbers of an exported file mean, as text.

    Args:
        model: whose network it is.
        options: how it predicts.
        size: height and width of its pictures.
        name: of the network, or of its weights' file.
    """
    meant = model.convention
    metric = meant.kind == "metric"
    said = {
        "zdlib": zdlib.__version__,
        "model": name,
        "input": f"{INPUT}: uint8 RGB, batch × {size[0]} × {size[1]} × 3",
        "output": f"{output_name(model)}: float32, batch × {size[0]} × {size[1]}",
        "unit": "metres" if metric else "none: inverse depth, larger is nearer, scale and shift unknown",
        "domain": options.domain or ("by the router" if model.domains[1:] else ""),
        "min_depth": _number(meant.min_depth),
        "max_depth": _number(meant.max_depth),
        "border": "reflected, as ZoeDepth's infer" if options.pad else "none",
        "mirrored_average": "yes" if options.flip else "no",
    }
    if meant.canonical_focal is not None:
        focal = Pictures(model, options, size).focal
        said["focal_length"] = f"{focal:.6g} pixels; metres are proportional to it: multiply for another lens"
    return {key: value for key, value in said.items() if value}


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def output_name(model: DepthModel) -> str:
    """Of the one output."""
    return "depth" if model.convention.kind == "metric" else "inverse_depth"


def export(model: DepthModel, options: Inference, size: tuple[int, int], path: Path, name: str) -> float:
    """Write a network as a file that runs without this library, for any number of pictures of one size.

    Args:
        model: whose network; on the CPU.
        options: how it predicts; always in float32.
        size: height and width of the pictures.
        path: what to write, `.onnx` or `.pt2`; atomic.
        name: of the network, for the description and for messages.

    Returns:
        The largest difference of the file's depth from PyTorch's, as a share of the depth's range.

    Raises:
        ZDError: this network has no such form, the file computes something else, the extra is missing, or the file
            cannot be written. Nothing is written then.
    """
    if path.suffix not in KINDS:
        raise ZDError(f"{path}: ends in neither {' nor '.join(KINDS)}: name it so")
    write, run = (write_onnx, _run_onnx) if path.suffix == ".onnx" else (_write_program, _run_program)
    if path.suffix == ".onnx":
        require_onnx()
        weights = sum(p.numel() * p.element_size() for p in model.network.parameters())
        if weights > _LARGEST:
            raise ZDError(f"{name}: {weights / 1e9:.1f} GB of weights do not fit into one ONNX file: write a .pt2")
    pictures = example(size)
    program, expected = _traced(Pictures(model, options, size), pictures, name, path)
    with atomic_path(path) as temporary:
        try:
            with _quiet():
                write(program, temporary, describe(model, options, size, name), output_name(model))
                # One picture, where two were traced: their number is free.
                computed = run(temporary, pictures[:1])
        except (ZDError, OSError):
            raise
        except Exception as error:  # the exporters raise whatever they like
            raise _unfit(name, path, error) from error
        difference = relative_difference(computed, expected[:1].numpy())
        if not difference <= LARGEST_DIFFERENCE:
            raise ZDError(
                f"{name}: its {path.suffix} would differ from PyTorch by {difference:.1e} of the depth's range, "
                f"more than {LARGEST_DIFFERENCE:g}, and is not written: use `zdlib predict`"
            )
    return difference


def relative_difference(computed: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference as a share of the expected range; of a constant map, of its value."""
    extent = float(expected.max() - expected.min()) or float(abs(expected).max()) or 1.0
    return float(np.abs(computed - expected).max()) / extent


def _traced(module: Pictures, pictures: Tensor, name: str, path: Path) -> tuple[ExportedProgram, Tensor]:
    try:
        program, expected = trace(module, pictures)
    except ZDError:
        raise
    except Exception as error:  # torch.export raises whatever it likes
        raise _unfit(name, path, error) from error
    if not bool(torch.isfinite(expected).all()):
        raise ZDError(f"{name}: its weights give depth that is not finite: take another checkpoint")
    return program, expected


def _unfit(name: str, path: Path, error: BaseException) -> ZDError:
    """The innermost cause in one line: exporters wrap it in advice."""
    while error.__cause__ is not None:
        error = error.__cause__
    return ZDError(f"{name}: cannot be written as {path.suffix} ({reason(error)}): use `zdlib predict`")


@contextmanager
def _quiet() -> Iterator[None]:
    """What the exporters say of their own code and of what they leave unfolded helps nobody here."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


# -------------------------------------------------------------------------------------------------------- two kinds
def write_onnx(program: ExportedProgram, path: Path, said: dict[str, str], output: str) -> None:
    """A traced module as an ONNX file: not atomic, not tried.

    Args:
        program: with one input.
        path: the file.
        said: its metadata.
        output: name of its one output.
    """
    names: dict[str, Any] = {"input_names": [INPUT], "output_names": [output], "dynamic_shapes": {INPUT: {0: "batch"}}}
    with _quiet():
        written = torch.onnx.export(program, dynamo=True, verbose=False, external_data=False, **names)
    assert written is not None
    written.model.metadata_props.update(said)
    written.model.producer_name, written.model.producer_version = "zdlib", zdlib.__version__
    written.save(str(path), external_data=False)


def _run_onnx(path: Path, pictures: Tensor) -> np.ndarray:
    return onnx_session(path)(pictures.numpy())


def onnx_session(path: Path, threads: int | None = None) -> Callable[[np.ndarray], np.ndarray]:
    """A function that runs an ONNX file with one input and one output, on the CPU.

    Its memory comes from the process's allocator and goes back there, so that it can be compared with PyTorch's.

    Args:
        path: the file.
        threads: to compute with; None takes as many as PyTorch.

    Raises:
        ZDError: ONNX Runtime is not installed.
    """
    runtime = require_onnx()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads or torch.get_num_threads()
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 3
    session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def run(inputs: np.ndarray) -> np.ndarray:
        result: np.ndarray = session.run(None, {name: inputs})[0]
        return result

    return run


def _write_program(program: ExportedProgram, path: Path, said: dict[str, str], output: str) -> None:
    torch.export.save(program, str(path), extra_files={PROGRAM_NOTE: json.dumps(said, indent=1, ensure_ascii=False)})


def _run_program(path: Path, pictures: Tensor) -> np.ndarray:
    with torch.no_grad():
        result: np.ndarray = torch.export.load(str(path)).module()(pictures).numpy()
    return result
