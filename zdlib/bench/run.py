"""Let the contestants of a case take turns, and make a table of it.

Each lives in a process of its own with the same weights and number of threads. A busy machine slows all of them alike,
and the ratio of two is taken round by round. Before anything is timed, their answers must agree.
"""

import statistics
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import torch
from torch import nn

from zdlib.bench import depth_anything
from zdlib.bench.cases import Case
from zdlib.bench.processes import Run, contestant
from zdlib.errors import ZDError
from zdlib.models.checkpoints import save_checkpoint
from zdlib.models.factory import create_model
from zdlib.models.inspection import multiply_adds
from zdlib.models.layers.attention import linear

AGREEMENT = 1e-4  # largest difference in float32: of depths as a share of the range, of losses and gradients relative
BF16_DRIFT = 0.1  # the same, of a depth in bfloat16


def bench(case: Case, rounds: int = 7, threads: int = 2) -> pd.DataFrame:
    """Time one case.

    Returns:
        One row per contestant: `case, model, size, batch, threads, contestant, seconds` (median), `fastest, slowest`,
        `ratio` (median over rounds of its time to the first contestant's), `ratio_low`, `ratio_high` (smallest and
        largest), `peak_mib` (memory above rest, largest), `memory_ratio`, `images_s`, `gflops` (GFLOP/s of the forward
        pass; inference alone), `difference` (its answer's from the first contestant's).

    Raises:
        ZDError: the answers do not agree, or a contestant cannot be had.
    """
    threads = case.threads or threads
    with TemporaryDirectory() as folder, ExitStack() as stack:
        weights = Path(folder) / "weights.safetensors"
        work = _write_weights(case, weights)
        asks = {
            name: stack.enter_context(contestant(case, name, weights, threads))
            for name in dict.fromkeys(case.contestants)
        }
        answers = {name: ask("answer").answer or {} for name, ask in asks.items()}
        differences = {name: difference(answer, answers[case.contestants[0]]) for name, answer in answers.items()}
        for name, found in differences.items():
            if not found <= (BF16_DRIFT if name.endswith("bf16") else AGREEMENT):
                raise ZDError(f"{case.name}: {name} gives another answer (difference {found:.1e}): nothing is timed")
        for ask in asks.values():
            ask("time")  # warm, and memory at rest taken
        runs: dict[str, list[Run]] = {name: [] for name in asks}
        for _ in range(rounds):
            for name, ask in asks.items():
                runs[name].append(ask("time"))
    rows, images = [], case.batch * case.repeats
    first = runs[case.contestants[0]]
    for name, mine in runs.items():
        seconds = [run.seconds for run in mine]
        ratios = [own / theirs.seconds for own, theirs in zip(seconds, first, strict=True)]
        peak, first_peak = (max(run.memory for run in these) for these in (mine, first))
        median = statistics.median(seconds)
        rows.append(
            {
                "case": case.name,
                "model": case.model,
                "size": "×".join(map(str, case.size)),
                "batch": case.batch,
                "threads": threads,
                "contestant": name,
                "seconds": median,
                "fastest": min(seconds),
                "slowest": max(seconds),
                "ratio": statistics.median(ratios),
                "ratio_low": min(ratios),
                "ratio_high": max(ratios),
                "peak_mib": peak / 2**20,
                "memory_ratio": peak / first_peak if first_peak else float("nan"),
                "images_s": images / median,
                "gflops": 2 * work * images / median / 1e9 if case.work == "inference" else float("nan"),
                "difference": differences[name],
            }
        )
    return pd.DataFrame(rows)


def difference(found: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray]) -> float:
    """How far an answer is from another: the largest of its parts.

    A depth's is the largest error as a share of the expected range; losses' the largest relative one; gradients' the
    norm of the difference relative to the norm.
    """
    worst = 0.0
    for name, wanted in expected.items():
        error = found[name] - wanted
        if name == "depth":
            worst = max(worst, float(np.abs(error).max() / (wanted.max() - wanted.min())))
        elif name == "losses":
            worst = max(worst, float(np.abs(error / wanted).max()))
        else:
            worst = max(worst, float(np.linalg.norm(error) / np.linalg.norm(wanted)))
    return worst


def matrix_peak(threads: int, dtype: torch.dtype = torch.float32, size: int = 2048) -> float:
    """GFLOP/s of this machine's matrix product: the best of five runs, and of the ways that PyTorch has for it."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        a, b = torch.rand(2, size, size).to(dtype)
        with torch.no_grad():
            best = min(_seconds(product) for product in (lambda: a @ b, lambda: linear(a, b)) for _ in range(5))
    finally:
        torch.set_num_threads(before)
    return 2 * size**3 / best / 1e9


def _seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def _write_weights(case: Case, path: Path) -> int:
    """Random weights of the case's model; returns its multiply–adds."""
    if depth_anything.is_depth_anything(case):
        return depth_anything.write_weights(case, path, enliven)
    torch.manual_seed(0)
    model = create_model(
        case.model, segmentation=case.work == "training", input_size=case.size, keep_aspect_ratio=False
    )
    enliven(model)
    save_checkpoint(path, model, config=model.config, info={})
    return multiply_adds(model, case.size) if case.work == "inference" else 0


def enliven(model: nn.Module) -> None:
    """Random weights for which every part matters, and whose depth varies over the image."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1 and "table" not in name:
                # The output's last layer is quiet: it sets temperatures, and float32 is coarse at the smallest.
                variance = 0.02 if name.startswith("head.output.") and name.endswith(".2.weight") else 1.5
                parameter.normal_(0, (variance / parameter[0].numel()) ** 0.5)
            elif "table" in name or ("bias" in name and "norm" not in name):
                parameter.normal_(0, 0.1)
            elif "norm" in name and name.endswith("weight"):
                parameter.uniform_(0.5, 1.5)  # Swin V2's begin at zero: its blocks would add nothing
            elif "gamma" in name:
                parameter.uniform_(0.1, 0.5)
