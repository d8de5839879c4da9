"""From episodes to a diagnosis: rules, their counterfactuals, and what to practise."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from etude.core import Cause, ConfigError, Diagnosis, MainEffect, Pocket, Rate, stream
from etude.diagnosis.counterfactuals import (
    Answer,
    Counterfactual,
    CounterfactualConfig,
    Question,
    Roll,
    ask,
    untested,
)
from etude.diagnosis.episodes import Episodes
from etude.diagnosis.logistic import main_effects
from etude.diagnosis.plan import recommend
from etude.diagnosis.rules import Propose, Rule, RuleConfig, find_rules

FEWEST_FAILURES = 5


@dataclass(frozen=True, kw_only=True)
class DiagnosisConfig:
    """Settings of a diagnosis.

    Attributes:
        rules: What counts as a rule.
        counterfactuals: How much is rolled out, and what counts as proof.
        suspects: Factors outside a rule that are tested with it, by their main effects: they catch a wrong rule.
        uniform_share: Share of the recommended demonstrations that lie everywhere.
    """

    rules: RuleConfig = field(default_factory=RuleConfig)
    counterfactuals: CounterfactualConfig = field(default_factory=CounterfactualConfig)
    suspects: int = 2
    uniform_share: float = 0.2

    def __post_init__(self) -> None:
        if self.suspects < 0 or not 0 <= self.uniform_share <= 1:
            raise ConfigError(
                f"needs suspects >= 0 and uniform_share in [0, 1], got {self.suspects}, {self.uniform_share:g}."
            )


def diagnose(
    episodes: Episodes,
    propose: Propose,
    *,
    task: str,
    policy: str,
    seed: int,
    roll: Roll | None = None,
    pockets: Sequence[Pocket] = (),
    config: DiagnosisConfig | None = None,
) -> tuple[Diagnosis, list[Counterfactual]]:
    """Find out why a policy fails.

    Args:
        episodes: What it did.
        propose: Looks for boxes of failures: a beam search.
        task: Name of the task, or of the dataset.
        policy: As a person named it.
        seed: Fixes what is drawn.
        roll: Runs the policy again; None where there is no simulator, and then counterfactuals are untested.
        pockets: Boxes that fresh rollouts confirmed.
        config: Settings.

    Returns:
        The diagnosis, and the rollouts behind it.

    Raises:
        ConfigError: No factor differs between the episodes.
    """
    config = config or DiagnosisConfig()
    looked = episodes.varying()
    if not looked.space.factors:
        raise ConfigError(
            f"nothing varies between the {len(episodes)} episodes, so nothing can tell failures from successes: give "
            "episodes with different factors, such as `etude eval --space uniform` or `etude search` makes."
        )
    notes = _notes(looked)
    rules, effects = _look(looked, propose, pockets, config.rules, seed) if not notes else ([], [])
    questions = [_question(looked, f"cause-{i}", rule, effects, config.suspects) for i, rule in enumerate(rules, 1)]
    rolled: list[Counterfactual] = []
    answers = [untested(question) for question in questions]
    if roll is not None and questions:
        answers, rolled = ask(episodes.space, questions, roll, stream(seed, "counterfactuals"), config.counterfactuals)
    causes = [_cause(looked, rule, answer) for rule, answer in zip(rules, answers, strict=True)]
    named = [(question.cause, cause) for question, cause in zip(questions, causes, strict=True)]
    ranked, renamed = _ranked(named)
    diagnosis = Diagnosis(
        task=task,
        space_hash=episodes.space.hash,
        policy=policy,
        factors=looked.space.factors,
        failures=episodes.failures,
        causes=ranked,
        plan=recommend(ranked, uniform_share=config.uniform_share),
        main_effects=tuple(effects),
        rollouts=len(rolled),
        notes=(*notes, *_remarks(episodes, ranked, bool(notes))),
    )
    return diagnosis, [replace(one, cause=renamed[one.cause]) for one in rolled]


def _look(
    episodes: Episodes, propose: Propose, pockets: Sequence[Pocket], config: RuleConfig, seed: int
) -> tuple[list[Rule], list[MainEffect]]:
    """Rules and main effects."""
    known = [pocket for pocket in pockets if all(name in episodes.space.names for name in pocket.bounds)]
    rules = find_rules(episodes, propose, stream(seed, "rules"), pockets=known, config=config)
    return rules, main_effects(episodes.space, episodes.points, episodes.weaknesses)


def _notes(episodes: Episodes) -> tuple[str, ...]:
    """Why there is nothing to look for; nothing where there is."""
    failures = episodes.failures
    if not failures.k:
        most = f"with 95 % certainty it fails at most {failures.high:.1%} of such episodes"
        return (f"No failures among {failures.n} episodes: {most}.",)
    if failures.k == failures.n:
        return (
            f"All {failures.n} episodes failed: nothing tells failures from successes; train the policy more, or "
            "look at easier episodes.",
        )
    if min(failures.k, failures.n - failures.k) < FEWEST_FAILURES:
        return (
            f"{failures.k} failures among {failures.n} episodes are too few to find rules: it takes at least "
            f"{FEWEST_FAILURES} failures and {FEWEST_FAILURES} successes, and some dozens of each to be sure.",
        )
    return ()


def _remarks(episodes: Episodes, causes: Sequence[Cause], silent: bool) -> list[str]:
    """What a person should know about the result."""
    hard = sum(not ok and expert is False for ok, expert in zip(episodes.success, episodes.expert, strict=True))
    remarks = [f"{hard} failures are left out: the expert fails at the same cases."] if hard else []
    if not causes and not silent:
        remarks.append("No rule: failures gather nowhere clearly more than elsewhere.")
    for cause in causes:
        others = [e.factor for e in cause.effects if e.verdict == "confirmed" and e.factor not in cause.bounds]
        if others:
            remarks.append(f"{cause.name}: {', '.join(others)} is outside the rule, and undoing it repairs failures.")
    return remarks


def _question(episodes: Episodes, name: str, rule: Rule, effects: Sequence[MainEffect], suspects: int) -> Question:
    """The rule's failures; its factors and the clearest main effects beside them."""
    failed = np.flatnonzero(episodes.inside(rule.bounds) & episodes.weaknesses).tolist()
    outside = [effect.factor for effect in effects if effect.factor not in rule.bounds][:suspects]
    cases = tuple(episodes.cases[i] for i in failed)
    return Question(cause=name, bounds=rule.bounds, cases=cases, factors=(*rule.bounds, *outside))


def _cause(episodes: Episodes, rule: Rule, answer: Answer) -> Cause:
    inside = np.flatnonzero(episodes.inside(rule.bounds) & ~np.array(episodes.success)).tolist()
    modes = Counter(episodes.failure_modes[i] for i in inside if episodes.failure_modes[i])
    asked = [expert for i in inside if (expert := episodes.expert[i]) is not None]
    return Cause(
        name="",
        bounds=rule.bounds,
        inside=rule.inside,
        outside=rule.outside,
        p=rule.p,
        failure_modes=dict(modes.most_common()),
        expert=Rate.of(asked),
        volume=_volume(episodes, rule),
        origin=rule.origin,
        effects=answer.effects,
        interaction=answer.interaction,
    )


def _volume(episodes: Episodes, rule: Rule) -> float:
    """Share of the space's volume inside, feasible or not."""
    factors = [(episodes.space[name], low, high) for name, (low, high) in rule.bounds.items()]
    return float(np.prod([(high - low) / (f.high - f.low) for f, low, high in factors]))


def _ranked(named: Sequence[tuple[str, Cause]]) -> tuple[tuple[Cause, ...], dict[str, str]]:
    """The causes, those refuted last, with names in that order; and old name -> new name."""
    order = ("confirmed", "undecided", "untested", "untestable", "refuted")
    ranked = sorted(named, key=lambda pair: order.index(pair[1].verdict))
    renamed = {old: f"cause-{rank}" for rank, (old, _) in enumerate(ranked, 1)}
    return tuple(replace(cause, name=renamed[old]) for old, cause in ranked), renamed
