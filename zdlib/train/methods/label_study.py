"""Zoe-Distill with one thing changed about its labels or frames: the treatments of the control study.

`options` of a run, all with Zoe-Distill's own values as defaults:

* `labels: shuffled`: each training frame gets the label map of another one. The negative control: what a segmentation
  loss does that teaches no semantics.
* `share`: of the training scenes that are trained on; drawn by the run's seed, smaller shares within larger ones. Give
  the arm as many more epochs, so that every share is trained for the same number of steps.
* `report_gradients: true`: validations also report how large the two losses' gradients are on the features that they
  share, and the cosine between them.

A profile whose `model.label_input` is set trains the positive control (`zdlib.models.zoe.guided`): its frames carry
their labels.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Int64
from pydantic import Field
from torch import Tensor

from zdlib.config import ModelConfig, RunConfig, TrainConfig
from zdlib.data.sample import Reader, Sample
from zdlib.errors import ZDError
from zdlib.models.layers.dpt import DecoderFeatures
from zdlib.models.zoe.guided import hide_labels
from zdlib.models.zoe.network import ZoeDepth
from zdlib.train.method import Batch, Feed, Items, Watch, check_options
from zdlib.train.methods.zoe_distill import Options as ZoeDistillOptions
from zdlib.train.methods.zoe_distill import ZoeDistill
from zdlib.train.split import RunFrames
from zdlib.train.training_set import TrainingSet, shuffled_feed


class Options(ZoeDistillOptions):
    """What a run of this method may set."""

    labels: Literal["true", "shuffled"] = "true"
    share: float = Field(default=1.0, gt=0, le=1)
    report_gradients: bool = False


class LabelStudy(ZoeDistill):
    """See `zdlib.train.method.Method`."""

    def __init__(self, model: ModelConfig, train: TrainConfig, run: RunConfig):
        shared = {key: value for key, value in run.options.items() if key in ZoeDistillOptions.model_fields}
        super().__init__(model, train, run.model_copy(update={"options": shared}))
        self._treatment = check_options(Options, run)
        if model.label_input:
            self.items = LabelledPictures

    def feed(self, frames: RunFrames, order: torch.Generator) -> Feed:
        """Zoe-Distill's, of the share of scenes and with the labels that the options ask for."""
        chosen = self._scenes_of_the_share(frames)
        reader: Reader = frames.reader
        if self._treatment.labels == "shuffled":
            reader = Relabelled(reader, donors(chosen, self._run.seed))
        items = self.items(reader, chosen, self._recipe, augment=True, seed=self._run.seed)
        return shuffled_feed(items, self._train.batch_size, order)

    def network(self, device: torch.device) -> ZoeDepth:
        """Zoe-Distill's; without ImageNet weights, the encoder's batch normalisation learns its statistics."""
        network = super().network(device)
        if self._model.encoder_weights == "none":
            network.frozen_statistics = False
            network.train()
        return network

    def validate(
        self, network: ZoeDepth, items: Items, device: torch.device, watch: Watch | None = None
    ) -> dict[str, float]:
        """Zoe-Distill's metrics, and with `report_gradients` those of `gradients`."""
        scores = super().validate(network, items, device, watch)
        if not self._treatment.report_gradients or not self._run.segments:
            return scores
        batch = torch.utils.data.default_collate([items[i] for i in range(min(8, len(items)))])
        return scores | self.gradients(network, {key: value.to(device) for key, value in batch.items()})

    def gradients(self, network: ZoeDepth, batch: Batch) -> dict[str, float]:
        """How the two losses pull at the decoder's maps, which depth and segmentation share.

        Returns:
            `gradient_depth` and `gradient_segmentation` (Euclidean norms, the latter with its weight), and
            `gradient_cosine` between the two.
        """
        decoded: list[DecoderFeatures] = []
        handle = network.decoder.register_forward_hook(lambda *arguments: decoded.append(arguments[-1]))
        network.eval()
        try:
            out = network(batch["image"], segmentation=True)
        finally:
            handle.remove()
            network.train()
        assert out.segmentation is not None
        losses = self._criterion(out.metric_depth.float(), out.segmentation.float(), batch)
        parts = losses["silog"], losses["total"] - losses["silog"]
        shared = [decoded[0].fine, *decoded[0].fused, decoded[0].bottleneck]
        depth, segmentation = (_gradient(part, shared) for part in parts)
        return {
            "gradient_depth": float(depth.norm()),
            "gradient_segmentation": float(segmentation.norm()),
            "gradient_cosine": float(torch.nn.functional.cosine_similarity(depth, segmentation, dim=0)),
        }

    def info(self) -> dict[str, Any]:
        """Zoe-Distill's, and the options."""
        return super().info() | {"options": self._treatment.model_dump()}

    def _scenes_of_the_share(self, frames: RunFrames) -> Int64[np.ndarray, " k"]:
        numbers = frames.roles.train
        if self._treatment.share == 1:
            return numbers
        scenes = getattr(frames.reader, "scenes", None)
        names = np.array([scenes[i] if scenes else str(i) for i in numbers])
        unique = list(dict.fromkeys(names.tolist()))
        drawn = np.random.default_rng([self._run.seed, 2]).permutation(len(unique))
        kept = {unique[i] for i in drawn[: max(1, round(self._treatment.share * len(unique)))]}
        return numbers[[name in kept for name in names]]


def _gradient(loss: Tensor, maps: Sequence[Tensor]) -> Float[Tensor, " n"]:
    """A loss's gradient on some maps, as one vector."""
    parts = torch.autograd.grad(loss, maps, retain_graph=True, materialize_grads=True)
    return torch.cat([part.flatten() for part in parts])


def donors(numbers: Int64[np.ndarray, " k"], seed: int) -> dict[int, int]:
    """For each frame, the frame whose labels it gets: never its own, each one's once (one cycle through all)."""
    cycle = np.random.default_rng([seed, 1]).permutation(numbers).tolist()
    return dict(zip(cycle, [*cycle[1:], *cycle[:1]], strict=True))


@dataclass(frozen=True)
class Relabelled:
    """A reader whose frames carry other frames' labels.

    Attributes:
        reader: the true one.
        donors: by frame number, the frame that gives its labels.
    """

    reader: Reader
    donors: dict[int, int]

    def __len__(self) -> int:
        return len(self.reader)

    def __getitem__(self, index: int, /) -> Sample:
        """Read one frame, and another one's labels."""
        return replace(self.reader[index], labels=self.reader[self.donors[index]].labels)


@dataclass(frozen=True)
class LabelledReader:
    """A reader whose pictures carry their labels, for networks that are given them (`zdlib.models.zoe.guided`)."""

    reader: Reader

    def __len__(self) -> int:
        return len(self.reader)

    def __getitem__(self, index: int, /) -> Sample:
        """Read one frame.

        Raises:
            ZDError: it has no labels.
        """
        sample = self.reader[index]
        if sample.labels is None:
            raise ZDError(f"{sample.name}: has no labels to tell the network: judge it on NYU's layout only")
        picture, labels = torch.from_numpy(sample.image), torch.from_numpy(sample.labels)
        carrying = hide_labels(picture.movedim(-1, 0).float() / 255, labels)
        return replace(sample, image=(carrying * 255).round().byte().movedim(0, -1).numpy())


class LabelledPictures(TrainingSet):
    """A training set whose pictures carry their labels, augmented with them."""

    def __getitem__(self, position: int) -> dict[str, Any]:
        """The item at `position`."""
        item = super().__getitem__(position)
        return item | {"image": hide_labels(item["image"], item["labels"])}


METHOD = LabelStudy
