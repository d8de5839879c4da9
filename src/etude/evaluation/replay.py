"""Recorded demonstrations as a policy: the actions of the episode that was recorded at the case asked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from etude.core import ActionChunk, Case, EtudeError, MismatchError, Observation, Task
from etude.data import ACTION, DatasetMeta, find_dataset, read_numbers, require_episode


@dataclass(frozen=True)
class Replay:
    """Replays a dataset's episodes; in the worlds they were recorded in they end as they did then.

    Attributes:
        dataset: Its folder.
        episode: Replay this one in every world, be it another than it was recorded in; None takes the episode whose
            case, (θ, seed), is the one asked for.
    """

    dataset: str
    episode: int | None = None
    object_state: bool = False

    @staticmethod
    def parse(text: str, task: Task) -> "Replay":
        """Read "DATASET" or "DATASET:EPISODE", and check that it is of the task.

        Raises:
            EtudeError: No dataset, no such episode, or no cases to find episodes by.
            MismatchError: A dataset of other actions, or whose θ are of another space.
        """
        name, colon, number = text.rpartition(":")
        chosen = colon and number.isdecimal()
        replay = Replay(str(find_dataset(name if chosen else text)), int(number) if chosen else None)
        meta = DatasetMeta.open(Path(replay.dataset))
        _require_actions(meta, task)
        if replay.episode is None:
            _cases(meta, task.space.hash)
        else:
            require_episode(meta, replay.episode)
        return replay

    def cases(self) -> list[Case]:
        """The cases that the dataset, or the one episode, was recorded at, each once.

        Raises:
            EtudeError: It does not say.
        """
        meta = DatasetMeta.open(Path(self.dataset))
        if self.episode is None:
            return list(_cases(meta))
        own = meta.episodes[self.episode].case
        if own is None:
            raise EtudeError(
                f"'{self.dataset}' does not say at which case episode {self.episode} was recorded: choose cases to "
                "replay it in, with --suite or --space."
            )
        return [own]

    def create(self) -> "ReplayPolicy":
        """Open the dataset."""
        return ReplayPolicy(DatasetMeta.open(Path(self.dataset)), self.episode)


class ReplayPolicy:
    """The policy; a memory is what is left to replay, as a list of one chunk, and after that the last action."""

    def __init__(self, meta: DatasetMeta, episode: int | None) -> None:
        self._meta, self._episode = meta, episode
        self._episodes = _cases(meta) if episode is None else {}

    def begin(self, rng: np.random.Generator) -> list[ActionChunk]:
        """Start replaying the one episode.

        Raises:
            EtudeError: None was chosen, and without a case there is no telling which.
        """
        del rng
        if self._episode is None:
            raise EtudeError(f"which episode of '{self._meta.root}'? Name it: replay:{self._meta.root}:EPISODE.")
        return [self._actions(self._episode)]

    def begin_at(self, case: Case, rng: np.random.Generator) -> list[ActionChunk]:
        """Start replaying the episode that was recorded at this case, or the one chosen.

        Raises:
            EtudeError: The dataset has none.
        """
        if self._episode is not None:
            return self.begin(rng)
        if case not in self._episodes:
            raise EtudeError(
                f"no episode of '{self._meta.root}' was recorded at seed {case.seed} with {_words(case)}: evaluate its "
                "own cases (no --suite, --space or --theta), or name one episode to replay everywhere: "
                f"replay:{self._meta.root}:EPISODE."
            )
        return [self._actions(self._episodes[case])]

    def act(self, observations: Sequence[Observation], memories: Sequence[list[ActionChunk]]) -> Sequence[ActionChunk]:
        """All recorded actions at once, (T, A) float32; where the world then wants more, the last one on and on."""
        del observations
        chunks = [memory[0] for memory in memories]
        for memory, chunk in zip(memories, chunks, strict=True):
            memory[0] = chunk[-1:]
        return chunks

    def _actions(self, episode: int) -> ActionChunk:
        return read_numbers(self._meta, episode, [ACTION])[ACTION].astype(np.float32)


def _cases(meta: DatasetMeta, space_hash: str | None = None) -> dict[Case, int]:
    """Case -> the first episode that was recorded at it."""
    cases: dict[Case, int] = {}
    for record in meta.episodes:
        if record.case is not None:
            cases.setdefault(record.case, record.index)
    if not cases:
        raise EtudeError(
            f"the episodes of '{meta.root}' do not say at which (theta, seed) they were recorded, as those of `etude "
            f"collect` do; name one to replay in any world: replay:{meta.root}:EPISODE."
        )
    if space_hash is not None and meta.space_hash != space_hash:
        raise MismatchError(
            f"dataset '{meta.root}' was recorded in {meta.task} (space {meta.space_hash}), and the task has space "
            f"{space_hash}: evaluate it on its own task."
        )
    return cases


def _words(case: Case) -> str:
    """θ in words, without all of them where they are many."""
    told = [f"{name} = {value:.3g}" for name, value in case.theta.values.items()]
    more = f" and {len(told) - 3} factors more" if len(told) > 3 else ""
    return (", ".join(told[:3]) or "nothing perturbed") + more


def _require_actions(meta: DatasetMeta, task: Task) -> None:
    feature = meta.features.get(ACTION)
    size = len(task.action_names)
    if feature is None or feature.shape != (size,):
        raise MismatchError(
            f"dataset '{meta.root}' has actions of shape {None if feature is None else feature.shape}; "
            f"{task.name} takes ({size},)."
        )
