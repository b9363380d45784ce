"""Networks of others that are fetched by name: where their weights lie, what they weigh, under which licence."""

from pathlib import Path

from zdlib.gates.downloads import PinnedFile, cache_folder, copies, locate, obtain
from zdlib.models.meter import MeterModel, load_meter

_METER = "https://raw.githubusercontent.com/lorenzopapa5/METER/0f9a49ada3af88393ba5dce3839ab471329e37bd/models"


def _meter(name: str, digest: str) -> PinnedFile:
    return PinnedFile(f"weights_meter/{name}", f"{_METER}/{name}", digest, 2965623, "MIT, L. Papa")


METER = {
    "meter_nyu": _meter("build_model_best_nyu_xxs", "327cddf3bfc85f4a13b8d18d2f13d8e40cdeb022ea397995c409ef1569bcbb53"),
    "meter_kitti": _meter(
        "build_model_best_kitti_xxs", "e55544ae36f9ad74237017fd5f8e761db4b258dbed44623c71ce305d44488bea"
    ),
}


def meter_file(name: str) -> Path:
    """The weights of a METER: from a copy that the environment names, the cache, or their public address.

    Raises:
        ZDError: they cannot be had; the line says where to put them by hand.
    """
    file = METER[name]
    there = locate(file, (*copies(), cache_folder()))
    if there is not None:
        return there
    print(f"{name}: {file.size / 1e6:.1f} MB ({file.licence}) from {file.url}")
    return obtain(file, cache_folder())


def released_meter(name: str, weights: Path | None = None) -> MeterModel:
    """A METER, ready to predict on the CPU.

    Args:
        name: `meter_nyu` or `meter_kitti`.
        weights: the authors' file; None fetches it.

    Raises:
        ZDError: the weights cannot be had or are another network's.
    """
    return load_meter(name, str(weights or meter_file(name)))
