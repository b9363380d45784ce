"""The models that streets use (models.csv): role, size, which of the two sets may use them."""

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from scenes.streets import labels
from scenes.streets.geometry import Colour

LABELS = {
    "car": labels.CAR,
    "van": labels.CAR,
    "truck": labels.TRUCK,
    "bus": labels.BUS,
    "motorcycle": labels.MOTORCYCLE,
    "bicycle": labels.BICYCLE,
    "person": labels.PERSON,
    "tree": labels.VEGETATION,
    "bush": labels.VEGETATION,
}
VEHICLES = ("car", "van", "truck", "bus", "motorcycle", "bicycle")
CAR_COLOURS: tuple[Colour, ...] = (
    (0.75, 0.75, 0.76), (0.55, 0.56, 0.58), (0.30, 0.31, 0.33), (0.06, 0.06, 0.07), (0.08, 0.08, 0.09),
    (0.82, 0.82, 0.80), (0.07, 0.12, 0.30), (0.42, 0.05, 0.05), (0.12, 0.20, 0.34), (0.25, 0.03, 0.05),
    (0.10, 0.20, 0.14), (0.45, 0.38, 0.28), (0.62, 0.50, 0.10), (0.20, 0.34, 0.50), (0.60, 0.22, 0.08),
)  # fmt: skip
VAN_COLOURS: tuple[Colour, ...] = (
    (0.80, 0.80, 0.80),
    (0.75, 0.75, 0.76),
    (0.60, 0.10, 0.10),
    (0.80, 0.65, 0.10),
)


@dataclass(frozen=True)
class Model:
    """One model as the layout sees it.

    Attributes:
        id: letter of its library and number in the library's catalogue.
        role: what the layout uses it for.
        used_in: `K`, `V` or `KV` (both sets).
        width, length, height: metres; the model's front is +y.
        paint: beginning of the name of the material that takes the colour of the paint; empty = none does.
    """

    id: str
    role: str
    used_in: str
    width: float
    length: float
    height: float
    paint: str

    @property
    def footprint(self) -> tuple[float, float]:
        """Extent in x and y, metres."""
        return self.width, self.length


@cache
def models() -> dict[str, Model]:
    """Every model of models.csv by id."""
    with open(Path(__file__).with_name("models.csv"), newline="", encoding="utf-8") as file:
        return {
            row["id"]: Model(
                row["id"],
                row["role"],
                row["used_in"],
                float(row["width"]),
                float(row["length"]),
                float(row["height"]),
                row["paint"],
            )
            for row in csv.DictReader(file)
        }


@cache
def of_role(role: str, used_in: str) -> tuple[Model, ...]:
    """The models of a role that a set (`K` or `V`) may use, in the order of the table."""
    return tuple(model for model in models().values() if model.role == role and used_in in model.used_in)


def label(role: str) -> int:
    """Train id of a model's role; furniture that Cityscapes does not name is void."""
    return LABELS.get(role, labels.VOID)
