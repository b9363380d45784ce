"""The camera's own drive, vehicles, riders and pedestrians. Nothing overlaps anything in any frame."""

from dataclasses import dataclass

import numpy as np

from scenes.streets import fleet
from scenes.streets.geometry import Array, Colour, Curve
from scenes.streets.labels import RIDER
from scenes.streets.world import Branch, Side, Street, Thing

EGO = (2.0, 4.6)
"""Width and length of the car that carries the camera, metres; the camera is 0.6 m before its middle."""
EGO_BACK = 0.6


@dataclass(frozen=True)
class Mount:
    """How a camera sits on its car: height above the road (m), mean pitch (radians, up)."""

    height: float
    pitch: float


def drive_camera(street: Street, mount: Mount) -> None:
    """Poses of the left camera: a lane, a speed, a little drift, yaw, and pitch that springs."""
    rng, style, times = street.rng, street.style, street.times
    speed = 0.0 if style.still else float(rng.uniform(*style.family.speed))
    acceleration = 0.0 if style.still else rng.normal(0, 0.6)
    lane = style.lane * (0.5 if style.lanes == 2 or rng.random() < 0.5 else 1.5)
    drift, yaw = (0.0 if style.still else rng.normal(0, 0.08)), rng.normal(0, 0.012)
    street.ego_speed, street.ego_lane = speed, lane
    street.ego_s = speed * times + acceleration * times**2 / 2
    spring = np.sin(2 * np.pi * 1.4 * times + rng.uniform(0, 6)) * rng.uniform(0.3, 1.2) * (not style.still)
    pitch = mount.pitch + np.radians(rng.normal(0, 0.35) + 0.15 * spring)
    sway = 0.0 if style.still else 0.004
    cameras, cars = [], []
    for s, time, angle in zip(street.ego_s, times, pitch, strict=True):
        car = street.curve.pose(s, lane + drift * time, 0, yaw + sway * np.sin(3 * time))
        right, ahead, up = car[:3, 0], car[:3, 1], car[:3, 2]
        camera = np.eye(4)
        camera[:3, 0] = right
        camera[:3, 1] = -(up * np.cos(angle) - ahead * np.sin(angle))
        camera[:3, 2] = ahead * np.cos(angle) + up * np.sin(angle)
        camera[:3, 3] = car[:3, 3] + up * mount.height
        cameras.append(camera)
        body = car.copy()
        body[:3, 3] -= ahead * EGO_BACK
        cars.append(body)
    street.camera = np.array(cameras)
    street.occupancy.take(np.array(cars), EGO)


def assemble_fleet(street: Street) -> None:
    """Seven cars with their paint, and the set's van."""
    rng = street.rng
    cars = fleet.of_role("car", street.used_in)
    for _ in range(7):
        model = cars[rng.integers(len(cars))]
        street.fleet.append((model.id, fleet.CAR_COLOURS[rng.integers(len(fleet.CAR_COLOURS))]))
    for van in fleet.of_role("van", street.used_in):
        street.fleet.append((van.id, fleet.VAN_COLOURS[rng.integers(len(fleet.VAN_COLOURS))]))


def pick_car(street: Street) -> tuple[str, Colour | None]:
    """A car of this street's fleet; rarely the van."""
    last = len(street.fleet) - 1
    return street.fleet[last if street.rng.random() < 0.06 else street.rng.integers(min(7, last + 1))]


def _pick_vehicle(street: Street) -> tuple[str, Colour | None]:
    share = 0.3 if street.style.name in ("industrial", "motorway") else 0.1
    if street.rng.random() < share:
        heavy = fleet.of_role("truck", street.used_in) + fleet.of_role("bus", street.used_in)
        return heavy[street.rng.integers(len(heavy))].id, None
    return pick_car(street)


def add_vehicle(street: Street, car: tuple[str, Colour | None], poses: Array, margin: float = 0.35) -> bool:
    """Put a vehicle unless its ground is taken or it would fill the picture; whether it was put."""
    model = fleet.models()[car[0]]
    if _fills_the_view(street, model, poses) or not street.occupancy.claim(poses, model.footprint, margin):
        return False
    street.add_instance(model.id, poses, paint=car[1])
    return True


def _fills_the_view(street: Street, model: fleet.Model, poses: Array) -> bool:
    camera = street.camera
    centre = np.broadcast_to(poses, (len(camera), 4, 4))[:, :3, 3]
    local = np.einsum("fji,fj->fi", camera[:, :3, :3], centre - camera[:, :3, 3])
    # Before the camera, beside it or behind.
    reach = (
        model.length
        / 2
        * np.abs(np.einsum("fi,fi->f", camera[:, :3, 2], np.broadcast_to(poses, camera.shape)[:, :3, 1]))
    )
    near, aside = local[:, 2] - reach, np.abs(local[:, 0])
    ahead = local[:, 2] + reach > 1.0
    if model.height > 2.2:
        return bool((ahead & (near < 9) & (aside < 7)).any())
    close = bool((ahead & (near < 3.5) & (aside < 5)).any())
    return close and bool(street.rng.random() < 0.7)


def moving_along(
    street: Street, curve: Curve, s: float, t: float, speed: float, turn: float = 0.0, z: float = 0.0
) -> Array:
    """(frames or 1, 4, 4) poses of something that moves along a curve at a speed with sign, m/s."""
    times = street.times if speed else street.times[:1]
    return np.array([curve.pose(s + speed * time, t, z, turn) for time in times])


def park(street: Street, curve: Curve, side: Side) -> None:
    """Fill a parking lane."""
    rng, sign = street.rng, side.sign
    t = (side.edge + side.kerb) / 2
    for a, b in side.spans:
        s = a + rng.uniform(1, 8)
        while s < min(b, 120):
            car = pick_car(street)
            length = fleet.models()[car[0]].length
            turn = (0 if sign > 0 or rng.random() < 0.3 else np.pi) + rng.normal(0, 0.02)
            place = curve.pose(s + length / 2, sign * (t + rng.normal(0, 0.08)), 0.02, turn)
            room = s + length < b - 3 and not side.near_gap(s + length / 2, 5 + length / 2)
            if rng.random() < street.style.parked and room and add_vehicle(street, car, place[None], 0.1):
                s += length + rng.uniform(0.7, 1.8)
            else:
                s += rng.uniform(3, 6)


def add_traffic(street: Street) -> None:
    """Everything on the lanes and the sidewalks."""
    for lane in range(street.style.lanes):
        _fill_lane(street, -street.style.half + (lane + 0.5) * street.style.lane)
    for branch in street.branches:
        _fill_branch(street, branch)
    _riders(street)
    for side in street.sides.values():
        _pedestrians(street, side)
        _parked_bicycles(street, side)
    _people_on_crossings(street)


def _fill_lane(street: Street, t: float) -> None:
    rng, style = street.rng, street.style
    ahead, ego = t > 0, abs(t - street.ego_lane) < 1
    s = rng.uniform(9, 24) if ego else rng.uniform(-4 if ahead else 7, 30)
    low, high = style.family.speed
    flow = max(1.0, street.ego_speed + rng.normal(0.5, 1.2)) if ahead else rng.uniform(max(low, 4), high)
    busy = style.family.busy * (0.8 if style.lively else 0.5)
    leader = ego
    while s < 150:
        if rng.random() < busy:
            car = _pick_vehicle(street)
            length = fleet.models()[car[0]].length
            standing = not style.lively or (ahead and not ego and rng.random() < 0.12)
            speed = 0.0 if standing else flow * rng.uniform(0.92, 1.08) * (1 if ahead else -1)
            lateral, turn = t + rng.normal(0, 0.12), 0.0 if ahead else np.pi
            poses = moving_along(street, street.curve, s + length / 2, lateral, speed, turn)
            if leader and style.lively and not style.still and rng.random() < 0.3:
                # As fast as the camera: no flow, so that it looks infinitely far to a static-world model.
                poses = np.array([street.curve.pose(s + length / 2 + gone, lateral) for gone in street.ego_s])
            add_vehicle(street, car, poses, 0.8)
            leader = False
            s += length
        s += rng.uniform(9, 30) if style.lively else rng.uniform(2, 24)


def _fill_branch(street: Street, branch: Branch) -> None:
    rng, style, half = street.rng, street.style, branch.half
    for _ in range(rng.poisson(0.9 * style.family.busy)):
        out = rng.random() < 0.4
        s = street.sides[branch.sign].walk1 + (rng.uniform(5, 40) if out else rng.uniform(2, 8))
        speed = (rng.uniform(2, 8) if out else -rng.choice([0, 0, 1.5])) if style.lively else 0.0
        t, turn = (half / 2, 0.0) if out else (-half / 2, np.pi)
        add_vehicle(street, pick_car(street), moving_along(street, branch.curve, s + 3, t, float(speed), turn))
    if style.lively and branch.s > 22 and rng.random() < 0.2:
        # Crossing the main road.
        s, speed = rng.uniform(-6, 10), rng.uniform(4, 8)
        add_vehicle(street, pick_car(street), moving_along(street, branch.curve, s, half / 2, speed, 0, 0.01), 0.8)


def _near(street: Street, low: float, high: float) -> float:
    """A place along the road, more often near than far."""
    return float(low + (high - low) * street.rng.random() ** 1.6)


def _add_person(street: Street, poses: Array) -> bool:
    people = fleet.of_role("person", street.used_in)
    model = people[street.rng.integers(len(people))]
    camera = street.camera[:, :3, 3]
    if np.linalg.norm(np.broadcast_to(poses, (len(camera), 4, 4))[:, :3, 3] - camera, axis=1).min() < 4:
        return False
    if not street.occupancy.claim(poses, (0.6, 0.5), 0.02):
        return False
    street.add_instance(model.id, poses)
    return True


def _pedestrians(street: Street, side: Side) -> None:
    """On a sidewalk, some in pairs."""
    rng, style, sign = street.rng, street.style, side.sign
    low, high = side.walk0 + side.verge + 0.35, side.walk1 - 0.35
    if high <= low:
        return
    for _ in range(rng.poisson(style.family.people)):
        s, t = _near(street, 3, 75), rng.uniform(low, high)
        if side.near_gap(s, 1.0):
            continue
        walking = style.lively and rng.random() < 0.75
        forward = rng.random() < 0.5
        speed = float(rng.uniform(0.9, 1.6)) * (1 if forward else -1) if walking else 0.0
        turn = (0.0 if forward else np.pi) if walking else rng.uniform(0, 2 * np.pi)
        if not _add_person(street, moving_along(street, street.curve, s, sign * t, speed, turn, 0.14)):
            continue
        if rng.random() < 0.35:
            beside = t + (0.75 if t + 0.75 < high else -0.75)
            turn = turn if walking else turn + np.pi
            _add_person(street, moving_along(street, street.curve, s + 0.1, sign * beside, speed, turn, 0.14))


def _people_on_crossings(street: Street) -> None:
    rng, style, curve = street.rng, street.style, street.curve
    busy = 1.6 if style.name in ("city", "avenue") else 0.7
    for crossing, _ in street.crossings:
        for _ in range(rng.poisson(busy * bool(style.walk))):
            s, sign = crossing + float(rng.choice([-6.0, 6.0])) + rng.uniform(-1, 1), int(rng.choice([-1, 1]))
            if style.lively:
                start, speed = rng.uniform(-style.half, style.half), 1.3
                turn = -sign * np.pi / 2
                poses = [curve.pose(s, start + sign * speed * time, 0, turn) for time in street.times]
                _add_person(street, np.array(poses))
            else:
                wait = street.sides[sign].walk0 + rng.uniform(0.3, 1.0)
                _add_person(street, curve.pose(s, sign * wait, 0.14, sign * np.pi / 2)[None])


def _riders(street: Street) -> None:
    rng, style = street.rng, street.style
    for _ in range(rng.poisson(style.family.riders)):
        ahead, motor = rng.random() < 0.6, rng.random() < 0.25
        s, sign = _near(street, 7, 50), 1 if ahead else -1
        t = sign * (style.lane * 0.45 if motor else style.half - rng.uniform(0.35, 0.8))
        speed = sign * rng.uniform(3, 6) * (2 if motor else 1) if style.lively else 0.0
        models = fleet.of_role("motorcycle" if motor else "bicycle", street.used_in)
        model = models[rng.integers(len(models))]
        poses = moving_along(street, street.curve, s, t, speed, 0.0 if ahead else np.pi)
        camera = street.camera[:, :3, 3]
        if np.linalg.norm(np.broadcast_to(poses, (len(camera), 4, 4))[:, :3, 3] - camera, axis=1).min() < 6:
            continue
        if not street.occupancy.claim(poses, (0.8, 1.9), 0.3):
            continue
        street.add_instance(model.id, poses)
        street.idents += 1
        kind = "motor" if motor else "bicycle"
        name = f"rider:{kind}:{rng.integers(1000)}"
        moving = bool(speed) and len(poses) > 1
        street.things.append(Thing(name, RIDER, street.idents, poses, moving=moving))


def _parked_bicycles(street: Street, side: Side) -> None:
    rng, sign = street.rng, side.sign
    if not street.style.walk:
        return
    for _ in range(rng.poisson(street.style.family.bicycles / 2)):
        s = _near(street, 4, 50)
        for k in range(rng.integers(1, 4)):
            motor = rng.random() < 0.2
            models = fleet.of_role("motorcycle" if motor else "bicycle", street.used_in)
            model = models[rng.integers(len(models))]
            turn = sign * np.pi / 2 + rng.normal(0, 0.1)
            pose = street.curve.pose(s + 0.7 * k, sign * (side.walk1 - 0.9), 0.14, turn)
            if not side.near_gap(s, 2) and street.occupancy.claim(pose[None], model.footprint, 0.0):
                street.add_instance(model.id, pose[None])
