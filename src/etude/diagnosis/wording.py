"""A diagnosis in words."""

from math import isnan

from etude.core import Cause, Diagnosis, Effect, Interaction, Rate, describe_bounds, describe_failures

_SAID = {
    "confirmed": "proven",
    "undecided": "too few rollouts to tell",
    "refuted": "refuted",
    "untested": "untested",
    "untestable": "untestable",
}


def describe_cause(cause: Cause, diagnosis: Diagnosis) -> str:
    """A rule with its verdict and numbers: "cause-1, proven: light.intensity < 0.4: 92 % fail, n = 40 (…)"."""
    where = describe_bounds(cause.bounds, diagnosis.space)
    return f"{cause.name}, {_SAID[cause.verdict]}: {where}: {describe_failures(cause.inside, cause.outside)}"


def describe_effect(effect: Effect) -> str:
    """What undoing one factor did, against the sham, and the verdict."""
    if isnan(effect.difference[0]):
        why = {"untestable": "cannot be undone in these failures"}.get(effect.verdict, "was not undone")
        return f"{effect.factor} {why}: {_SAID[effect.verdict]}"
    return (
        f"undoing {effect.factor} repairs {_rate(effect.repaired)}, the sham {_rate(effect.sham)}: "
        f"{_points(effect.difference)}: {_SAID[effect.verdict]}"
    )


def describe_interaction(interaction: Interaction) -> str:
    """What undoing two factors did beyond the better of them alone, and what that means."""
    first, second = interaction.factors
    _, low, high = interaction.difference
    if low > 0:
        meaning = "each causes failures of its own"
    elif high < 0:
        meaning = f"{first} alone repairs more"
    else:
        meaning = f"undoing {first} is enough"
    return (
        f"undoing {first} and {second} repairs {_rate(interaction.repaired)}: {_points(interaction.difference)} "
        f"beyond {first} alone: {meaning}"
    )


def describe_practice(share: float, why: str, where: str) -> str:
    """One line of the plan."""
    return f"{share:.0%} of new demonstrations {where} ({why})"


def _rate(rate: Rate) -> str:
    return f"{rate.k}/{rate.n}"


def _points(difference: tuple[float, float, float]) -> str:
    value, low, high = (f"{round(100 * number):+d}".replace("+0", "0") for number in difference)
    return f"{value} points ({low} to {high})".replace("-", "−")
