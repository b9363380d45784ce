"""What a paper brings to training. The loop (`zdlib.train.run`) speaks this protocol and knows no paper.

A method is one file of `zdlib/train/methods/`, found by its name in a profile's run (`method: zoe_distill`);
its last line is `METHOD = ItsClass`. A run's identity is what the source files of the loop and of its method
do: a new paper leaves the others' trainings valid, as long as no method imports another. What two of them
need goes to `step`, `validation` or `training_set`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar, runtime_checkable

import numpy as np
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from zdlib.config import Frozen, ModelConfig, Profile, RunConfig, TrainConfig
from zdlib.errors import ZDError
from zdlib.models.depth_model import DepthModel
from zdlib.train.split import RunFrames

Chosen = TypeVar("Chosen", bound=Frozen)
Batch = dict[str, Tensor]
# A network in a training step: precision, memory layout and processes are seen to.
Network = Callable[..., Any]
# Is shown a selection frame: position, image, true and predicted depth (metres), where the true one is valid.
Watch = Callable[[int, Tensor, np.ndarray, np.ndarray, np.ndarray], None]


@runtime_checkable
class Items(Protocol):
    """What batches are made of: dictionaries of tensors.

    One of them is `index`, the frame's number, for messages. The random numbers of an item depend on seed,
    epoch and frame alone, so that a resumed run repeats them.
    """

    def __len__(self) -> int: ...

    def __getitem__(self, position: int, /) -> dict[str, Any]: ...

    def set_epoch(self, epoch: int) -> None:
        """Change the random numbers, before an epoch's workers start."""


@runtime_checkable
class Order(Protocol):
    """The positions of each batch of an epoch, this process's share of them, like `training_set.Batches`.

    Attributes:
        skip: batches of the epoch that were done before a stop: drawn, and not given.
    """

    skip: int

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[list[int]]: ...


@dataclass(frozen=True)
class Feed:
    """What training steps are fed with. Frames with and without depth, stereo pairs or clips: the items say.

    Attributes:
        items: a batch is several of them, stacked tensor by tensor.
        order: which ones, epoch by epoch; a method that mixes kinds of frames in a batch decides it here.
    """

    items: Items
    order: Order


@dataclass(frozen=True)
class Selection:
    """How a validation chooses the weights that are kept.

    Attributes:
        metric: a key of what `Method.validate` gives.
        title: the metric's name in messages.
        highest: whether more is better.
    """

    metric: str
    title: str
    highest: bool = False

    def prefers(self, score: float, best: float | None) -> bool:
        """Whether a score beats the best one so far; NaN and infinity never do."""
        if not np.isfinite(score):
            return False
        return best is None or (score > best if self.highest else score < best)


@runtime_checkable
class Method(Protocol):
    """A paper's part of training.

    It keeps nothing between two steps but its settings. What does change belongs to the network (a teacher,
    say, is a part of it without gradient) and with it to the state that a stopped run resumes from. Where a
    network is passed in, it is the one that `network` gave.

    Args:
        model: the profile's network.
        train: the profile's optimisation.
        run: the run; `run.options` are the method's own settings, which it checks.
    """

    selection: ClassVar[Selection]

    def __init__(self, model: ModelConfig, train: TrainConfig, run: RunConfig): ...

    def feed(self, frames: RunFrames, order: torch.Generator) -> Feed:
        """The training set, in an order that `order` decides; a resumed epoch finds it as it was."""

    def selection_set(self, frames: RunFrames) -> Items:
        """The frames that validations see."""

    def network(self, device: torch.device) -> nn.Module:
        """The network in training mode with its first weights, drawn from the global generators."""

    def start_from(self, network: Any, path: Path) -> None:
        """Give the network the weights of a checkpoint, in the place of its first ones.

        Raises:
            ZDError: it is another network's, or its depth means something else.
        """

    def optimisation(
        self, network: Any, steps: int
    ) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
        """Parameter groups and schedule of a training of so many steps; `lr` of the last group is logged."""

    def losses(self, network: Network, batch: Batch) -> dict[str, Tensor]:
        """The loss to minimise, `total`, and its parts by name, which are logged.

        Each is that of the whole batch: where processes share it, sums are taken over all of them.

        Args:
            network: called like the real one; its outputs may be in half precision.
            batch: this process's share, on the device.
        """

    def validate(
        self, network: Any, items: Items, device: torch.device, watch: Watch | None = None
    ) -> dict[str, float]:
        """Mean metrics over the selection frames; the network is left in training mode."""

    def depth_model(self, network: Any) -> DepthModel:
        """The network as a function from pictures to depth; a checkpoint says by which convention."""

    def info(self) -> dict[str, Any]:
        """What a checkpoint says of its training beyond what all runs share; JSON."""

    def save(self, path: Path, network: Any, info: dict[str, Any]) -> None:
        """Write the weights as a checkpoint."""


def check_options(kind: type[Chosen], run: RunConfig) -> Chosen:
    """A run's options as what its method takes.

    Raises:
        ZDError: an option that the method has not, or a bad value.
    """
    try:
        return kind.model_validate(run.options)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where, names = ".".join(map(str, first["loc"])), ", ".join(kind.model_fields) or "none"
        raise ZDError(f"runs: options.{where}: {first['msg']}: {run.method} has {names}") from error


def method_file(name: str) -> Path:
    """The source file of a method.

    Raises:
        ZDError: there is none of that name.
    """
    folder = Path(__file__).parent / "methods"
    path = folder / f"{name}.py"
    if not path.is_file():
        names = ", ".join(sorted(path.stem for path in folder.glob("[a-z]*.py")))
        raise ZDError(f"method {name!r}: there is none of that name: choose one of {names}")
    return path


def find_method(profile: Profile, run: RunConfig) -> Method:
    """The method of a run, with the profile's settings.

    Raises:
        ZDError: there is none of that name, or the run's options are not its own.
    """
    # By name: an import statement would make every method a part of every run's identity.
    module = import_module(f"{__package__}.methods.{method_file(run.method).stem}")
    method: Method = module.METHOD(profile.model, profile.train, run)
    return method
