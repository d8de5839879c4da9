"""The recipe of a trained policy, small enough to send to any process."""

import math
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from etude.core import ConfigError, MismatchError, Policy

if TYPE_CHECKING:
    from etude.policies.execution.chunks import Predictor
    from etude.policies.execution.latency import Meter, Metered
    from etude.policies.execution.realtime import BackgroundInference


@dataclass(frozen=True)
class CheckpointPolicy:
    """A checkpoint and how to execute it. The outcome of an episode depends on nothing else but its case.

    Attributes:
        path: Checkpoint folder in LeRobot's layout.
        execute: Actions of each chunk that are executed before the policy looks again.
        ensemble: Average each action over all chunks that predicted it, with this decay (Zhao et al.: 0.01, looking at
            every step); None does not.
        smooth: Share of the last action that stays in the next one, in [0, 1).
        overlap: The last so many executed actions run while the next chunk is computed.
        batch_size: Observations per call of the network; smaller batches are padded to it, larger ones split.
        threads: Threads that torch computes with.
    """

    path: str
    _: KW_ONLY
    execute: int = 8
    ensemble: float | None = None
    smooth: float = 0.0
    overlap: int = 0
    batch_size: int = 8
    threads: int = 1

    def __post_init__(self) -> None:
        for name in ("execute", "batch_size", "threads"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} = {getattr(self, name)} must be at least 1.")
        if not 0 <= self.overlap < self.execute:
            raise ConfigError(f"overlap = {self.overlap} must be at least 0 and less than execute = {self.execute}.")
        if not 0 <= self.smooth < 1:
            raise ConfigError(f"smooth = {self.smooth:g} must be in [0, 1): 0 changes nothing, 0.9 is very slow.")
        if self.ensemble is not None and not math.isfinite(self.ensemble):
            raise ConfigError(f"ensemble = {self.ensemble} must be a finite number, such as 0.01.")

    @property
    def object_state(self) -> bool:
        """Trained policies see cameras and proprioception only."""
        return False

    def create(self) -> "Metered":
        """Load the checkpoint, strictly, with its execution around it."""
        from etude.policies.execution.latency import Meter, Metered
        from etude.policies.execution.smoothing import Smoothing

        meter = Meter()
        policy = self._executed(self._model(), meter)
        return Metered(Smoothing(policy, share=self.smooth) if self.smooth else policy, meter)

    def whole_chunks(self) -> Policy:
        """Load the checkpoint as a policy of whole chunks, for whoever executes them elsewhere."""
        from etude.policies.execution.latency import Meter

        return self._chunks(self._model(), Meter())

    def in_real_time(self, rng: np.random.Generator) -> "BackgroundInference":
        """Load the checkpoint for one robot, with its network in a thread; the actions are those of `create`.

        Args:
            rng: The episode's randomness.
        """
        from etude.policies.execution.latency import Meter
        from etude.policies.execution.realtime import BackgroundInference

        return BackgroundInference(
            self._chunks(self._model(), Meter()), rng, execute=self.execute, overlap=self.overlap, smooth=self.smooth
        )

    def _executed(self, model: "Predictor", meter: "Meter") -> Policy:
        """The policy that executes the beginning of each chunk."""
        from etude.policies.execution.chunks import ChunkPolicy
        from etude.policies.execution.history import LookingBack
        from etude.policies.execution.receding import RecedingHorizon

        if model.observed > 1 and not self.overlap and self.ensemble is None:
            self._check(model)
            chunks = ChunkPolicy(model, batch_size=self.batch_size, threads=self.threads, meter=meter)
            return LookingBack(chunks, observed=model.observed, execute=self.execute)
        return RecedingHorizon(self._chunks(model, meter), execute=self.execute, overlap=self.overlap)

    def _check(self, model: "Predictor") -> None:
        if self.execute + self.overlap > model.horizon:
            more = f" + overlap = {self.overlap}" if self.overlap else ""
            raise MismatchError(
                f"execute = {self.execute}{more} is more than the checkpoint's horizon of {model.horizon} actions."
            )

    def _chunks(self, model: "Predictor", meter: "Meter") -> Policy:
        """The policy that predicts whole chunks."""
        # Torch takes seconds to import, LeRobot several more: a config waits for neither, a worker only for torch.
        from etude.policies.execution.chunks import ChunkPolicy
        from etude.policies.execution.ensembling import TemporalEnsemble

        self._check(model)
        if model.observed > 1:
            raise ConfigError(
                f"the policy in '{self.path}' looks at {model.observed} observations at once, which goes neither with "
                "overlap, nor with ensemble, nor in real time."
            )
        policy = ChunkPolicy(model, batch_size=self.batch_size, threads=self.threads, meter=meter)
        if self.ensemble is None:
            return policy
        first = self.execute - self.overlap
        return TemporalEnsemble(policy, decay=self.ensemble, every=self.execute, first=first)

    def _model(self) -> "Predictor":
        from etude.policies.flow.predictor import FlowPredictor
        from etude.policies.layout import require_whole

        folder = Path(self.path)
        require_whole(folder)
        model = FlowPredictor.load(folder)
        if model is not None:
            return model
        from etude.policies.checkpoint import load_model

        return load_model(folder)
