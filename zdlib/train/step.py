"""One optimiser step: precision, accumulation, clipping, and what of a network takes part in it."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from zdlib.config import TrainConfig
from zdlib.distributed import gather, parallel, pool_batch_norm, without_exchange
from zdlib.errors import ZDError
from zdlib.train.method import Batch, Method

HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass
class Trainer:
    """All that a training step changes, and the step.

    Attributes:
        model: the network; `parallel` is the same, wrapped for several processes where there are.
        method: gives its losses.
        optimizer, schedule, scaler: as PyTorch's (the scaler acts in fp16 alone).
        config: clipping and accumulation.
        precision: fp32, bf16 or fp16, resolved.
        device: where the network is.
        source: the file that frames come from, for messages.
    """

    model: nn.Module
    parallel: nn.Module
    method: Method
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    scaler: torch.amp.GradScaler
    config: TrainConfig
    precision: str
    device: torch.device
    source: Path

    def step(self, batch: Batch) -> dict[str, float]:
        """One optimiser step; losses (means over accumulated parts) and the gradient's norm before clipping.

        Raises:
            ZDError: a loss or the gradient is not finite; the weights are as before.
        """
        batch = {key: value.to(self.device, non_blocking=True) for key, value in batch.items()}
        self.optimizer.zero_grad(set_to_none=True)
        slices = _parts(len(batch["index"]), self.config.accumulate)
        parts = [{key: value[i] for key, value in batch.items()} for i in slices]
        share = 1 / len(parts)
        sums: dict[str, float] = {}
        for number, part in enumerate(parts, start=1):
            # DDP exchanges gradients once, after the last part.
            with without_exchange(self.parallel) if number < len(parts) else nullcontext():
                losses = self._losses(part)
                self._check(losses["total"], "loss", batch)
                self.scaler.scale(losses["total"] * share).backward()
            for name, loss in losses.items():
                sums[name] = sums.get(name, 0.0) + loss.item() * share
        self.scaler.unscale_(self.optimizer)
        norm = clip_gradients(self.model, self.config.clip_grad_norm)
        if not self.scaler.is_enabled():  # which skips such a step itself
            self._check(norm, "gradient", batch)
        scale = self.scaler.get_scale()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.scaler.get_scale() >= scale:
            self.schedule.step()
        return {**sums, "grad_norm": norm.item()}

    def state(self) -> dict[str, Any]:
        """What `restore` takes; tensors are those in use."""
        parts = (self.model, self.optimizer, self.schedule, self.scaler)
        modes = {name: module.training for name, module in self.model.named_modules()}
        return {"modes": modes, **{type(part).__name__: part.state_dict() for part in parts}}

    def restore(self, state: dict[str, Any]) -> None:
        """Be as the trainer that gave `state`."""
        for part in (self.model, self.optimizer, self.schedule, self.scaler):
            part.load_state_dict(state[type(part).__name__])
        for name, module in self.model.named_modules():
            module.training = state["modes"][name]

    def _losses(self, batch: Batch) -> dict[str, Tensor]:
        return self.method.losses(self._predict, batch)

    def _predict(self, images: Float[Tensor, "b 3 h w"], **options: Any) -> Any:
        """The network as losses see it: channels last, in the training's precision, on all processes."""
        half = HALF.get(self.precision)
        with torch.autocast(self.device.type, half or torch.bfloat16, enabled=half is not None):
            return self.parallel(images.contiguous(memory_format=torch.channels_last), **options)

    def _check(self, value: Tensor, what: str, batch: Batch) -> None:
        # Losses and gradients are those of all processes, so all of them come here or none.
        if not torch.isfinite(value):
            frames = ", ".join(str(i) for i in gather(batch["index"].tolist()))
            raise ZDError(
                f"{self.source}: the {what} is not finite on frames {frames}: inspect them, or lower train.lr"
            )


def clip_gradients(model: nn.Module, limit: float) -> Tensor:
    """Scale all gradients together so that their norm is `limit` at most; returns the norm before.

    Modules that keep their gradient to themselves (`detach`) are clipped apart, and their norm is not in the one
    returned: by way of a common norm, what only reads the features would still change how fast these learn.
    """
    apart = [module for module in model.modules() if getattr(module, "detach", False)]
    others = {id(parameter) for module in apart for parameter in module.parameters()}
    norm = nn.utils.clip_grad_norm_([p for p in model.parameters() if id(p) not in others], limit)
    for module in apart:
        nn.utils.clip_grad_norm_(module.parameters(), limit)
    return norm


def _parts(frames: int, parts: int) -> list[slice]:
    """Nearly equal slices of a batch."""
    return [slice(frames * i // parts, frames * (i + 1) // parts) for i in range(parts)]


def prepare_network(network: nn.Module, probe: Callable[[Any], Tensor]) -> None:
    """Lay a network out in place: channels last, statistics pooled over processes, unreached parts frozen.

    Args:
        network: the network.
        probe: see `freeze_unreached`.
    """
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in torch's own stub
    pool_batch_norm(network)
    freeze_unreached(network, probe)


def make_trainer(
    method: Method, network: nn.Module, config: TrainConfig, *, steps: int, device: torch.device, source: Path
) -> Trainer:
    """Everything around a method's network; no random number is drawn.

    Args:
        method: whose network it is.
        network: laid out for training, on the device.
        config: optimisation, precision, and whether to compile.
        steps: optimiser steps of the whole training, for the schedule.
        device: of this process.
        source: the file that frames come from, for messages.
    """
    precision = chosen_precision(config, device)
    shared = parallel(network)
    optimizer, schedule = method.optimisation(network, steps)
    return Trainer(
        model=network,
        parallel=compiled(shared) if config.compile else shared,
        method=method,
        optimizer=optimizer,
        schedule=schedule,
        scaler=torch.amp.GradScaler(device.type, enabled=precision == "fp16"),
        config=config,
        precision=precision,
        device=device,
        source=source,
    )


def adamw_one_cycle(
    groups: list[dict[str, Any]], config: TrainConfig, steps: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    """AdamW under OneCycle (by default constant for 70 %, then a cosine to lr / 10⁴).

    Args:
        groups: parameter groups, each with its highest `lr`; frozen parameters are left out.
        config: of the profile.
        steps: of the whole training.
    """
    for group in groups:
        group["params"] = [parameter for parameter in group["params"] if parameter.requires_grad]
    optimizer = torch.optim.AdamW(groups, lr=config.lr, weight_decay=config.weight_decay, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        max_lr=[group["lr"] for group in groups],
        total_steps=steps,
        pct_start=config.pct_start,
        div_factor=config.div_factor,
        final_div_factor=config.final_div_factor,
        base_momentum=0.85,
        max_momentum=0.95,
    )
    return optimizer, schedule


def compiled(model: nn.Module) -> nn.Module:
    """The same network, compiled when it first runs; parameters and names are those of `model`.

    Every shape gets a program of its own: what a general one looks like would depend on the shapes seen
    before, and so a resumed run's bits on where it had been stopped.
    """
    return cast(nn.Module, torch.compile(model, dynamic=False))


@contextmanager
def deterministic_algorithms(wanted: bool) -> Iterator[None]:
    """Within this context, if `wanted`, equal steps on a GPU are bitwise equal.

    What has no such algorithm is an error. torch's global switches are put back afterwards. cuBLAS reads its
    workspace's size when it is first used, so that one stays; a size that is set already is kept.
    """
    algorithms = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    benchmark = torch.backends.cudnn.benchmark
    if wanted:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
        torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(algorithms[0], warn_only=algorithms[1])
        torch.backends.cudnn.benchmark = benchmark


def freeze_unreached(network: nn.Module, probe: Callable[[Any], Tensor]) -> list[str]:
    """Switch off the gradient of the parameters that no output depends on, and name them.

    DDP need not search for them in every step then. Found by one backward pass, in evaluation mode: neither
    statistics nor random numbers move.

    Args:
        network: the network.
        probe: the sum of all its outputs that a loss sees, on an image or more.
    """
    modes = [module.training for module in network.modules()]
    network.eval()
    names, parameters = zip(*network.named_parameters(), strict=True)
    gradients = torch.autograd.grad(probe(network), parameters, allow_unused=True)
    unreached = [name for name, gradient in zip(names, gradients, strict=True) if gradient is None]
    for name in unreached:
        network.get_parameter(name).requires_grad_(False)
    for module, training in zip(network.modules(), modes, strict=True):
        module.training = training
    return unreached


def grey_image(size: tuple[int, int], device: torch.device) -> Float[Tensor, "1 3 h w"]:
    """An image to probe a network with."""
    return torch.full((1, 3, *size), 0.5, device=device)


def chosen_precision(config: TrainConfig, device: torch.device) -> str:
    """`train.precision`, with `auto` resolved: bf16 where the processor computes in it, else fp32."""
    if config.precision != "auto":
        return config.precision
    return "bf16" if computes_in_bf16(device) else "fp32"


def computes_in_bf16(device: torch.device) -> bool:
    """Whether the processor has instructions for bfloat16; emulated, it is slower than float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))
