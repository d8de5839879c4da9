"""The recipe of a trained policy, small enough to send to any process."""

from dataclasses import KW_ONLY, dataclass
from pathlib import Path

from etude.core import ConfigError, Policy


@dataclass(frozen=True)
class CheckpointPolicy:
    """A checkpoint and how to execute it. The outcome of an episode depends on nothing else but its case.

    Attributes:
        path: Checkpoint folder in LeRobot's layout.
        execute: Actions of each chunk that are executed before the policy looks again.
        batch_size: Observations per call of the network; smaller batches are padded to it, larger ones split.
        threads: Threads that torch computes with.
    """

    path: str
    _: KW_ONLY
    execute: int = 8
    batch_size: int = 8
    threads: int = 1

    def __post_init__(self) -> None:
        for name in ("execute", "batch_size", "threads"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} = {getattr(self, name)} must be at least 1.")

    @property
    def object_state(self) -> bool:
        """Trained policies see cameras and proprioception only."""
        return False

    def create(self) -> Policy:
        """Load the checkpoint, strictly."""
        # Torch takes seconds to import, LeRobot several more: a config waits for neither, a worker only for torch.
        from etude.policies.execution import ChunkPolicy
        from etude.policies.flow.predictor import FlowPredictor
        from etude.policies.layout import require_whole

        folder = Path(self.path)
        require_whole(folder)
        model = FlowPredictor.load(folder)
        if model is None:
            from etude.policies.checkpoint import load_model

            model = load_model(folder)
        return ChunkPolicy(model, execute=self.execute, batch_size=self.batch_size, threads=self.threads)
