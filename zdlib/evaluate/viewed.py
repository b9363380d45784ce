"""What a protocol shows the model of each frame."""

from dataclasses import dataclass

from zdlib.data.sample import Reader, Sample
from zdlib.metrics.protocols import Protocol


@dataclass(frozen=True)
class ViewedReader:
    """A reader of the parts of frames that a protocol shows the model (`Protocol.view`).

    Predicting for these samples and judging with them is ZoeDepth's evaluation of KITTI; for most protocols the parts
    are whole frames.
    """

    reader: Reader
    protocol: Protocol

    def __len__(self) -> int:
        return len(self.reader)

    def __getitem__(self, index: int, /) -> Sample:
        """Read one frame; `index` is 0-based."""
        return self.protocol.view(self.reader[index])
