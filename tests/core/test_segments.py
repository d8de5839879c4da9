"""How demonstrations are cut: plans that make sense, and lines for those that do not."""

import pytest

from etude.core import ConfigError, Order, Part, Segment, SegmentPlan

GRASP, PLACE = Segment(signal="grasp", object="cube", turns=4), Segment(object="tray")


def test_a_plan_names_its_objects_once_each_in_order():
    plan = SegmentPlan(segments={"left": (GRASP, PLACE), "right": (Segment(signal="hold", object="tray"), PLACE)})
    assert plan.objects == ("cube", "tray")
    assert plan.turns == {"cube": 4, "tray": 1}


def test_what_is_carried_is_among_a_plans_objects():
    assert SegmentPlan(segments={"left": (Segment(object="tray", carried="egg"),)}).objects == ("tray", "egg")
    assert SegmentPlan(segments={"left": (Segment(carried="egg"),)}).objects == ("egg",)
    with pytest.raises(ConfigError, match="carried = 'egg': name another `object`"):
        Segment(object="egg", carried="egg")


@pytest.mark.parametrize("row", [(), (GRASP,), (PLACE, PLACE), (PLACE, GRASP)])
def test_only_the_last_segment_ends_with_the_demonstration(row: tuple[Segment, ...]):
    with pytest.raises(ConfigError, match="gripper 'left': every segment but the last"):
        SegmentPlan(segments={"left": row})


def test_orders_and_groups_name_segments_that_there_are():
    with pytest.raises(ConfigError, match="there is no segment 2 of gripper 'left'"):
        SegmentPlan(segments={"left": (GRASP, PLACE)}, orders=(Order(Part("left", 0), Part("left", 2)),))
    with pytest.raises(ConfigError, match="there is no segment 0 of gripper 'right'"):
        SegmentPlan(segments={"left": (GRASP, PLACE)}, together=((Part("left", 0), Part("right", 0)),))


def test_symmetries_and_offsets_are_checked():
    with pytest.raises(ConfigError, match="turns = 0"):
        Segment(turns=0)
    with pytest.raises(ConfigError, match="write the smaller first"):
        Segment(offsets=(3, 1))
