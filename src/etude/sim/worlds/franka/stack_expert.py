"""The scripted expert that stacks: place, pick or let go of the lowest cube that does not stand on the one below."""

from math import hypot

from etude.sim.worlds.franka.grasping import (
    AIM_M,
    ALIGNED_M,
    CLEAR_M,
    SLOPE,
    TOP_SPEED_M,
    Cube,
    Look,
    Motion,
    freedom_at,
    highest,
    is_between_fingers,
    is_held,
    limited,
    pick,
    toward,
)

_CARRY_M = 0.045  # cube over its goal while approaching
_LIFTED_M = 0.012  # before a held cube may move sideways


def decide(look: Look) -> Motion:
    """Choose the hand's next motion."""
    cubes, hand = look.cubes, look.hand
    for k in range(1, len(cubes)):
        cube, base = cubes[k], cubes[k - 1]
        if _is_in_place(cube, base):
            if is_between_fingers(cube, hand) and hand.opening < cube.edge + 0.014:
                return Motion(0.0, 0.0, 0.0, 0.0, False)  # let go before moving away
            continue
        return _place(look, k) if is_held(cube, hand) else pick(look, k)
    return Motion(0.0, 0.0, limited(0.2 - hand.z, TOP_SPEED_M), 0.0, False)


def _is_in_place(cube: Cube, base: Cube) -> bool:
    offset = hypot(cube.x - base.x, cube.y - base.y)
    return offset < 0.25 * cube.edge and abs(cube.z - base.z - cube.edge) < 0.0035


def _place(look: Look, k: int) -> Motion:
    hand, cube, base = look.hand, look.cubes[k], look.cubes[k - 1]
    dx, dy, dyaw = base.x - cube.x, base.y - cube.y, -hand.yaw
    off_axis = hypot(dx, dy)
    height = min(max(SLOPE * (off_axis - AIM_M), 0.0), _CARRY_M)
    freedom = 1.0
    if off_axis > ALIGNED_M:
        others = [c for j, c in enumerate(look.cubes) if j != k]
        clear = max(highest([*others, *look.obstacles], hand) + CLEAR_M, _LIFTED_M) + cube.edge / 2
        freedom = freedom_at(cube.z, clear)
    dz = base.z + cube.edge + height - cube.z
    return toward(dx, dy, dz, dyaw, freedom=freedom, close=True)
