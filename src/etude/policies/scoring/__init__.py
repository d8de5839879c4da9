"""What gradient scores ask of a policy (head), and the answer of each kind that has one: flow, diffusion, act."""

from etude.policies.scoring.head import HeadPart, Scorable, mean_of_rows

__all__ = ["HeadPart", "Scorable", "mean_of_rows"]
