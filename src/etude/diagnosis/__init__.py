"""Why a policy fails: rules over factors, counterfactual rollouts that test them, and what to practise."""

from etude.diagnosis.counterfactuals import Counterfactual, CounterfactualConfig
from etude.diagnosis.diagnose import DiagnosisConfig, diagnose
from etude.diagnosis.episodes import Episodes, space_of
from etude.diagnosis.plan import recommend
from etude.diagnosis.rules import Propose, RuleConfig, find_rules

__all__ = [
    "Counterfactual",
    "CounterfactualConfig",
    "DiagnosisConfig",
    "Episodes",
    "Propose",
    "RuleConfig",
    "diagnose",
    "find_rules",
    "recommend",
    "space_of",
]
