"""What a depth map adds to a picture's class: the kind of a room from RGB, from depth, or from both (FastConv).

`python -m zdlib.paper.unlabelled.room_kinds` trains and judges every input with every seed and writes
`results/depth_anything_study/per_image/room_kinds.csv`, which notebook 14 reads.

The article (a blog post on MiniPlaces, 100 classes) puts Depth Anything's map beside the picture as a fourth channel
and reports an accuracy of .178 after five epochs where the picture alone has .174. Its listing builds the network
with `include_residual=False`, which is the depth alone. Here are both, on Rooms-N's eight kinds of rooms, with the
official split, by its network and optimiser. The depth is that of the network in the box, fixed, as inverse metres and
not normalised, like the article's; its listing trains the depth network along with the classifier.
"""

import math
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from zdlib.data.registry import open_reader
from zdlib.files import write_csv
from zdlib.models.choice import PACKAGED, chosen_model
from zdlib.models.depth_model import Inference
from zdlib.paths import RunPaths, repo_root

STUDY, FILE = "depth_anything_study", "room_kinds"
SIDE = 64  # pixels; the article's pictures have 140, four times the time
EPOCHS, BATCH, LEARNING_RATE, MOMENTUM = 10, 16, 0.01, 0.9
SEEDS = (1, 2, 3, 4, 5)
NEAREST = 0.1  # metres, before depth is inverted
# The channels of each input: red, green, blue, the network's inverse depth, the true one.
INPUTS: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {"RGB": (0, 1, 2), "depth": (3,), "RGB + depth": (0, 1, 2, 3), "RGB + true depth": (0, 1, 2, 4)}
)


class FastConv(nn.Module):
    """Two convolutions, two linear layers; strides and paddings as the article's call sets them.

    Args:
        channels: of the input.
        classes: how many.
        side: pixels of the square input.
    """

    def __init__(self, channels: int, classes: int, side: int = SIDE):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 64, 3, stride=2, padding=1)
        self.conv2 = nn.Conv2d(64, 128, 3, stride=2, padding=1)
        cells = math.ceil(math.ceil(side / 2) / 2) // 2  # convolutions round up, the pooling down
        self.fc1 = nn.Linear(128 * cells**2, 128)
        self.fc2 = nn.Linear(128, classes)

    def forward(self, images: Float[Tensor, "b c s s"]) -> Float[Tensor, "b k"]:
        """Logits."""
        x = F.max_pool2d(F.relu(self.conv2(F.relu(self.conv1(images)))), 2)
        x = F.dropout(x, 0.25, self.training).flatten(1)
        return self.fc2(F.dropout(F.relu(self.fc1(x)), 0.5, self.training))


class Rooms:
    """All frames of Rooms-N as squares of five channels, with their kind and whether they are held out.

    Attributes:
        images: (n, 5, s, s) see `INPUTS`.
        kinds: (n,) index into `names`.
        test: (n,) the official test frames.
        names: the kinds.
    """

    def __init__(self, side: int = SIDE):
        reader = open_reader("rooms", repo_root() / "data" / "rooms" / "rooms_n.h5")
        model, images, kinds = chosen_model(PACKAGED), [], []
        for number in range(len(reader)):
            sample = reader[number]
            depth = np.stack([model(sample.image, Inference(full_size=True)), sample.depth])
            inverse = torch.from_numpy(1 / np.maximum(depth, np.float32(NEAREST)))
            colours = torch.from_numpy(sample.image).permute(2, 0, 1).float() / 255
            images.append(_square(torch.cat([colours, inverse]), side))
            kinds.append(sample.scene_type)
        self.images = torch.stack(images)
        self.names = sorted(set(kinds))
        self.kinds = torch.tensor([self.names.index(kind) for kind in kinds])
        self.test = torch.tensor([scene.startswith("test ") for scene in reader.scenes])


def _square(maps: Float[Tensor, "c h w"], side: int) -> Float[Tensor, "c s s"]:
    return F.interpolate(maps[None], (side, side), mode="bilinear", antialias=True)[0]


def train_classifier(
    images: Float[Tensor, "n c s s"],
    kinds: Int64[Tensor, " n"],
    test: Bool[Tensor, " n"],
    seed: int,
    epochs: int = EPOCHS,
) -> list[float]:
    """Stochastic gradient descent on the frames that are not held out; accuracy on those that are after each epoch.

    Args:
        images: of all frames.
        kinds: their classes.
        test: which are held out.
        seed: of first weights, order and dropout.
        epochs: passes.
    """
    torch.manual_seed(seed)
    network = FastConv(images.shape[1], int(kinds.max()) + 1, images.shape[2])
    optimizer = torch.optim.SGD(network.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM)
    inside, accuracies = torch.nonzero(~test)[:, 0], []
    for _ in range(epochs):
        network.train()
        for batch in inside[torch.randperm(len(inside))].split(BATCH):
            loss = F.cross_entropy(network(images[batch]), kinds[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        network.eval()
        with torch.inference_mode():
            right = network(images[test]).argmax(1) == kinds[test]
        accuracies.append(float(right.float().mean()))
    return accuracies


def main() -> None:
    """Every input with every seed; `input, seed, epoch, accuracy`, and the share of the most frequent test kind."""
    rooms = Rooms()
    rows = []
    for name, channels in INPUTS.items():
        for seed in SEEDS:
            accuracies = train_classifier(rooms.images[:, list(channels)], rooms.kinds, rooms.test, seed)
            rows += [
                {"input": name, "seed": seed, "epoch": epoch, "accuracy": round(accuracy, 6)}
                for epoch, accuracy in enumerate(accuracies, 1)
            ]
            print(f"{name}, seed {seed}: {accuracies[-1]:.3f}", flush=True)
    most = float(torch.bincount(rooms.kinds[rooms.test]).max() / rooms.test.sum())
    rows.append({"input": "most frequent kind", "seed": 0, "epoch": EPOCHS, "accuracy": round(most, 6)})
    write_csv(RunPaths(STUDY).per_image / f"{FILE}.csv", pd.DataFrame(rows))


if __name__ == "__main__":
    main()
