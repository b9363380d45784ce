"""Several processes that train as one, started by `torchrun`: the only place that knows of them.

PyTorch does the work: its launcher, process group, DistributedDataParallel and collectives. Accelerate is
left out, because what it would add cannot be used here. Its loader repeats frames until every process has
equally many, where a batch is to be the same frames however many processes share it; its checkpoints are
pickles, where a state is read without running code and weights carry their hash; and neither library pools a
batch's statistics as below.

Losses that pool a batch (SILog, Dice) and batch normalisation need sums over the whole batch. DDP averages
parameter gradients over processes, which is right if every process computes the loss of the whole batch, and
the derivative of a sum is itself summed. With one process nothing here does anything.
"""

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.distributed as dist
from jaxtyping import Float, Num
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from zdlib.errors import ZDError


# --------------------------------------------------------------------------------------------------------
# processes
def join() -> torch.device:
    """Meet the other processes, if `torchrun` started several, and return this one's device: a GPU if any.

    Raises:
        ZDError: the machine has fewer GPUs than processes.
    """
    gpus, place = torch.cuda.device_count(), int(os.environ.get("LOCAL_RANK", 0))
    if int(os.environ.get("WORLD_SIZE", 1)) == 1:
        return torch.device("cuda" if gpus else "cpu")
    if 0 < gpus <= place:
        raise ZDError(
            f"torchrun: {gpus} GPUs are too few for process {place + 1} of this machine: lower --nproc_per_node, or "
            "set CUDA_VISIBLE_DEVICES= to train on the CPU"
        )
    device = torch.device("cuda", place) if gpus else torch.device("cpu")
    if not dist.is_initialized():
        if gpus:
            torch.cuda.set_device(device)
        dist.init_process_group("nccl" if gpus else "gloo", device_id=device if gpus else None)
    return device


def leave() -> None:
    """Part from the other processes, if there are any."""
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()


def processes() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """This process's number among them, from 0."""
    return dist.get_rank() if processes() > 1 else 0


def is_first() -> bool:
    """Whether this process is the one that speaks and writes."""
    return rank() == 0


def wait() -> None:
    """Go on when all processes have come here."""
    if processes() > 1:
        dist.barrier()


# -------------------------------------------------------------------------------------------------------
# gradients
def parallel(network: nn.Module) -> nn.Module:
    """The same network, whose backward pass averages gradients over all processes."""
    return network if processes() == 1 else DistributedDataParallel(network)


def without_exchange(network: nn.Module) -> AbstractContextManager[None]:
    """Within this context a `parallel` network's backward passes only add up this process's gradients."""
    return nullcontext() if processes() == 1 else network.no_sync()  # type: ignore[operator]


# ------------------------------------------------------------------------------------------------------
# collectives
class _Sum(torch.autograd.Function):
    """As `torch.distributed.nn.functional.all_reduce`, which is deprecated in favour of a private module."""

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


def mean_over_processes(values: Float[Tensor, " n"]) -> Float[Tensor, ""]:
    """The mean of every process's `values` together, however many each has; differentiable in all of them."""
    if processes() == 1:
        return values.mean()
    return sum_over_processes(values.sum()) / sum_over_processes(values.new_tensor(float(len(values))))


def gather(rows: Sequence[Any]) -> list[Any]:
    """Every process's rows (anything that can be pickled), in the order of processes, on every process."""
    shares: list[Sequence[Any]] = [rows]
    if processes() > 1:
        shares = [()] * processes()
        dist.all_gather_object(shares, rows)
    return [row for share in shares for row in share]


def largest(value: int | bool, device: torch.device) -> int:
    """The largest of all processes' values; all must ask."""
    if processes() == 1:
        return value
    found = torch.tensor(int(value), device=device)
    dist.all_reduce(found, dist.ReduceOp.MAX)
    return int(found)


# ---------------------------------------------------------------------------------------------- batch
# normalisation
class PooledBatchNorm(nn.BatchNorm2d):
    """Batch normalisation whose training statistics are those of all processes' images together.

    What `torch.nn.SyncBatchNorm` does on GPUs, on any device: two processes with half the batch each train as
    one does.
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
    """Let every 2D batch normalisation of `model` pool its statistics; weights and state stay as they are."""
    for module in model.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = PooledBatchNorm
