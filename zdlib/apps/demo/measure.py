"""From an uploaded picture to what the page shows and offers: the same numbers and files as `zdlib predict`."""

import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from zdlib.apps.demo.networks import Networks
from zdlib.apps.predict_command import wanted_inference
from zdlib.apps.prediction.depth_files import depth_contents, output_files
from zdlib.apps.prediction.points import cloud_files
from zdlib.apps.prediction.sources import focal_in_use, read_photograph
from zdlib.errors import ZDError
from zdlib.gates.opening import Limit
from zdlib.geometry import assumed_focal

_LONGEST = 80  # characters of a file's name that the results keep


@dataclass(frozen=True)
class Request:
    """What a visitor wants measured.

    Attributes:
        picture: the uploaded file.
        network: its name among the page's.
        scene: `indoor` or `outdoor` for a network that has heads for both; None leaves it to the network.
        fov: horizontal field of view in degrees; None takes the picture's EXIF, or the assumption.
    """

    picture: Path
    network: str
    scene: str | None = None
    fov: float | None = None


@dataclass(frozen=True)
class Measured:
    """What a picture gave.

    Attributes:
        depth: metres, of the picture's size.
        files: NumPy's, the 16-bit PNG, the preview, PLY and GLB; without the last two where no pixel lies on a surface.
        summary: what is said of it, in one line.
    """

    depth: Float32[np.ndarray, "h w"]
    files: list[Path]
    summary: str


def measure(
    networks: Networks, limit: Limit, folder: Path, wanted: Request, say: Callable[[str], None] = lambda _: None
) -> Measured:
    """Predict, and write the files into a new folder.

    Args:
        networks: those of the page.
        limit: of a picture's pixels.
        folder: gets a folder for this picture.
        wanted: picture and choices.
        say: is told what is waited for.

    Raises:
        ZDError: the picture is damaged or too large; the network cannot be had. The line names the picture as the
            visitor does.
    """
    try:
        photograph = read_photograph(wanted.picture, limit)
    except ZDError as error:  # a visitor has no use for the folder of the upload
        raise ZDError(str(error).replace(str(wanted.picture), wanted.picture.name)) from error
    focal = focal_in_use(photograph, wanted.fov)
    say("loading the network")
    model = networks.get(wanted.network)
    say("measuring")
    options = wanted_inference(model, scene=wanted.scene)
    depth = model(photograph.image, replace(options, focal=focal))
    say("writing the files")
    contents = depth_contents(depth)
    with suppress(ZDError):  # a map without surfaces is shown all the same
        contents += cloud_files(photograph.image, depth, focal or assumed_focal(*depth.shape)).values()
    files = _write(contents, folder, wanted.picture)
    lens = "given" if wanted.fov is not None else "by its EXIF" if focal else "assumed (28 mm)"
    rows, columns = depth.shape
    summary = (
        f"{wanted.network}: {depth.min():.2f} to {depth.max():.2f} m, {columns} × {rows} pixels, lens {lens}. "
        "Metres are an estimate from one picture."
    )
    return Measured(depth, files, summary)


def _write(contents: list[bytes], folder: Path, picture: Path) -> list[Path]:
    """Files named after the picture, in a folder of their own: all of them, or none."""
    place = Path(tempfile.mkdtemp(dir=folder))
    source = Path(picture.stem[:_LONGEST] or "picture").with_suffix(".png")
    paths = output_files(place, source, points=True)[: len(contents)]
    try:
        for path, content in zip(paths, contents, strict=True):
            path.write_bytes(content)
    except OSError as error:
        shutil.rmtree(place, ignore_errors=True)
        raise ZDError(f"the results cannot be written ({error.strerror}): free space on this machine") from error
    return paths
