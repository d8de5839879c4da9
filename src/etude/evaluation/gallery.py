"""Films of a few episodes of an evaluation that show every way in which it failed."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from etude.core import CRASHED, Case, Executor, Outcome, PolicyFactory, Task
from etude.core.files import write_bytes, write_json
from etude.evaluation.film import record_video

VIDEOS = "videos.json"
"""What is in a folder of films: a list with the file, case and ending of each."""


def worth_seeing(outcomes: Sequence[Outcome], count: int) -> list[int]:
    """Which episodes to film: failures of every mode in turn, those that came least far first; successes last.

    Cases that ended their process are never filmed.

    Returns:
        Indices, by failure mode (the most frequent first, successes last), then by progress.
    """
    filmable = sorted((i for i, o in enumerate(outcomes) if o.failure_mode != CRASHED), key=_far(outcomes))
    counts = Counter(outcomes[i].failure_mode for i in filmable)
    order = sorted(counts, key=lambda mode: (mode == "", -counts[mode], mode))  # a success has no mode
    by_mode = {mode: [i for i in filmable if outcomes[i].failure_mode == mode] for mode in order}
    failures, successes = ([q for mode, q in by_mode.items() if (mode == "") == good] for good in (False, True))
    in_turn = [i for queues in (failures, successes) for turn in zip_longest(*queues) for i in turn if i is not None]
    chosen = set(in_turn[:count])
    return [i for queue in by_mode.values() for i in queue if i in chosen]


def film_cases(
    task: Task,
    policy: PolicyFactory,
    outcomes: Sequence[Outcome],
    indices: Sequence[int],
    folder: Path,
    executor: Executor,
) -> Iterator[Path]:
    """Film episodes of an evaluation again, those that are not there yet, and list them in `videos.json`.

    Args:
        task: Where.
        policy: Who.
        outcomes: All of the evaluation.
        indices: Which of them.
        folder: Where the films go.
        executor: What films them; the films do not depend on it.

    Yields:
        Each film, as it is written.
    """
    names = [_name(index, outcomes[index]) for index in indices]
    missing = [(index, name) for index, name in zip(indices, names, strict=True) if not (folder / name).exists()]
    jobs = [_FilmJob(task, policy, outcomes[index].case) for index, _ in missing]
    for (_, name), film in zip(missing, executor.map(_film, jobs), strict=True):
        write_bytes(folder / name, film)
        yield folder / name
    write_json(folder / VIDEOS, [_entry(name, i, outcomes[i]) for i, name in zip(indices, names, strict=True)])


@dataclass(frozen=True)
class _FilmJob:
    task: Task
    policy: PolicyFactory
    case: Case


def _film(job: _FilmJob) -> bytes:
    """Bytes travel back from any machine; a path would not."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "film.mp4")
        record_video(job.task, job.policy, job.case, path)
        return path.read_bytes()


def _far(outcomes: Sequence[Outcome]) -> Callable[[int], tuple[float, int]]:
    return lambda index: (outcomes[index].progress, index)


def _name(index: int, outcome: Outcome) -> str:
    mode = re.sub(r"[^\w-]+", "_", outcome.failure_mode) or "success"  # a task may name its modes as it likes
    return f"{mode}-case-{index:04d}-seed-{outcome.case.seed}.mp4"


def _entry(name: str, index: int, outcome: Outcome) -> dict[str, Any]:
    ended = {key: getattr(outcome, key) for key in ("success", "failure_mode", "stage", "progress", "length")}
    return {"file": name, "index": index, **outcome.case.to_json(), **ended}
