"""What a training shows while it runs: a progress bar, and TensorBoard files with losses, metrics and pictures.

    tensorboard --logdir results/<profile>/checkpoints

Nothing here draws a random number or changes a tensor, so weights and CSV logs are the same without it. The promise
that a resumed run's files are bitwise those of one that never stopped does not hold for the TensorBoard files: they
carry times, and a resumed run adds a file, whose first entry takes back what the lost stretch had written.
"""

import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float32, UInt8
from torch import Tensor
from tqdm import tqdm

from zdlib.colours import depth_picture, far_limit
from zdlib.distributed import gather
from zdlib.errors import ZDError
from zdlib.geometry import resize

PICTURES = 4  # selection frames that every validation shows
HEIGHT = 240  # pixels of such a picture at most: it is kept once a validation
# tqdm's own, but always images per second, never seconds per image.
BAR = "{desc}{percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_noinv_fmt}{postfix}]"
_PLACE, _OPTIMISER = ("step", "epoch"), ("lr", "grad_norm")  # entries of a row that are no loss and no metric


class Live:
    """The bar and the TensorBoard files of one run, as a context; processes but the first show and write nothing.

    Args:
        folder: of the TensorBoard files; emptied when the run begins with its first step.
        title: what the bar is called.
        epochs: of the run.
        images: of all epochs together; `done` of them before now.
        step: the last that was done before now, 0 at the beginning. What the files hold of later ones is taken back.
        delta1: the last validation's, if there was one (and the method measures it).
        first: whether this process is the first.
    """

    def __init__(
        self,
        folder: Path,
        title: str,
        epochs: int,
        images: int,
        done: int,
        step: int,
        delta1: float | None,
        first: bool,
    ):
        self._title, self._epochs, self._delta1 = title, epochs, delta1
        self._rows: list[tuple[int, np.ndarray]] = []
        self._bar = tqdm(
            total=images,
            initial=done,
            unit="image",
            mininterval=1,
            smoothing=0.02,
            bar_format=BAR,
            disable=not first,
        )
        self._folder = folder
        with self._writing():
            self._writer = _writer(folder, step) if first else None

    def __enter__(self) -> "Live":
        self._hook = threading.excepthook
        threading.excepthook = self._thread_ended
        return self

    def _thread_ended(self, ending: threading.ExceptHookArgs) -> None:
        """TensorBoard's thread hands a full disk on to the next call here, and need not tell it itself."""
        if not (type(ending.thread).__name__ == "_AsyncWriterThread" and issubclass(ending.exc_type, OSError)):
            self._hook(ending)

    def __exit__(self, *error: object) -> None:
        self._bar.close()
        try:
            with self._writing():
                if self._writer is not None:
                    self._writer.close()
        except ZDError:
            if error[0] is None:
                raise  # else what went wrong before is the news
        finally:
            threading.excepthook = self._hook

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ZDError(
                f"{self._folder}: cannot be written ({error.strerror or error}): free space; the same command "
                "continues from the last state"
            ) from error

    def epoch(self, number: int) -> None:
        """An epoch, counted from 1, begins."""
        self._bar.set_description(f"{self._title}, epoch {number}/{self._epochs}")

    def step(self, row: Mapping[str, float | int], images: int) -> None:
        """Show a step's row of the log; `images` it has seen, over all processes."""
        losses = {name: value for name, value in row.items() if name not in _PLACE + _OPTIMISER}
        shown = losses if self._delta1 is None else {**losses, "δ1": self._delta1}
        self._bar.set_postfix({name: f"{value:.3f}" for name, value in shown.items()}, refresh=False)
        self._bar.update(images)
        if self._writer is not None:
            with self._writing():
                for name, value in losses.items():
                    self._writer.add_scalar(f"loss/{name}", value, row["step"])
                for name in _OPTIMISER:
                    self._writer.add_scalar(f"optimiser/{name}", row[name], row["step"])

    def watch(
        self,
        position: int,
        image: Float[Tensor, "3 _ _"],
        target: Float32[np.ndarray, "h w"],
        prediction: Float32[np.ndarray, "h w"],
        valid: Bool[np.ndarray, "h w"],
    ) -> None:
        """Take a look at the selection frame at that position, metres; the first few become pictures."""
        if position < PICTURES:
            self._rows.append((position, picture_row(image, target, prediction, valid)))

    def validation(self, row: Mapping[str, float | int]) -> None:
        """Show a validation's row of the log and the frames that were watched in it; all processes come here."""
        rows, self._rows = gather(self._rows), []
        self._delta1 = row.get("delta1")
        if self._writer is None:
            return
        with self._writing():
            for name, value in row.items():
                if name not in _PLACE:
                    self._writer.add_scalar(f"validation/{name}", value, row["step"])
            for position, picture in rows:
                self._writer.add_image(f"selection/frame {position}", picture, row["step"], dataformats="HWC")

    def flush(self) -> None:
        """Bring all to the disk: before a state is saved, so that a run resumed from it has no gap."""
        if self._writer is not None:
            with self._writing():
                self._writer.flush()


def picture_row(
    image: Float[Tensor, "3 _ _"],
    target: Float32[np.ndarray, "h w"],
    prediction: Float32[np.ndarray, "h w"],
    valid: Bool[np.ndarray, "h w"],
) -> UInt8[np.ndarray, "h2 w2 3"]:
    """Image | ground truth | prediction, both depths on one scale: 0 to the ground truth's far end, metres.

    Large pictures are thinned to every n-th pixel.

    Args:
        image: values in [0, 1], of any size.
        target: metres.
        prediction: metres.
        valid: where the target is; the rest of it is grey.
    """
    seen = resize(image[None].float(), (target.shape[0], target.shape[1]))[0].movedim(0, -1).numpy()
    far = far_limit([np.where(valid, target, 0)])
    pictures = [
        np.round(seen.clip(0, 1) * 255).astype(np.uint8),
        depth_picture(target, 0.0, far, valid),
        depth_picture(prediction, 0.0, far),
    ]
    every = -(-target.shape[0] // HEIGHT)
    return np.concatenate([picture[::every, ::every] for picture in pictures], axis=1)


def _writer(folder: Path, step: int) -> Any:
    """TensorBoard's writer of what comes after that step."""
    from torch.utils.tensorboard import SummaryWriter  # takes a second to import

    if step == 0:
        shutil.rmtree(folder, ignore_errors=True)
    return SummaryWriter(str(folder), purge_step=step + 1 if step else None)
