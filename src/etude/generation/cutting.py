"""Where demonstrations are cut: at the first rise of each sub-task signal, a little earlier or later each time.

boundaries   0 ---- rise(grasp_1) ---- rise(stack_1) ---- T        one row of a demonstration
windows            [lo ..... hi]      [lo ... hi]                  where each cut may fall: they must not cross
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from etude.core import ConfigError, Part, Segment, Segmented, SegmentPlan, Task
from etude.generation.holding import lost, pushed
from etude.generation.source import SourceDemonstration

type Offsets = Mapping[str, Sequence[int]]
"""Gripper -> control steps added to the end of each of its segments; 0 for the last."""


def segment_plan(task: Task) -> SegmentPlan:
    """How a task's demonstrations are cut.

    Raises:
        ConfigError: It does not say.
    """
    plan = task.segments if isinstance(task, Segmented) else None
    if plan is None:
        raise ConfigError(
            f"{task.name} does not say how its demonstrations are cut, so none can be made from others: collect them "
            "with its expert (`etude collect`), or choose another task (`etude tasks list`)."
        )
    return plan


def draw_offsets(plan: SegmentPlan, rng: np.random.Generator) -> Offsets:
    """Draw how much later than its signal every segment of an attempt ends."""
    return {
        gripper: [int(rng.integers(low, high + 1)) for low, high in (s.offsets if s.signal else (0, 0) for s in row)]
        for gripper, row in plan.segments.items()
    }


def span(source: SourceDemonstration, plan: SegmentPlan, offsets: Offsets, part: Part) -> tuple[int, int]:
    """First frame of a part in a demonstration, from where it is near enough to its object, and the first after it."""
    row = plan.segments[part.gripper]
    ends = [0, *(_end(source, s) + o for s, o in zip(row, offsets[part.gripper], strict=True))]
    first, last = ends[part.index], ends[part.index + 1]
    return first + _frames_away(source, part.gripper, row[part.index], first, last), last


def why_uncut(source: SourceDemonstration, plan: SegmentPlan) -> str:
    """Why a plan cannot cut a demonstration, in words; "" where it can."""
    for row in plan.segments.values():
        ends = [(segment.signal, source.rise(segment.signal)) for segment in row if segment.signal]
        for signal, frame in ends:
            if frame is None:
                return f"the signal '{signal}' never rises"
        for (before, first), (after, then) in pairwise([("", 0), *ends]):
            if first is not None and then is not None and then <= first:
                when = f"not after '{before}' (frame {first})" if before else "where the episode begins"
                return f"the signal '{after}' rises at frame {then}, {when}"
    return _why_crossing(source, plan) or _why_not_held(source, plan)


def _why_crossing(source: SourceDemonstration, plan: SegmentPlan) -> str:
    """Why windows of a demonstration's cuts cross, so that a segment might be empty, in words; "" where they do not."""
    for gripper, row in plan.segments.items():
        windows = [("the beginning", 0, 0), *(_window(source, segment) for segment in row)]
        for (before, _, latest), (after, earliest, _) in pairwise(windows):
            if latest >= earliest:
                return (
                    f"gripper '{gripper}' may be cut at {before} as late as frame {latest}, and at {after} as early as "
                    f"frame {earliest}: it is too fast in between"
                )
    return ""


def _why_not_held(source: SourceDemonstration, plan: SegmentPlan) -> str:
    """Why what a gripper carries is not taken where it lay, and then held, in words; "" where it is."""
    offsets = {gripper: [0] * len(row) for gripper, row in plan.segments.items()}
    for gripper, row in plan.segments.items():
        for index, thing in enumerate(segment.carried for segment in row):
            if not thing:
                continue
            first, last = span(source, plan, offsets, Part(gripper, index))
            frame = lost(source.grippers[gripper][first:last], source.objects[thing][first:last])
            if frame is not None:
                return f"gripper '{gripper}' loses '{thing}' at frame {first + frame}, and takes it again"
            if not index or row[index - 1].object != thing:
                continue
            first, last = span(source, plan, offsets, Part(gripper, index - 1))
            frame = pushed(source.grippers[gripper][first:last], source.objects[thing][first:last])
            if frame is not None:
                return f"'{thing}' is pushed at frame {first + frame}, before gripper '{gripper}' takes it"
    return ""


def _frames_away(source: SourceDemonstration, gripper: str, segment: Segment, first: int, last: int) -> int:
    """How many frames of a segment pass until the gripper is near enough to the object; 0 where it never is."""
    if not segment.object:
        return 0
    between = source.grippers[gripper][first:last, :3, 3] - source.objects[segment.object][first:last, :3, 3]
    return int(np.argmax(np.linalg.norm(between, axis=1) <= segment.within_m))


def _window(source: SourceDemonstration, segment: Segment) -> tuple[str, int, int]:
    end, (low, high) = _end(source, segment), segment.offsets if segment.signal else (0, 0)
    return f"'{segment.signal}'" if segment.signal else "the end", end + low, end + high


def _end(source: SourceDemonstration, segment: Segment) -> int:
    rise = source.rise(segment.signal) if segment.signal else source.length
    assert rise is not None, "load_sources keeps what the plan can cut"
    return rise
