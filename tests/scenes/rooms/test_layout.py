import itertools

import numpy as np
import pytest

from scenes.rooms import catalogue, layout
from scenes.rooms.scene import PART_LABELS, UNLABELLED, Piece, Placement
from zdlib.data import classes

CASES = [("rooms_n", seed) for seed in range(40)] + [("rooms_i", seed) for seed in range(20)]


@pytest.fixture(scope="module")
def rooms():
    return {case: layout.build_room(case[1], case[0]) for case in CASES}


@pytest.mark.slow
def test_a_seed_gives_one_room(rooms):
    for case in CASES[::7]:
        kind, again = layout.build_room(case[1], case[0])
        before_kind, before = rooms[case]
        assert kind == before_kind
        assert len(again.placed) == len(before.placed)
        for a, b in zip(again.placed, before.placed, strict=True):
            if isinstance(a, Placement):
                assert a == b
            else:
                assert isinstance(b, Piece)
                assert (a.surface, a.label, a.instance) == (b.surface, b.label, b.instance)
                assert np.array_equal(a.mesh.positions, b.mesh.positions)


@pytest.mark.slow
def test_seeds_and_data_sets_differ(rooms):
    shapes = {(name, round(room.width, 6), round(room.depth, 6)) for (name, _), (_, room) in rooms.items()}
    assert len(shapes) == len(CASES)


@pytest.mark.slow
def test_furniture_does_not_overlap(rooms):
    for case, (_, room) in rooms.items():
        for a, b in itertools.combinations(room.furniture_footprints, 2):
            assert min(a[2], b[2]) - max(a[0], b[0]) < 1e-6 or min(a[3], b[3]) - max(a[1], b[1]) < 1e-6, (case, a, b)


@pytest.mark.slow
def test_furniture_is_inside_the_room(rooms):
    for case, (_, room) in rooms.items():
        for x0, z0, x1, z1 in room.furniture_footprints:
            assert x0 >= -0.011, case
            assert z0 >= -0.011, case
            assert x1 <= room.width + 0.011, case
            assert z1 <= room.depth + 0.011, case


@pytest.mark.slow
def test_labels_are_nyu_names(rooms):
    names = {item.label for _, room in rooms.values() for item in room.placed} | set(PART_LABELS.values())
    assert UNLABELLED in names
    assert len(classes.raw_ids(sorted(names - {UNLABELLED}))) > 50


@pytest.mark.slow
def test_only_models_of_the_data_set_are_used(rooms):
    for (name, _), (_, room) in rooms.items():
        assert {catalogue.models()[model].used_in for model in layout.models_used(room.placed)} == {name}


def test_kinds_are_drawn_by_their_shares():
    rng = np.random.default_rng(0)
    drawn = [layout.pick_kind(rng, "rooms_n") for _ in range(2000)]
    kinds = layout.KINDS["rooms_n"]
    total = sum(kind.share for kind in kinds.values())
    for name, kind in kinds.items():
        assert drawn.count(name) / 2000 == pytest.approx(kind.share / total, abs=0.035)


def test_kitchens_have_sink_stove_and_cabinets():
    roles = []
    for seed in range(30):
        kind, room = layout.build_room(seed, "rooms_n", kind="kitchen")
        assert kind == "kitchen"
        roles.append({catalogue.models()[model].role for model in layout.models_used(room.placed)})
    assert sum({"sinkcab", "stove", "lower", "upper"} <= found for found in roles) >= 15


@pytest.mark.parametrize("kind", [*layout.KINDS["rooms_n"], *layout.KINDS["rooms_i"]])
def test_every_kind_can_be_built(kind):
    name = "rooms_n" if kind in layout.KINDS["rooms_n"] else "rooms_i"
    _, room = layout.build_room(7, name, kind=kind)
    assert len(layout.models_used(room.placed)) >= 3
    assert {"wall", "floor", "ceiling", "light"} <= {item.label for item in room.placed}
