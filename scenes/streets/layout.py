"""From a seed to a street: everything that is decided before the renderer comes."""

import numpy as np

from scenes.streets import boards, road, sky, terrain, textures, traffic, vegetation
from scenes.streets.occupancy import Occupancy
from scenes.streets.style import draw_style
from scenes.streets.world import Street

HZ = 10.0


def build_street(seed: int, used_in: str, frames: int, mount: traffic.Mount, style: str | None = None) -> Street:
    """The street of a seed.

    Args:
        seed: decides everything.
        used_in: the set, `K` or `V`: kinds of streets and models.
        frames: number of frames, 0.1 s apart.
        mount: height and pitch of the camera.
        style: kind of street instead of a drawn one.
    """
    rng = np.random.default_rng([seed, 77])
    light = sky.make_light(rng, *sky.season_and_weather(seed))
    street = Street(rng, used_in, draw_style(rng, used_in, style), light, np.arange(frames) / HZ, Occupancy(frames))
    _make_textures(street)
    vegetation.choose_trees(street)
    traffic.assemble_fleet(street)
    road.plan_main(street)
    traffic.drive_camera(street, mount)
    road.lay_roads(street)
    terrain.lay_backdrop(street)
    traffic.add_traffic(street)
    return street


def _make_textures(street: Street) -> None:
    rng, made, style = street.rng, street.textures, street.style
    carriageway = textures.concrete_road if style.name == "motorway" else textures.asphalt
    made["asphalt"] = carriageway(rng, 2 * style.half, 36, style.lanes)
    made["asphalt2"] = textures.asphalt(rng, 6.0, 18, 2)
    made["parking"] = textures.asphalt(rng, 4.0, 18, 1)
    made["paint"], made["paving"], made["paving2"] = (
        textures.paint(rng),
        textures.paving(rng),
        textures.paving(rng),
    )
    dry = rng.uniform(*sky.DRYNESS[street.light.season])
    made["concrete"], made["grass"] = textures.concrete(rng), textures.grass(rng, dry)
    made["gravel"] = textures.gravel(rng)
    kinds = (textures.plaster, textures.brick, textures.stone, textures.cladding)
    for k in range(7):
        made[f"wall{k}"] = kinds[rng.choice(4, p=style.family.walls)](rng)
        street.walls.append(f"wall{k}")
    for k in range(2):
        made[f"roof{k}"] = textures.roof_tiles(rng)
    wood = {"spring": (0.34, 0.42, 0.24), "summer": (0.30, 0.37, 0.22)}
    wood |= {"autumn": (0.42, 0.36, 0.22), "winter": (0.34, 0.31, 0.27)}
    made["planks"], made["hedge"] = textures.planks(rng), textures.leaves(rng)
    made["wood"] = textures.leaves(rng, wood[street.light.season])
    made["stonewall"] = (textures.stone if rng.random() < 0.5 else textures.brick)(rng, per_metre=100)
    made["atlas"] = boards.atlas(rng)
