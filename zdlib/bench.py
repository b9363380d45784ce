"""Time and memory of the model, side by side with other implementations of it in one run.

    python -m zdlib.bench                     # all cases; minutes
    python -m zdlib.bench --case swin2_b      # one of them

Every contestant lives in a process of its own with the same weights and threads; they take turns, so that a busy
machine slows all of them alike, and the ratio of two is taken round by round. Before anything is timed, their depths
must agree. Written to `results/bench/`: one row a case and contestant.
"""

import argparse
import ctypes
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from zdlib.errors import ZDError
from zdlib.io import write_csv, write_json
from zdlib.paths import repo_root

if TYPE_CHECKING:
    from torch import Tensor

AGREEMENT = 1e-4  # largest difference of two depths, as a share of the range, in float32
BF16_DRIFT = 0.1  # the same, for a contestant in bfloat16


@dataclass(frozen=True)
class Case:
    """What is timed.

    Attributes:
        name: of the case.
        model: a name of `zdlib.list_models`.
        contestants: keys of `CONTESTANTS`; ratios are to the first.
        size: network input (height, width).
        batch: images a forward pass.
    """

    name: str
    model: str
    contestants: tuple[str, ...]
    size: tuple[int, int] = (384, 384)
    batch: int = 1


CASES = {
    case.name: case
    for case in (
        Case("swin2_b", "zoe_swin2_b", ("plain", "zdlib", "zdlib bf16")),
        Case("beit_l", "zoe_beit_l", ("transformers", "zdlib", "zdlib bf16")),
        Case("swin2_t", "zoe_swin2_t", ("plain", "zdlib", "zdlib bf16"), size=(256, 256)),
        Case("swin2_t batch 4", "zoe_swin2_t", ("plain", "zdlib"), size=(256, 256), batch=4),
    )
}


# ------------------------------------------------------------------------------------------------------- contestants
def _ours(case: Case, weights: Path) -> "Callable[[Tensor], Tensor]":
    import torch

    from zdlib.models.checkpoints import load_checkpoint

    model, _ = load_checkpoint(weights)
    return torch.inference_mode()(lambda images: model(images).metric_depth[:, 0])


def _ours_in_bf16(case: Case, weights: Path) -> "Callable[[Tensor], Tensor]":
    import torch

    run = _ours(case, weights)

    def forward(images: "Tensor") -> "Tensor":
        with torch.autocast("cpu", torch.bfloat16):
            return run(images).float()

    return forward


def _plain(case: Case, weights: Path) -> "Callable[[Tensor], Tensor]":
    """The un-optimised twin (`zdlib.bench_reference`)."""
    import torch

    from zdlib.bench_reference import PlainZoeDepth
    from zdlib.models.checkpoints import load_checkpoint

    model = PlainZoeDepth(load_checkpoint(weights)[0]).eval()
    return torch.inference_mode()(lambda images: model(images)[:, 0])


def _transformers(case: Case, weights: Path) -> "Callable[[Tensor], Tensor]":
    """ZoeDepth of Hugging Face `transformers`, filled with the same weights."""
    import torch

    from zdlib.models.checkpoints import read_safetensors
    from zdlib.models.huggingface import beit_large, into_transformers

    model = beit_large(case.size)
    into_transformers(model, read_safetensors(weights)[0])
    return torch.inference_mode()(lambda images: model(2 * images - 1).predicted_depth)


CONTESTANTS: "dict[str, Callable[[Case, Path], Callable[[Tensor], Tensor]]]" = {
    "zdlib": _ours,
    "zdlib bf16": _ours_in_bf16,
    "plain": _plain,
    "transformers": _transformers,
}


# --------------------------------------------------------------------------------------------------------- processes
def _serve(
    pipe: multiprocessing.connection.Connection, case: Case, contestant: str, weights: Path, threads: int
) -> None:
    """A contestant's process: for each message it runs once and answers (depth or None, seconds, bytes)."""
    import torch

    torch.set_num_threads(threads)
    try:
        run = CONTESTANTS[contestant](case, weights)
        images = torch.rand(case.batch, 3, *case.size, generator=torch.Generator().manual_seed(0))
        _give_back_memory()
        resting = _resident()
        pipe.send("ready")
        while (wanted := pipe.recv()) is not None:
            _reset_peak()
            started = time.perf_counter()
            depth = run(images)
            seconds = time.perf_counter() - started
            pipe.send((depth.numpy() if wanted == "depth" else None, seconds, _peak() - resting))
            del depth
    except ZDError as error:
        pipe.send(error)
    except (EOFError, KeyboardInterrupt):
        return


@contextmanager
def _contestant(case: Case, name: str, weights: Path, threads: int) -> "Iterator[Callable[[str], Any]]":
    """Start a contestant's process; gives a function that sends it a message and returns its answer."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, case, name, weights, threads), daemon=True)
    process.start()
    theirs.close()

    def ask(message: str | None) -> Any:
        try:
            if message != "ready":
                ours.send(message)
            answer = ours.recv()
        except (EOFError, BrokenPipeError) as error:
            raise ZDError(f"{case.name}: {name} ended unexpectedly: is there enough memory?") from error
        if isinstance(answer, ZDError):
            raise answer
        return answer

    try:
        ask("ready")
        yield ask
        ours.send(None)
        process.join(10)
    finally:
        process.kill()
        ours.close()


def _give_back_memory() -> None:
    """Let the allocator return what loading left, so that a forward pass is seen in the resident size."""
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)


def _resident() -> int:
    return _status("VmRSS")


def _peak() -> int:
    return _status("VmHWM")


def _status(field: str) -> int:
    """Bytes, from /proc; 0 where there is none."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:"))


def _reset_peak() -> None:
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


# -------------------------------------------------------------------------------------------------------------- runs
def bench(case: Case, rounds: int = 7, threads: int = 2) -> pd.DataFrame:
    """Let the contestants of a case take turns.

    Returns:
        One row a contestant: `case, model, size, batch, contestant`, `seconds` (median), `fastest`, `slowest`, `ratio`
        (median over rounds of its time to the first contestant's), `peak_mib` (resident memory above the weights while
        it runs, largest), `memory_ratio`, `images_s`, `difference` (largest, of its depth from the first contestant's,
        as a share of the range).

    Raises:
        ZDError: the depths do not agree, or a contestant cannot be had.
    """
    import torch

    from zdlib.models import create_model
    from zdlib.models.checkpoints import save_checkpoint

    with TemporaryDirectory() as folder, ExitStack() as stack:
        weights = Path(folder) / "weights.safetensors"
        torch.manual_seed(0)
        model = create_model(case.model, input_size=case.size, keep_aspect_ratio=False)
        _enliven(model)
        save_checkpoint(weights, model, model.config, {})
        del model
        asks = {name: stack.enter_context(_contestant(case, name, weights, threads)) for name in case.contestants}
        depths = {name: ask("depth")[0] for name, ask in asks.items()}
        differences = {name: _difference(depth, depths[case.contestants[0]]) for name, depth in depths.items()}
        for name, difference in differences.items():
            if difference > (BF16_DRIFT if name.endswith("bf16") else AGREEMENT):
                raise ZDError(
                    f"{case.name}: {name} gives another depth ({difference:.1e} of the range): nothing is timed"
                )
        for ask in asks.values():
            ask("run")  # warm
        answers: dict[str, list[tuple[float, int]]] = {name: [] for name in asks}
        for _ in range(rounds):
            for name, ask in asks.items():
                answers[name].append(ask("run")[1:])
    rows = []
    first = answers[case.contestants[0]]
    for name, found in answers.items():
        seconds = [s for s, _ in found]
        peak, first_peak = (max(bytes_ for _, bytes_ in f) for f in (found, first))
        rows.append(
            {
                "case": case.name,
                "model": case.model,
                "size": "×".join(map(str, case.size)),
                "batch": case.batch,
                "contestant": name,
                "seconds": statistics.median(seconds),
                "fastest": min(seconds),
                "slowest": max(seconds),
                "ratio": statistics.median(s / f for s, (f, _) in zip(seconds, first, strict=True)),
                "peak_mib": peak / 2**20,
                "memory_ratio": peak / first_peak if first_peak else float("nan"),
                "images_s": case.batch / statistics.median(seconds),
                "difference": differences[name],
            }
        )
    return pd.DataFrame(rows)


def matrix_peak(threads: int, size: int = 2048) -> float:
    """GFLOP/s of this machine's float32 matrix product, best of five."""
    import torch

    torch.set_num_threads(threads)
    a, b = torch.rand(2, size, size)
    best = min(_seconds(lambda: a @ b) for _ in range(5))
    return 2 * size**3 / best / 1e9


def _seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def _difference(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(found - expected).max() / (expected.max() - expected.min()))


def _enliven(model: Any) -> None:
    """Random weights for which every part matters, and whose depth varies over the image."""
    import torch

    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1 and "table" not in name:
                parameter.normal_(0, (1.5 / parameter[0].numel()) ** 0.5)
            elif "table" in name or ("bias" in name and "norm" not in name):
                parameter.normal_(0, 0.1)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; see the module's docstring."""
    parser = argparse.ArgumentParser(prog="python -m zdlib.bench", description="Time and memory, side by side.")
    parser.add_argument("--case", action="append", choices=list(CASES), help="which (default: all); may be repeated")
    parser.add_argument("--rounds", type=int, default=7, help="runs of each contestant (default 7)")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads of each (default 2)")
    parser.add_argument("-o", "--out", type=Path, help="folder to write to (default results/bench)")
    options = parser.parse_args(arguments)
    from zdlib.provenance import git_state, hardware

    out = options.out or repo_root() / "results" / "bench"
    try:
        tables = []
        for name in options.case or CASES:
            print(f"{name} …", flush=True)
            tables.append(bench(CASES[name], options.rounds, options.threads))
            print(tables[-1].drop(columns=["case", "model"]).round(4).to_string(index=False), flush=True)
        table = pd.concat(tables, ignore_index=True)
        write_csv(out / "inference.csv", table)
        record = {"threads": options.threads, "rounds": options.rounds, "matrix_gflops": matrix_peak(options.threads)}
        write_json(out / "inference.json", {**record, **git_state(repo_root()), "hardware": hardware()})
    except ZDError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
