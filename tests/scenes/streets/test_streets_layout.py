import numpy as np
import pytest

from scenes.streets import boards, fleet, labels, layout, sky, style, textures
from scenes.streets.generate import PLANS
from scenes.streets.layout import build_street
from scenes.streets.occupancy import Occupancy

MAKE_SKY = sky.make_sky
SEEDS = {"K": (1000, 1002), "V": (5000,)}


def build(used_in, seed):
    plan = PLANS[f"streets_{used_in.lower()}"]
    return build_street(seed, used_in, plan.frames, plan.mount)


def without_textures(street):
    street.walls = ["wall0", "wall1"]


@pytest.fixture(scope="module", autouse=True)
def only_geometry():
    """Textures take most of a street's time, and no test of its layout looks at them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layout, "_make_textures", without_textures)
        patch.setattr(sky, "make_sky", lambda rng, sun, cover: np.ones((2, 4, 3), np.float32))
        yield


@pytest.fixture(scope="module")
def streets():
    return {(used_in, seed): build(used_in, seed) for used_in, seeds in SEEDS.items() for seed in seeds}


def test_no_two_vehicles_or_people_overlap_in_any_frame(streets):
    for street in streets.values():
        ground = Occupancy(len(street.times))
        for thing in street.things:
            if thing.ident and not thing.model.startswith("rider"):
                assert ground.claim(thing.poses, fleet.models()[thing.model].footprint, -0.15), thing
        assert len(ground) > 3


def test_nothing_stands_in_the_way_of_the_camera(streets):
    for street in streets.values():
        camera = street.camera
        for thing in street.things:
            if thing.ident:
                centre = np.broadcast_to(thing.poses, (len(camera), 4, 4))[:, :2, 3]
                assert np.linalg.norm(centre - camera[:, :2, 3], axis=1).min() > 1.0


def test_the_camera_is_upright_at_its_height(streets):
    for (used_in, _), street in streets.items():
        height = PLANS[f"streets_{used_in.lower()}"].mount.height
        for pose, s in zip(street.camera, street.ego_s, strict=True):
            assert np.allclose(pose[:3, :3].T @ pose[:3, :3], np.eye(3), atol=1e-3)
            assert pose[2, 1] < -0.95
            assert pose[2, 3] - street.curve.point(s, 0.0)[2] == pytest.approx(height, abs=0.05)


def test_all_triangles_are_finite_and_labelled(streets):
    for street in streets.values():
        for material, soup in street.soups.items():
            points, _, uv, colours, label = soup.arrays()
            assert all(np.isfinite(values).all() for values in (points, uv, colours)), material
            assert set(np.unique(label)) <= {*range(19), labels.VOID}
        assert {"asphalt", "grass", "wood"} <= set(street.soups)


def test_both_sets_share_neither_kinds_of_streets_nor_cars(streets):
    assert not set(style.FAMILIES["K"]) & set(style.FAMILIES["V"])
    for role in ("car", "truck", "bus", "motorcycle"):
        first, second = (fleet.of_role(role, used_in) for used_in in "KV")
        assert first
        assert second
        assert not set(first) & set(second)
    for (used_in, _), street in streets.items():
        for thing in street.things:
            assert thing.model.startswith("rider") or used_in in fleet.models()[thing.model].used_in
    assert PLANS["streets_k"].camera != PLANS["streets_v"].camera
    assert PLANS["streets_k"].mount != PLANS["streets_v"].mount


def test_the_same_seed_gives_the_same_street(streets):
    again, first = build("V", 5000), streets["V", 5000]
    assert np.array_equal(again.camera, first.camera)
    assert [thing.model for thing in again.things] == [thing.model for thing in first.things]
    for material, soup in first.soups.items():
        assert np.array_equal(soup.arrays()[0], again.soups[material].arrays()[0])


def test_things_move_only_where_the_street_is_lively(streets):
    for street in streets.values():
        moving = [thing for thing in street.things if thing.moving]
        assert all(len(thing.poses) == len(street.times) for thing in moving)
        if not street.style.lively:
            assert not moving
        assert len({thing.ident for thing in street.things if thing.ident}) == street.idents


def test_seasons_and_weather_are_balanced():
    drawn = [sky.season_and_weather(seed) for seed in range(40)]
    assert len(set(drawn)) == 20
    for season in sky.SEASONS:
        assert sum(pair[0] == season for pair in drawn) == 10
    for plan in PLANS.values():
        assert all(first % 40 == 0 for first, _ in plan.splits.values())


def test_light_of_all_weathers():
    rng = np.random.default_rng(0)
    for weather in set(sky.WEATHER):
        light = sky.make_light(rng, "summer", weather)
        assert np.linalg.norm(light.sun) == pytest.approx(1)
        assert light.wet == (weather == "wet")
        assert (light.sun_colour.max() == 0) == (weather in ("overcast", "wet"))
    low = sky.make_light(rng, "summer", "low sun").sun_colour
    assert low[0] > 1.5 * low[2]


def test_a_sky_is_brightest_near_the_sun_and_clouds_dim_the_blue():
    sun = np.array([np.cos(0.5), 0, np.sin(0.5)])
    clear, covered = (MAKE_SKY(np.random.default_rng(0), sun, cover, 32, 128) for cover in (0.2, 1.0))
    assert clear.shape == (32, 128, 3)
    assert np.isfinite(clear).all()
    assert clear.min() > 0
    row, column = np.unravel_index(clear.sum(-1).argmax(), (32, 128))
    assert abs((row + 0.5) / 32 * np.pi - (np.pi / 2 - 0.5)) < 0.3
    assert min(column, 128 - column) < 8
    assert np.ptp(covered[2], axis=-1).mean() < np.ptp(clear[2], axis=-1).mean()


def test_textures_are_colours():
    rng = np.random.default_rng(0)
    made = [
        textures.asphalt(rng, 4.0, 4.0, 1),
        textures.concrete_road(rng, 4.0, 8.0, 2),
        textures.paint(rng, size=64),
        textures.paving(rng, 64),
        textures.concrete(rng, 64),
        textures.grass(rng, 0.3, 64),
        textures.gravel(rng, 64),
        textures.leaves(rng, size=64),
        textures.brick(rng, 64),
        textures.plaster(rng, 64),
        textures.stone(rng, 64),
        textures.cladding(rng, 96),
        textures.roof_tiles(rng, 64),
        textures.planks(rng, 64),
        boards.atlas(rng),
    ]
    for image in made:
        assert image.ndim == 3
        assert image.shape[2] == 3
        assert np.isfinite(image).all()
        assert image.min() >= 0
        assert image.max() <= 1.001
        assert image.std() > 0.01
    assert boards.cell_uv(7, 0)[:, 1].max() < 1 / 8


def test_splits_share_no_seed():
    for plan in PLANS.values():
        seeds = [seed for seed, _ in plan.seeds()]
        assert len(set(seeds)) == len(seeds) == sum(count for _, count in plan.splits.values())
    k = PLANS["streets_k"].splits
    assert k["train"][1] >= 110
    assert (k["val"][1], k["test"][1]) == (10, 30)
    # Whoever stops early has some of every split.
    assert {split for _, split in list(PLANS["streets_k"].seeds())[:20]} == {"train", "val", "test"}


def test_the_table_of_models_is_sound():
    for model in fleet.models().values():
        assert model.used_in in ("K", "V", "KV")
        assert 0.2 < model.width < 10
        assert 0.2 < model.length < 20
        assert fleet.label(model.role) in {*range(19), labels.VOID}
