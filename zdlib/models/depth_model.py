"""From pictures to depth: any network, of ours or of others, as one function.

A `DepthModel` is a network, the `Convention` of its weights (what its input and output mean) and the rule that makes
pictures its input. An `Inference` says what a use wants: border, mirrored average, precision, resolution. Evaluation,
validation, the protocol audit, the command line and the benchmark all predict with `DepthModel.depth`:

    pictures → border → squeeze → mirror → network → mean of the two → picture's size, border cut off → metres

A network of others joins with a class of its own: its input rule and its forward pass, see `zdlib/paper/rivals`.
"""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Float32, UInt8
from pydantic import Field
from torch import Tensor, nn
from tqdm import tqdm

from zdlib.config import Frozen
from zdlib.errors import ZDError
from zdlib.geometry import assumed_focal
from zdlib.models.memory import keep_freed_memory
from zdlib.recipes import Recipe

Picture = UInt8[np.ndarray, "_ _ 3"]  # RGB; sizes may differ from one to the next, hence no named axes
DepthMap = Float32[np.ndarray, "_ _"]
Precision = Literal["fp32", "bf16"]


class Convention(Frozen):
    """What the numbers of trained weights mean. It is stored with them, so that no table of today is asked.

    Attributes:
        kind: `metric` depth, or `relative` inverse depth of arbitrary scale and shift.
        metres_per_unit: what one unit of the output means; of no meaning for relative depth.
        portrait_resize: landscape pictures were squeezed to portrait in training, and are so in every prediction.
        min_depth, max_depth: metres between which training counted a depth as valid; None where that is not known.
        void: what an unlabelled pixel was to the segmentation head: a `class` it may answer, or to `ignore`.
        canonical_focal: focal length in pixels of the network's input that all training pictures were taken as having
            (their depth was scaled by it over the true one: Yin et al., "Metric3D", ICCV 2023, eq. 2); predictions are
            scaled back by the picture's own. None: the camera does not count.
    """

    kind: Literal["metric", "relative"] = "metric"
    metres_per_unit: float = Field(default=1.0, gt=0)
    portrait_resize: bool = False
    min_depth: float | None = None
    max_depth: float | None = None
    void: Literal["class", "ignore"] = "ignore"
    # Left out where it says nothing, so that the checkpoints of other trainings keep their bytes.
    canonical_focal: float | None = Field(default=None, gt=0, exclude_if=lambda focal: focal is None)

    @classmethod
    def of(cls, recipe: Recipe) -> "Convention":
        """That of weights trained with a recipe."""
        return cls(
            metres_per_unit=recipe.metres_per_unit,
            portrait_resize=recipe.portrait_resize,
            min_depth=recipe.min_depth * recipe.metres_per_unit,
            max_depth=recipe.max_depth * recipe.metres_per_unit,
            void=recipe.void,
        )


@dataclass(frozen=True)
class Inference:
    """How to predict.

    Attributes:
        batch_size: pictures in a forward pass; twice as many with `flip`.
        flip: average with the mirrored prediction of the mirrored picture.
        pad: surround the picture by its reflection (`border`), as ZoeDepth's `infer` does.
        full_size: depth at the picture's size (`DepthModel.enlarge`), the border cut off. Otherwise at the network's
            resolution, of the picture with its border: protocols resize by rules of their own.
        precision: bf16 computes products and convolutions in bfloat16; `zdlib bench --group drift` measures what that
            does to metrics.
        domain: the head to use, of a model with several; None leaves it to the router.
        focal: of the picture's camera, pixels of the picture; None assumes `geometry.assumed_focal`. It counts for
            weights with a canonical focal length alone.
    """

    batch_size: int = 8
    flip: bool = True
    pad: bool = False
    full_size: bool = False
    precision: Precision = "fp32"
    domain: str | None = None
    focal: float | None = None


AS_ZOEDEPTH = Inference(pad=True, full_size=True)  # its own `infer`: for looking at pictures, not for benchmarks


class DepthModel(ABC):
    """A network as a function from pictures to metres (or to relative inverse depth).

    Args:
        network: any; it stays in the mode it is in (training, evaluation), predictions apart.
        convention: what its weights' numbers mean.
        info: what a checkpoint says of their training.

    Attributes:
        as_authors: how its authors predict a picture that is to be looked at.
    """

    as_authors: ClassVar[Inference] = AS_ZOEDEPTH

    def __init__(self, network: nn.Module, convention: Convention | None = None, info: Mapping[str, Any] | None = None):
        self.network: Any = network
        self.convention = convention or Convention()
        self.info = dict(info or {})

    @abstractmethod
    def forward(self, images: Float[Tensor, "b 3 h w"], domain: int | None = None) -> Float[Tensor, "b 1 _ _"]:
        """The network's depth, in its own unit and resolution, of RGB images in [0, 1] of any size.

        What a network wants of its input (a size, normalised colours) is done here.
        """

    @property
    def domains(self) -> tuple[str, ...]:
        """Names of the heads to choose from."""
        return ()

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.network.parameters()).device

    def enlarge(self, depth: Float[Tensor, "b 1 _ _"], size: tuple[int, ...]) -> Float[Tensor, "b 1 h w"]:
        """Depth of the network's resolution at a picture's size: bicubic, as ZoeDepth's `infer`."""
        return F.interpolate(depth, size=size, mode="bicubic", align_corners=False)

    def halve_weights(self) -> None:
        """Hold the weights of encoder and decoder in bfloat16, for good.

        With the precision bf16 the depth stays the same to the last bit: that is what autocast makes of these weights
        anew at every call, a tenth of the time of a large network with a single image.
        """
        encoder, decoder = self.network.encoder, self.network.decoder
        kept = {id(module) for part in encoder.in_full_precision() for module in part.modules()}
        for part in (encoder, decoder):
            for module in part.modules():
                if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d) and id(module) not in kept:
                    module.to(torch.bfloat16)

    def __call__(self, picture: np.ndarray, options: Inference | None = None) -> DepthMap:
        """Depth of one picture ((h, w, 3) uint8 RGB), by default `as_authors` do it, at its own size.

        Raises:
            ZDError: not such a picture, or too small for its border; no such domain; the depth is not finite.
        """
        keep_freed_memory()
        depth = self.depth(to_tensor([picture], self.device), options or self.as_authors)[0, 0].cpu().numpy()
        if not np.isfinite(depth).all():
            raise ZDError("these weights give depth that is not finite: take another checkpoint")
        return depth

    def predict(self, pictures: Iterable[Picture], options: Inference) -> Iterator[DepthMap]:
        """Depth of each picture, in their order.

        Pictures of one size that follow each other share a batch. A few are read ahead while the network works, so
        that an iterable which reads files costs neither their memory nor their time.

        Raises:
            ZDError: as `__call__`.
        """
        for batch in batches(pictures, options.batch_size, "depth"):
            yield from self.depth(to_tensor(batch, self.device), options)[:, 0].cpu().numpy()

    def depth(self, images: Float[Tensor, "b 3 h w"], options: Inference) -> Float32[Tensor, "b 1 _ _"]:
        """Depth of a batch: metres, or relative inverse depth.

        Args:
            images: RGB in [0, 1].
            options: what is wanted; the batch is what it is.

        Raises:
            ZDError: too small for a border; no such domain.
        """
        domain = self._index(options.domain)
        height, width = images.shape[2:]
        rows, columns = border(height, width) if options.pad else Border(0, 0)
        with self.inference(options.precision):
            x = with_border(images.to(self.device)) if options.pad else images.to(self.device)
            padded_size = x.shape[2:]
            x = self.squeezed(x)
            if options.flip:
                straight, mirrored = self.forward(torch.cat([x, x.flip(-1)]), domain).float().chunk(2)
                depth = (straight + mirrored.flip(-1)) / 2
            else:
                depth = self.forward(x, domain).float()
            if options.full_size:
                depth = self.enlarge(depth, padded_size)
                depth = depth[:, :, rows : rows + height, columns : columns + width]
            if self.convention.kind == "relative":
                return depth
            focal = options.focal or assumed_focal(height, width)
            return depth * self.convention.metres_per_unit * self.camera_scale(tuple(padded_size), focal)

    def camera_scale(self, size: tuple[int, ...], focal: float) -> float:
        """What depth is multiplied by because of the camera.

        Args:
            size: height and width of the pictures, borders included.
            focal: in their pixels.
        """
        return 1.0

    def squeezed(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 _ _"]:
        """The images as the weights' training saw them: squeezed to portrait if the convention says so."""
        if not self.convention.portrait_resize:
            return images
        return F.interpolate(images, size=(images.shape[-1], images.shape[-2]), mode="bilinear")

    @contextmanager
    def inference(self, precision: Precision) -> Iterator[None]:
        """Evaluation mode, no gradients, that precision; the network's mode comes back."""
        training = self.network.training
        if training:
            self.network.eval()
        try:
            with torch.inference_mode(), autocast(self.device, precision):
                yield
        finally:
            if training:
                self.network.train()

    def _index(self, domain: str | None) -> int | None:
        if domain is None:
            return None
        if domain not in self.domains:
            raise ZDError(f"domain {domain}: this model has {', '.join(self.domains) or 'none'}: choose another")
        return self.domains.index(domain)


def autocast(device: torch.device, precision: Precision) -> torch.autocast:
    """Where products and convolutions are computed in bfloat16, if that is the precision; weights stay float32."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


# ----------------------------------------------------------------------------------------------------------- border
class Border(NamedTuple):
    """Pixels of reflection added at each side: (top and bottom, left and right)."""

    rows: int
    columns: int


def border(height: int, width: int) -> Border:
    """ZoeDepth's: 3·√(side/2), rounded down."""
    return Border(*(int((side / 2) ** 0.5 * 3) for side in (height, width)))


def with_border(images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 _ _"]:
    """The images surrounded by their reflection.

    Raises:
        ZDError: a side is shorter than its border.
    """
    height, width = images.shape[2:]
    rows, columns = border(height, width)
    if rows >= height or columns >= width:
        raise ZDError(f"a picture of {height} × {width} pixels: too small for a border: predict it without (--no-pad)")
    return F.pad(images, (columns, columns, rows, rows), mode="reflect")


# ---------------------------------------------------------------------------------------------------------- batches
def to_tensor(pictures: Sequence[np.ndarray], device: torch.device) -> Float32[Tensor, "b 3 h w"]:
    """Pictures of one size as a batch in [0, 1].

    Raises:
        ZDError: one is no `Picture`: floats in 0 … 1, say, or with transparency.
    """
    for picture in pictures:
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
            raise ZDError(f"a picture is {picture.dtype} {picture.shape}: convert it to (h, w, 3) uint8 RGB")
    return torch.from_numpy(np.stack(pictures)).to(device).permute(0, 3, 1, 2).float() / 255


def batches(pictures: Iterable[Picture], batch_size: int, what: str) -> Iterator[list[Picture]]:
    """Lists of at most `batch_size` pictures of one size, in order; the progress bar says `what` they become."""
    keep_freed_memory()
    total = len(pictures) if isinstance(pictures, Sequence | np.ndarray) else None
    ahead = _ahead(pictures, 2 * batch_size)
    batch: list[Picture] = []
    for picture in tqdm(ahead, desc=f"predicting {what}", total=total, unit="image", mininterval=1):
        if batch and (len(batch) == batch_size or picture.shape != batch[0].shape):
            yield batch
            batch = []
        batch.append(picture)
    if batch:
        yield batch


def _ahead(pictures: Iterable[Picture], count: int) -> Iterator[Picture]:
    """`pictures`, up to `count` of them fetched before they are asked for, in one other thread."""
    source, end = iter(pictures), object()
    with ThreadPoolExecutor(1) as pool:
        waiting = deque(pool.submit(next, source, end) for _ in range(count))
        try:
            while (item := waiting.popleft().result()) is not end:
                waiting.append(pool.submit(next, source, end))
                yield item  # type: ignore[misc]
        finally:
            pool.shutdown(cancel_futures=True)
