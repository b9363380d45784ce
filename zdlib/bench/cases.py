"""What is timed, and against what."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Case:
    """Contestants that do the same work.

    Attributes:
        name: of the case.
        group: the table it belongs to (a file of `results/bench/`).
        model: a name of `zdlib.list_models`.
        contestants: names that `zdlib.bench.contestants` knows; ratios are to the first.
        size: network input (height, width).
        batch: images per step.
        work: a forward pass without gradients, or an optimiser step with its loss.
        threads: of the CPU; None leaves it to the command line.
        repeats: how often the work is done in one timed run.
    """

    name: str
    group: str
    model: str
    contestants: tuple[str, ...]
    size: tuple[int, int] = (384, 384)
    batch: int = 1
    work: Literal["inference", "training"] = "inference"
    threads: int | None = None
    repeats: int = 1


SAVINGS = ("plain", "+ fused attention", "+ oneDNN linear layers", "+ 1×1 before upsampling", "+ lean metric tail")
STOCK_ALLOCATOR = ", allocator as it is"  # such a contestant's freed memory goes back to the system
_PAIR = ("plain", "zdlib")
_STOCK = tuple(name + STOCK_ALLOCATOR for name in _PAIR)
_COMPILED = ("zdlib", "zdlib compiled", "zdlib bf16", "zdlib compiled bf16")
_TRAINERS = (*_PAIR, "zdlib, blocks recomputed", *_STOCK)
_ZOE = (*_PAIR, "zdlib bf16", "ONNX Runtime", *_STOCK)
_BEIT = ("transformers", "zdlib", "zdlib bf16", "ONNX Runtime", "transformers" + STOCK_ALLOCATOR, _STOCK[1])
_HUGGING = ("transformers", "zdlib", "zdlib bf16")

CASES = {
    case.name: case
    for case in (
        Case("ZoeD SwinV2-B", "inference", "zoe_swin2_b", _ZOE),
        Case("ZoeD SwinV2-T", "inference", "zoe_swin2_t", _ZOE, (256, 256)),
        Case("ZoeD BEiT-L", "inference", "zoe_beit_l", _BEIT),
        *(
            Case(f"Depth Anything V2-{n.upper()}", "depth_anything", f"depth_anything_v2_{n}", _HUGGING, (518, 686))
            for n in ("s", "b", "l")
        ),
        Case("compiled", "compiled", "zoe_swin2_t", _COMPILED, (256, 256)),
        Case("Zoe-Distill SwinV2-T", "training", "zoe_swin2_t", _TRAINERS, (256, 256), 4, "training"),
        # All contestants of a case hold their memory at once: five would need more than 24 GiB here.
        Case("Zoe-Distill SwinV2-B", "training", "zoe_distill_swin2_b", _TRAINERS[:3], work="training"),
        Case("savings", "savings", "zoe_swin2_b", (*SAVINGS, "zdlib")),
        *(Case(f"size {n}", "curves", "zoe_swin2_t", _PAIR, (n, n)) for n in (128, 256, 384)),
        *(Case(f"batch {n}", "curves", "zoe_swin2_t", _PAIR, (256, 256), n) for n in (1, 2, 4)),
        *(Case(f"images {n}", "curves", "zoe_swin2_t", _PAIR, (256, 256), repeats=n) for n in (1, 4, 16)),
        *(Case(f"threads {n}", "curves", "zoe_swin2_t", _PAIR, (256, 256), threads=n) for n in (1, 2)),
    )
}
