"""The complete description of a model. `ModelConfig`'s fields, and what only the papers' variants change."""

from typing import Literal

from pydantic import Field, model_validator

from zdlib.config import Frozen, ModelConfig, Side, Width


class Domain(Frozen):
    """One metric head of a model with several, and the depth interval of its normalised bins."""

    name: str
    min_depth: float = Field(default=1e-3, ge=0)  # metres
    max_depth: float = Field(default=10.0, gt=0)


class Architecture(ModelConfig):
    """Every choice the network depends on. The defaults reproduce the released ZoeDepth weights' behaviour.

    Attributes:
        keep_aspect_ratio: resize images to a multiple of 32 that covers `input_size`, instead of stretching them.
        head: how bins are refined: `attractor`, `splitter` (each level halves every bin) or `naive` (no bins).
        bin_type: `softplus` (unbounded centres), `normed` (centres in the domain's interval), `hybrid1` (normed seed,
            softplus attractors), `hybrid2` (softplus seed, normed attractors).
        attractor_type: pull of an attractor at distance d: `inv` d/(1+α|d|^γ), `exp` d·exp(-α|d|^γ).
        attractor_kind: `mean` or `sum` over the attractors.
        attractor_alpha: the released configurations say 1000, but the code never passes it on: 300 is what ran.
        normalise_attractors: normed attractors only. The paper divides the attractor by its pair's sum; the released
            code computes that and uses the raw first channel.
        output: `log_binomial` or `softmax` over the bins.
        inverse_rel_depth: feed 1/relative depth, min-max scaled over the batch, to the output layer.
        rel_depth_in_output: the NK model does not feed the relative depth to the output layer.
        projector_hidden: width inside the embedding projectors and the seed regressor; None: the single-head model's.
        bottleneck: how much narrower than its input the output layer's hidden layer is.
        domains: one metric head each; more than one need a router.
        router: how a head is chosen (the paper's Table 6): `labelled`, by the caller; `trained`, by a classifier that
            learns from labels (the caller's loss on `domain_logits`); `auto`, by a classifier that learns from the
            depth alone: in training the heads' depths are mixed by its probabilities.
        routing: the classifier's decision: for each `image`, or once for the `batch` as the released code does.
    """

    encoder_weights: str = "none"
    input_size: tuple[Side, Side] = (384, 512)
    keep_aspect_ratio: bool = False
    bin_type: Literal["softplus", "normed", "hybrid1", "hybrid2"] = "softplus"
    attractor_kind: Literal["mean", "sum"] = "mean"
    attractor_alpha: float = 300.0
    attractor_gamma: float = 2.0
    normalise_attractors: bool = False
    min_temperature: float = 0.0212
    max_temperature: float = 50.0
    inverse_rel_depth: bool = False
    rel_depth_in_output: bool = True
    projector_hidden: Width | None = None
    bottleneck: Width = 2
    domains: tuple[Domain, ...] = Field(default=(Domain(name="nyu"),), min_length=1, max_length=16)
    router: Literal["labelled", "trained", "auto"] = "trained"
    routing: Literal["image", "batch"] = "image"

    @model_validator(mode="after")
    def _consistent(self) -> "Architecture":
        if len(self.n_attractors) != 4:
            raise ValueError(f"n_attractors needs one number for each of the 4 levels, not {len(self.n_attractors)}")
        if self.head == "splitter" and self.n_bins % 16:
            raise ValueError(f"n_bins must be a multiple of 16 for the splitter, not {self.n_bins}")
        if self.head == "naive" and len(self.domains) > 1:
            raise ValueError("the naive head has one domain")
        return self
