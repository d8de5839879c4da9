"""From the names a person types to the objects they mean."""

from pathlib import Path

from etude.core import EtudeError, PolicyFactory, Task, UnknownNameError
from etude.evaluation import Expert, RandomPolicy


def policy_factory(name: str, task: Task, *, execute: int = 8) -> PolicyFactory:
    """The policy that a name stands for.

    Args:
        name: `expert`, `random`, or a checkpoint folder.
        task: What it will be asked to do.
        execute: Actions of a chunk to execute before looking again; for checkpoints.

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

    return CheckpointPolicy(str(find_checkpoint(path)), execute=execute)


def find_checkpoint(path: Path) -> Path:
    """The checkpoint folder in `path`: itself, or `checkpoint/` of a training's output.

    Raises:
        EtudeError: There is none.
    """
    for candidate in (path, path / "checkpoint"):
        if (candidate / "config.json").exists():
            return candidate
    raise EtudeError(f"'{path}' holds no checkpoint: there is no config.json in it or in its folder 'checkpoint'.")
