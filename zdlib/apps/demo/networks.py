"""The networks that the page offers: those in the box and by name, and a checkpoint of one's own."""

import threading
from collections.abc import Callable
from pathlib import Path

from zdlib.errors import ZDError
from zdlib.models.choice import PACKAGED, chosen_model
from zdlib.models.depth_model import DepthModel
from zdlib.models.hub import HUB
from zdlib.models.registry import ARCHITECTURES
from zdlib.models.released import METER


class Networks:
    """Networks by name, of which one at a time is in memory.

    Args:
        weights: a checkpoint of one's own; it is loaded now, and is the first choice.
        model: which model it holds, where it does not say.
        device: where to predict.
        say: is told what is downloaded.

    Raises:
        ZDError: the checkpoint cannot be loaded or gives relative depth, or the device cannot be used.
    """

    def __init__(
        self,
        weights: Path | None = None,
        model: str | None = None,
        device: str = "cpu",
        say: Callable[[str], None] = print,
    ):
        self._weights, self._model, self._device, self._say = weights, model, device, say
        self._lock = threading.Lock()
        self._own_name = None if weights is None else weights.name
        self._name, self._loaded = self.default, self._load(self.default)
        self._own_domains = self._loaded.domains
        if self._loaded.convention.kind == "relative":
            raise ZDError(f"{weights}: gives relative depth, and the page shows metres: name another checkpoint")

    @property
    def default(self) -> str:
        """The first choice: one's own, or the network in the box."""
        return self._own_name or PACKAGED

    def choices(self) -> list[tuple[str, str]]:
        """(What the page shows, name), the default first."""
        boxed = [(f"{PACKAGED} (in the box)", PACKAGED)]
        small = [(f"{name} ({file.size / 1e6:.0f} MB, fetched once)", name) for name, file in METER.items()]
        large = [
            (f"{name} (large, fetched once from the hub; {releases[0].licence})", name)
            for name, releases in HUB.items()
            if name.startswith("zoe_") or "_metric_" in name  # the others give no metres
        ]
        own = [] if self._own_name is None else [(self._own_name, self._own_name)]
        return [*own, *boxed, *small, *large]

    def has_scenes(self, name: str) -> bool:
        """Whether a network has a head for indoors and another for outdoors. It is not loaded for that."""
        if name == self._own_name:
            return len(self._own_domains) > 1
        return name in ARCHITECTURES and len(ARCHITECTURES[name].domains) > 1

    def get(self, name: str) -> DepthModel:
        """A network by name; the one before leaves the memory.

        Raises:
            ZDError: its weights cannot be had.
        """
        with self._lock:
            if name != self._name:
                self._name, self._loaded = name, self._load(name)
            return self._loaded

    def _load(self, name: str) -> DepthModel:
        if name == self._own_name:
            return chosen_model(self._model, self._weights, self._device, self._say)
        return chosen_model(name, None, self._device, self._say)
