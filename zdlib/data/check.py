"""Walking a copy of a data set: is it all there, and is every file what it should be?"""

from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from zdlib.data.registry import Options, data_set
from zdlib.data.sample import Sample
from zdlib.errors import ZDError

SHOWN = 5  # defects that are printed; the rest is counted
_AS_PUBLISHED = Options()
SIZES = 4  # image sizes that are printed


@dataclass
class Report:
    """What a walk over all frames found.

    Attributes:
        title, root: which data set, which copy.
        expected: frames of a full copy; several where there is a choice, none where any number is right.
        frames: frames that the copy names.
        sizes: (height, width) of the frames that could be read, and how many have it.
        nearest, farthest: range of the depths, metres; NaN where no frame could be read.
        pixels, without_depth, masked: of the frames that could be read: all, those with depth 0, and those with a depth
            that the data set's own mask excludes.
        defects: the first of them, one line each.
        n_defects: all of them.
    """

    title: str
    root: Path
    expected: tuple[int, ...]
    frames: int = 0
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    nearest: float = float("nan")
    farthest: float = float("nan")
    pixels: int = 0
    without_depth: int = 0
    masked: int = 0
    defects: list[str] = field(default_factory=list)
    n_defects: int = 0

    def add_defect(self, line: str) -> None:
        """Count a defect, and keep it if it is among the first."""
        self.n_defects += 1
        if len(self.defects) < SHOWN:
            self.defects.append(" ".join(line.split()))

    def add(self, sample: Sample) -> None:
        """Count a frame."""
        height, width = sample.depth.shape
        self.sizes[height, width] += 1
        depth = sample.depth[sample.depth > 0]
        self.nearest = float(np.fmin(self.nearest, depth.min()))
        self.farthest = float(np.fmax(self.farthest, depth.max()))
        self.pixels += sample.depth.size
        self.without_depth += sample.depth.size - depth.size
        if sample.mask is not None:
            self.masked += int(np.count_nonzero((sample.depth > 0) & ~sample.mask))

    def text(self) -> str:
        """The report as lines."""
        expected = " or ".join(map(str, self.expected))
        full = f" (a full copy has {expected})" if expected else ""
        lines = [f"{self.title}: {self.root}", f"  frames   {self.frames}{full}"]
        if self.pixels:
            sizes = [f"{width}×{height}: {count}" for (height, width), count in self.sizes.most_common(SIZES)]
            more = len(self.sizes) - len(sizes)
            lines.append(f"  sizes    {', '.join(sizes)}{f', and {more} more sizes' if more else ''}")
            lines.append(f"  depth    {self.nearest:.3f} to {self.farthest:.3f} m")
            masked = f", and masked {self.masked / self.pixels:.1%}" if self.masked else ""
            lines.append(f"  invalid  {self.without_depth / self.pixels:.1%} of the pixels have no depth{masked}")
        lines.append(f"  defects  {self.n_defects or 'none'}")
        lines.extend(f"    {line}" for line in self.defects)
        if self.n_defects > len(self.defects):
            lines.append(f"    … and {self.n_defects - len(self.defects)} more")
        return "\n".join(lines)


def check(name: str, root: Path, options: Options = _AS_PUBLISHED, frames: int | None = None) -> Report:
    """Read every frame of a copy of a data set, with a progress bar.

    A frame that cannot be read, and another number of frames than a full copy has, are defects.

    Args:
        name: of the data set.
        root: the copy.
        options: which part or list, and which depth.
        frames: how many the copy should have; None: as many as a full one.

    Raises:
        ZDError: no data set of this name.
    """
    known = data_set(name)
    expected = known.frames if frames is None else (frames,)
    report = Report(known.title, root, expected)
    try:
        reader = known.open(root, replace(options, complete=False))
    except ZDError as error:
        report.add_defect(str(error))
        return report
    except OSError as error:
        report.add_defect(f"{root}: cannot be read ({error}): check the permissions and the disk")
        return report
    report.frames = len(reader)
    if expected and report.frames not in expected:
        report.add_defect(f"{root}: {report.frames} frames, a full copy has {' or '.join(map(str, expected))}")
    for index in tqdm(range(report.frames), desc=name, unit="frame", mininterval=1):
        try:
            report.add(reader[index])
        except ZDError as error:
            report.add_defect(str(error))
        except Exception as error:  # Whatever else a damaged file makes a library raise is a finding, too.
            report.add_defect(
                f"{root}: frame {index} cannot be read ({type(error).__name__}: {error}): replace its files"
            )
    return report
