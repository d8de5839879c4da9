"""A demonstration and a policy side by side: two worlds from one state, and where and how they part."""

from etude.evaluation.lockstep.demonstration import Demonstration, Replay
from etude.evaluation.lockstep.divergence import Parting, Tolerance
from etude.evaluation.lockstep.picture import divergence_picture
from etude.evaluation.lockstep.record import Lockstep
from etude.evaluation.lockstep.reel import Reel
from etude.evaluation.lockstep.running import Pair, run_both
from etude.evaluation.lockstep.trace import Trace, Tracing

__all__ = [
    "Demonstration",
    "Lockstep",
    "Pair",
    "Parting",
    "Reel",
    "Replay",
    "Tolerance",
    "Trace",
    "Tracing",
    "divergence_picture",
    "run_both",
]
