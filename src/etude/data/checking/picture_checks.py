"""The checks of one episode's pictures."""

from collections.abc import Callable, Iterator

import numpy as np

from etude.data.checking.evidence import Evidence
from etude.data.checking.finding import Finding, Severity, span, spots
from etude.data.checking.looking import Seen
from etude.data.checking.norms import JUMP_PICTURE, CameraNorm, Norms, long_frames, moving
from etude.data.checking.pictures import (
    SAME,
    Traits,
    black_spans,
    flat_spans,
    frozen_spans,
    picture_jumps,
    repeated_frames,
)
from etude.data.spec import ACTION, STATE

STILL_TIMES = 3.0
"""A camera is frozen when its picture stays the same for this many times as long as it does in other episodes."""
RESTS = 5
"""A camera whose picture stays the same for so many frames in other episodes has no noise: after a resting view it goes
on smoothly, after it was frozen it leaps."""
USUALLY_REPEATED = 0.05
"""A camera that repeats more than this share of its pictures in most episodes is slower than the recording."""
_TRAVEL = 0.1  # Share of its range that a joint must travel for the picture to be expected to change.


def files(e: Evidence, norms: Norms) -> Iterator[Finding]:
    """Videos that cannot be read, or have too few or too many pictures."""
    for camera, seen in e.seen.items():
        clip = e.raw.clips.get(camera)
        wanted = clip.length if clip is not None else e.frames
        if seen.fault:
            at = f" after {span(seen.frames, seen.frames, e.fps)}" if 0 < seen.frames < wanted else ""
            yield e.finding(
                "unreadable", "broken", f"camera '{camera}' cannot be read{at}: {seen.fault}", camera=camera
            )
        elif seen.frames < wanted:
            message = f"the video of camera '{camera}' has {seen.frames} of its {wanted} frames"
            yield e.finding("video length", "broken", message, camera=camera, first=seen.frames, last=wanted - 1)
        if clip is not None and e.raw.length is not None and clip.length != e.raw.length:
            message = f"the metadata says {e.raw.length} frames, and {clip.length} of camera '{camera}'"
            yield e.finding("length", "broken", message, camera=camera)
        if seen.beyond:
            message = f"the video of camera '{camera}' has {seen.beyond} frames too many"
            yield e.finding("video length", "warning", message, camera=camera)
        for at in seen.gaps[:3]:
            message = f"camera '{camera}' dropped frames before {span(at, at, e.fps)}"
            yield e.finding("dropped frames", "broken", message, camera=camera, first=at, last=at)


def black(e: Evidence, norms: Norms) -> Iterator[Finding]:
    """Black cameras."""
    for camera, _, seen in _looked_at(e):
        for first, last in black_spans(seen):
            long = last - first + 1 >= min(long_frames(e.fps), 0.1 * len(seen))
            severity: Severity = "broken" if long else "warning"
            message = f"camera '{camera}' is black at {span(first, last, e.fps)}"
            yield e.finding("black camera", severity, message, camera=camera, first=first, last=last)


def flat(e: Evidence, norms: Norms) -> Iterator[Finding]:
    """Pictures of one colour, as a decoder makes of nothing."""
    for camera, _, seen in _looked_at(e):
        for first, last in flat_spans(seen) if norms.cameras[camera].flat < 0.02 else ():
            if last - first + 1 >= long_frames(e.fps):
                message = f"camera '{camera}' shows one colour at {span(first, last, e.fps)}"
                yield e.finding("blank camera", "warning", message, camera=camera, first=first, last=last)


def frozen(e: Evidence, norms: Norms) -> Iterator[Finding]:
    """Cameras that show the same picture for long while the robot moves.

    In a simulation a camera may rightly do so, for without noise a picture changes only when something in it moves. So
    it is broken where the picture stays for much longer than in other episodes, or then leaps.
    """
    for camera, _, seen in _looked_at(e):
        for first, last in frozen_spans(seen, long_frames(e.fps)):
            if seen.high[first : last + 1].max() < 12 or not _travels(e, norms, first, last):
                continue
            severity = _frozen_severity(e, norms.cameras[camera], seen, first, last)
            if severity is not None:
                message = f"camera '{camera}' is frozen for {(last - first + 1) / e.fps:.2f} s at "
                message += f"{span(first, last, e.fps)} while the robot moves"
                yield e.finding("frozen camera", severity, message, camera=camera, first=first, last=last)


def repeated(e: Evidence, norms: Norms) -> Iterator[Finding]:
    """Duplicated frames."""
    for camera, _, seen in _looked_at(e):
        if norms.cameras[camera].repeated > USUALLY_REPEATED:
            continue  # said once, of the dataset
        found = repeated_frames(seen, moving(e, norms, len(seen)), long_frames(e.fps))
        if found:
            message = f"camera '{camera}' repeats the picture before at {spots(found, e.fps)}"
            yield e.finding("duplicated frames", "warning", message, camera=camera, first=found[0], last=found[-1])


def leaps(e: Evidence, norms: Norms) -> Iterator[Finding]:
    """Pictures that change as they do in no usual episode: dropped frames, another scene, a torn picture."""
    for camera, _, seen in _looked_at(e):
        found = picture_jumps(seen, norms.cameras[camera].change)
        dark = {t for first, last in black_spans(seen) for t in (*range(first, last + 1), last + 1)}
        found = [t for t in found if t not in dark]
        if found:
            message = f"the picture of camera '{camera}' jumps at {spots(found, e.fps)}"
            yield e.finding("picture jumps", "warning", message, camera=camera, first=found[0], last=found[-1])


def colours(e: Evidence, norms: Norms) -> Iterator[Finding]:
    """Statistics of images that the pictures do not have; both are samples, so only large differences count."""
    for camera, shown, seen in _looked_at(e):
        stored = next((s for name, s in e.raw.statistics.items() if name.endswith(f".{camera}")), None)
        if stored is None or "mean" not in stored or stored["mean"].size != 3 or shown.fault:
            continue
        off = float(np.abs(stored["mean"].ravel() - seen.colour).max())
        if not off < 0.1:
            message = f"its statistics of camera '{camera}' do not match: the mean is {off:.2f} off"
            yield e.finding("statistics", "broken", message, camera=camera)


PICTURE_CHECKS: tuple[tuple[str, str, Callable[[Evidence, Norms], Iterator[Finding]]], ...] = (
    ("video length", "videos that cannot be read, that are too short or too long, or that lack frames", files),
    ("black camera", "black pictures; broken from half a second on", black),
    ("blank camera", "pictures of one colour for half a second or more", flat),
    ("frozen camera", "the same picture for half a second or more while the robot moves", frozen),
    ("duplicated frames", "single pictures that repeat the one before while those around them change", repeated),
    ("picture jumps", "pictures that change three times as much as in usual episodes", leaps),
    ("image statistics", "statistics of images that are far from the pictures", colours),
)


def _looked_at(e: Evidence) -> Iterator[tuple[str, Seen, Traits]]:
    for camera, seen in e.seen.items():
        if seen.traits is not None:
            yield camera, seen, seen.traits


def _travels(e: Evidence, norms: Norms, first: int, last: int) -> bool:
    """Whether some joint goes far between two frames; where nothing tells, it does."""
    name = STATE if STATE in norms.features else ACTION
    values, norm = e.series(name), norms.features.get(name)
    if values is None or norm is None or values.shape[1] != len(norm.scale):
        return True
    travelled = (
        np.ptp(np.where(np.isfinite(values), values, norm.low)[first : last + 1], axis=0) / norm.scale
        if last < len(values)
        else np.ones(1)
    )
    return bool(travelled.max() > _TRAVEL)


def _frozen_severity(e: Evidence, norm: CameraNorm, seen: Traits, first: int, last: int) -> Severity | None:
    frames, usually = last - first + 1, norm.usually_still(but=e.index)
    rests, goes_on = usually is not None and usually >= RESTS, last + 1 < len(seen)
    if goes_on:
        after = seen.change[last + 2 : last + 7]
        least = max(4 * float(np.median(after)) if len(after) else 0.0, 8 * SAME)
        if rests and np.isfinite(norm.change):  # something may also bump into a resting view
            least = max(least, 0.5 * norm.change / JUMP_PICTURE)
        if seen.change[last + 1] > least:
            return "broken"
    if usually is not None and frames > STILL_TIMES * usually and not (rests and goes_on):
        return "broken"
    return "warning" if frames >= 0.95 * len(seen) or (usually is None and frames >= 0.5 * len(seen)) else None
