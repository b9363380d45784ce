"""The ways to do a case's work: ours, the un-optimised twin, Hugging Face's, ONNX Runtime with our network.

A contestant is made from a case and a file of weights, and gives a function that does the work once. What that returns
is compared with the others' before anything is timed.
"""

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zdlib.bench import onnx_runtime
from zdlib.bench.cases import SAVINGS, STOCK_ALLOCATOR, Case
from zdlib.bench.depth_anything import forward_pass, is_depth_anything
from zdlib.bench.reference import PlainZoeDepth, Stage, plain_loss
from zdlib.config import RunConfig, TrainConfig
from zdlib.models.checkpoints import load_checkpoint, read_safetensors
from zdlib.models.depth_model import Inference
from zdlib.models.factory import load_depth_model
from zdlib.models.layers import attention
from zdlib.models.memory import keep_freed_memory
from zdlib.models.zoe.network import ZoeDepth
from zdlib.models.zoe.transformers_keys import beit_large, into_transformers
from zdlib.train.methods.zoe_distill import ZoeDistill
from zdlib.train.step import make_trainer

Outcome = dict[str, Tensor]  # `depth` (b, h, w), or `losses` and `gradients` (samples of all of them)
Work = Callable[[], Outcome]
SEG_WEIGHT = 0.1
_SAMPLES = 512  # gradients compared in each tensor


def prepare(case: Case, contestant: str, weights: Path) -> Work:
    """The contestant's work.

    Its process keeps freed memory for the next pass, whosever code it runs: that setting is open to all of them. Only
    contestants whose name says so, and those of the savings, where it is the last one, leave the allocator as it is.

    Raises:
        ZDError: no such contestant for this model, or what it needs is not installed.
    """
    name = contestant.removesuffix(STOCK_ALLOCATOR)
    if name == contestant and not (case.group == "savings" and name in SAVINGS):
        keep_freed_memory()
    work = (_inference if case.work == "inference" else _training)(case, name, weights)

    def repeated() -> Outcome:
        for _ in range(case.repeats - 1):
            work()
        return work()

    return repeated


def images(case: Case) -> Tensor:
    """(batch, 3, h, w) random, the same for all."""
    return torch.rand(case.batch, 3, *case.size, generator=torch.Generator().manual_seed(0))


# --------------------------------------------------------------------------------------------------------- inference
def _inference(case: Case, contestant: str, weights: Path) -> Work:
    x = images(case)
    if is_depth_anything(case):
        return _depth_of(forward_pass(case, contestant, weights, x))
    if contestant == "transformers":
        theirs = beit_large(case.size)
        into_transformers(theirs, read_safetensors(weights)[0])
        return _depth_of(lambda: theirs(2 * x - 1).predicted_depth)
    model = load_depth_model(weights)
    if contestant in SAVINGS:
        plain = _with_savings(model.network, contestant)
        return _depth_of(lambda: plain(x)[:, 0])
    if contestant == onnx_runtime.NAME:
        return _depth_of(onnx_runtime.forward_pass(model, x))
    if "compiled" in contestant:
        model.network.compile(dynamic=False)
    once = Inference(flip=False, precision="bf16" if contestant.endswith("bf16") else "fp32")
    if once.precision == "bf16":
        model.halve_weights()  # as `zdlib predict`
    return _depth_of(lambda: model.depth(x, once)[:, 0])


def _depth_of(call: Callable[[], Tensor]) -> Work:
    def work() -> Outcome:
        with torch.inference_mode():
            return {"depth": call()}

    return work


def _with_savings(model: ZoeDepth, contestant: str) -> nn.Module:
    """The un-optimised twin with the savings up to and including this one."""
    number = SAVINGS.index(contestant)
    if number < SAVINGS.index("+ oneDNN linear layers"):
        attention.linear = F.linear  # type: ignore[assignment]  # in this process, which is the contestant's own
    stages: tuple[Collection[Stage], ...] = ((), ["encoder"], ["encoder"], ["encoder", "decoder"])
    whole: list[Stage] = ["encoder", "decoder", "head"]
    ours = stages[number] if number < len(stages) else whole
    return PlainZoeDepth(model, ours).eval()


# ---------------------------------------------------------------------------------------------------------- training
def _training(case: Case, contestant: str, weights: Path) -> Work:
    model, _ = load_checkpoint(weights, segmentation=True)
    model.train()
    batch = _batch(case)
    config = TrainConfig(batch_size=case.batch)
    step = (_plain_step if contestant == "plain" else _our_step)(model, batch, config)
    if contestant == "zdlib, blocks recomputed":
        model.encoder.recompute_blocks()  # as train.checkpoint_activations

    def work() -> Outcome:
        torch.manual_seed(0)  # the same paths are dropped
        losses = step()
        gradients = [p.grad.flatten() for p in model.parameters() if p.grad is not None]
        samples = [g[:: max(1, len(g) // _SAMPLES)].clone() for g in gradients]
        return {"losses": torch.tensor([losses[k] for k in sorted(losses)]), "gradients": torch.cat(samples)}

    return work


def _batch(case: Case) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    shape = case.batch, 1, *case.size
    return {
        "image": images(case),
        "depth": 1 + 8 * torch.rand(shape, generator=generator),
        "mask": torch.rand(shape, generator=generator) > 0.1,
        "labels": torch.randint(0, 14, (case.batch, *case.size), generator=generator),
        "index": torch.arange(case.batch),
    }


def _our_step(model: ZoeDepth, batch: dict[str, Tensor], config: TrainConfig) -> Callable[[], dict[str, float]]:
    """The step of `zdlib.train.run`."""
    method = ZoeDistill(model.config, config, RunConfig(title="ours", recipe="published", seg_weight=SEG_WEIGHT))
    method.prepare(model)
    source = Path("benchmark")
    trainer = make_trainer(method, model, config, steps=1000, device=torch.device("cpu"), source=source)
    return lambda: trainer.step(batch)


def _plain_step(model: ZoeDepth, batch: dict[str, Tensor], config: TrainConfig) -> Callable[[], dict[str, float]]:
    """The plainest loop: the un-optimised twin, the libraries' losses, AdamW parameter by parameter."""
    plain: Any = PlainZoeDepth(model).train()
    groups = model.parameter_groups(config.lr, config.encoder_lr_factor)
    optimizer = torch.optim.AdamW(groups, lr=config.lr, weight_decay=config.weight_decay, foreach=False)

    def step() -> dict[str, float]:
        optimizer.zero_grad()
        depth, logits = plain.segment(batch["image"])
        losses = plain_loss(depth, logits, batch, SEG_WEIGHT)
        losses["total"].backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), config.clip_grad_norm)
        optimizer.step()
        return {name: loss.item() for name, loss in losses.items()} | {"grad_norm": norm.item()}

    return step
