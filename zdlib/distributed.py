"""Several processes that train as one: sums over all of them, through which gradients flow.

Losses that pool a batch (SILog, Dice) and batch normalisation need sums over the whole batch. DDP averages parameter
gradients over processes, which is right if every process computes the loss of the whole batch, and the derivative of a
sum is itself summed. With one process nothing here does anything.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
from accelerate.utils import gather_object
from jaxtyping import Float, Num
from torch import Tensor, nn


def processes() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def is_first() -> bool:
    """Whether this process is the one that speaks and writes."""
    return processes() == 1 or dist.get_rank() == 0


def leave() -> None:
    """Part from the other processes, if there are any."""
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        total = value.detach().clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total


def sum_over_processes(value: Num[Tensor, "..."]) -> Num[Tensor, "..."]:
    """The sum of every process's `value`, differentiable in all of them."""
    return value if processes() == 1 else _Sum.apply(value)


def gather(rows: Sequence[Any]) -> list[Any]:
    """Every process's rows (anything that can be pickled), in the order of processes, on every process."""
    return list(rows) if processes() == 1 else list(gather_object(list(rows)))


def largest(value: int | bool, device: torch.device) -> int:
    """The largest of all processes' values; all must ask."""
    if processes() == 1:
        return value
    found = torch.tensor(int(value), device=device)
    dist.all_reduce(found, dist.ReduceOp.MAX)
    return int(found)


class PooledBatchNorm(nn.BatchNorm2d):
    """Batch normalisation whose training statistics are those of all processes' images together.

    What `torch.nn.SyncBatchNorm` does on GPUs, on any device: two processes with half the batch each train as one does.
    """

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Normalise; in training mode also move the running statistics."""
        if not self.training or processes() == 1:
            return super().forward(x)
        values = x.float()
        pixels = values.new_tensor([values.numel() / values.shape[1]])
        sums = sum_over_processes(torch.cat([values.sum((0, 2, 3)), pixels]))
        count = sums[-1]
        mean = sums[:-1] / count
        centred = values - mean[:, None, None]
        variance = sum_over_processes(centred.square().sum((0, 2, 3))) / count
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * count / (count - 1), self.momentum)  # unbiased, as torch's
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(x.dtype)


def pool_batch_norm(model: nn.Module) -> None:
    """Let every 2D batch normalisation of `model` pool its statistics; weights and state stay where they are."""
    for module in model.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = PooledBatchNorm
