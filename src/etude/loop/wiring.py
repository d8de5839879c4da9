"""From the names a person types to the objects they mean."""

from pathlib import Path

from etude.core import EtudeError, PolicyFactory, Task, UnknownNameError
from etude.evaluation import Expert, RandomPolicy


def policy_factory(
    name: str, task: Task, *, execute: int = 8, ensemble: float | None = None, smooth: float = 0.0, overlap: int = 0
) -> PolicyFactory:
    """The policy that a name stands for.

    Args:
        name: `expert`, `random`, or a checkpoint folder.
        task: What it will be asked to do.
        execute: Actions of a chunk to execute before looking again; this and what follows for checkpoints.
        ensemble: Decay of the average over all chunks that predicted an action; None does not average.
        smooth: Share of the last action that stays in the next one.
        overlap: The last so many executed actions run while the next chunk is computed.

    Raises:
        UnknownNameError: Neither a known name nor a folder.
        EtudeError: A folder that holds no checkpoint.
    """
    if name == "expert":
        return Expert(task)
    if name == "random":
        return RandomPolicy.of(task)
    path = Path(name)
    if not path.exists():
        raise UnknownNameError("policy", name, ["expert", "random", "a checkpoint folder"])
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
