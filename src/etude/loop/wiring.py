"""From the names a person types to the objects they mean."""

from collections.abc import Callable, Mapping
from pathlib import Path

from etude.core import EtudeError, PolicyFactory, Task, UnknownNameError
from etude.evaluation import Expert, Planted, RandomPolicy, Replay

_NAMED: Mapping[str, Callable[[Task], PolicyFactory]] = {"expert": Expert, "random": RandomPolicy.of}
_PREFIXED: Mapping[str, Callable[[str, Task], PolicyFactory]] = {
    "replay": Replay.parse,
    "planted": Planted.parse,
}
"""What stands before the colon -> what makes a policy of the rest."""
POLICIES = (*_NAMED, "a checkpoint folder", "replay:DATASET", "planted:FILE", "ws://HOST:PORT", "tcp://HOST:PORT")


def policy_factory(
    name: str, task: Task, *, execute: int = 8, ensemble: float | None = None, smooth: float = 0.0, overlap: int = 0
) -> PolicyFactory:
    """The policy that a name stands for.

    Args:
        name: `expert`, `random`, `replay:DATASET`, `replay:DATASET:EPISODE`, `planted:FILE`, `ws://HOST:PORT`,
            `tcp://HOST:PORT`, or a checkpoint folder.
        task: What it will be asked to do.
        execute: Actions of a chunk to execute before looking again; this and what follows for checkpoints and servers.
        ensemble: Decay of the average over all chunks that predicted an action; None does not average.
        smooth: Share of the last action that stays in the next one.
        overlap: The last so many executed actions run while the next chunk is computed.

    Raises:
        UnknownNameError: Neither a known name nor a folder.
        EtudeError: A folder that holds no checkpoint, or nothing that could be replayed.
    """
    prefix, colon, rest = name.partition(":")
    if name in _NAMED:
        return _NAMED[name](task)
    if colon and prefix in _PREFIXED:
        return _PREFIXED[prefix](rest, task)
    if "://" in name:
        from etude.policies.remote import RemotePolicy

        how = {"execute": execute, "ensemble": ensemble, "smooth": smooth, "overlap": overlap}
        return RemotePolicy.parse(name, task, **how)
    path = Path(name)
    if not path.exists():
        raise UnknownNameError("policy", name, POLICIES)
    from etude.policies import CheckpointPolicy

    return CheckpointPolicy(
        str(find_checkpoint(path)), execute=execute, ensemble=ensemble, smooth=smooth, overlap=overlap
    )


def find_checkpoint(path: Path) -> Path:
    """The checkpoint folder in `path`: itself, or `checkpoint/` of a training's output.

    Raises:
        EtudeError: There is none.
    """
    for candidate in (path, path / "checkpoint"):
        if (candidate / "config.json").exists():
            return candidate
    raise EtudeError(f"'{path}' holds no checkpoint: there is no config.json in it or in its folder 'checkpoint'.")
