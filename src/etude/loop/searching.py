"""The search stage: uniform rollouts, then searchers that share one archive, then fresh rollouts that confirm."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from etude.core import ConfigError, PerturbationSpace, Pocket, PolicyFactory, Rate, StageFailedError, stream
from etude.core.files import read_json, write_json
from etude.loop.fingerprint import fingerprint
from etude.loop.stages import ARCHIVE, KEPT, POCKETS, Arena, load_pockets
from etude.search import (
    Archive,
    ArchiveRow,
    Confirmation,
    ConfirmConfig,
    Hunt,
    RandomSearch,
    confirm_pockets,
    find_boxes,
    make_searcher,
    require_searchers,
    search_failures,
)
from etude.search.refining import RefineConfig, Refined, refine_boxes

SEARCH = "search.json"
UNIFORM = "uniform"
"""Name in the archive of the rollouts that were drawn uniformly."""
_EVEN = (UNIFORM, "random")  # searchers whose failures are a share of the space
_LEAST = 8  # rollouts in which a searcher can have two turns
_STEPS = 8  # points of the discovery curve


@dataclass(frozen=True, kw_only=True)
class SearchSettings:
    """What a search for failures may spend.

    Attributes:
        rollouts: Rollouts of the policy that look for failures.
        searchers: Names of the searchers, one after the other; each begins with what those before it found.
        uniform_share: Share of the rollouts drawn uniformly, before all searchers; these have equal parts of the rest.
        confirm: Fresh rollouts inside each box, and twice as many outside all, that make it a pocket; up to twice as
            many inside sharpen it before.
    """

    rollouts: int = 400
    searchers: tuple[str, ...] = ("cross-entropy",)
    uniform_share: float = 0.5
    confirm: int = 20

    def __post_init__(self) -> None:
        require_searchers(self.searchers)
        if not self.searchers or len(set(self.searchers)) < len(self.searchers):
            raise ConfigError(f"searchers {', '.join(self.searchers) or '(none)'}: name at least one, and none twice.")
        if not 0 < self.uniform_share < 1:
            raise ConfigError(f"uniform_share = {self.uniform_share:g}: needs a number between 0 and 1.")
        if min(budget for _, budget in self.budgets) < _LEAST:
            parts = len(self.searchers)
            least = max(-(-_LEAST // self.uniform_share), -(-_LEAST * parts // (1 - self.uniform_share)))
            raise ConfigError(
                f"{self.rollouts} rollouts are too few for a search: {self.uniform_share:.0%} are drawn uniformly, "
                f"{parts} searcher{'s share' if parts > 1 else ' has'} the rest, and each part needs {_LEAST}: "
                f"give at least {least:g}."
            )

    @property
    def budgets(self) -> list[tuple[str, int]]:
        """Searcher and its rollouts, in order."""
        uniform = round(self.uniform_share * self.rollouts)
        share, more = divmod(self.rollouts - uniform, len(self.searchers))
        return [(UNIFORM, uniform), *((name, share + (i < more)) for i, name in enumerate(self.searchers))]


@dataclass(frozen=True, kw_only=True)
class SearchResult:
    """What a search found and spent.

    Attributes:
        pockets: Confirmed pockets, the worst first.
        rollouts: Rollouts of the policy spent on finding, sharpening and confirming them.
        failures: Failures among the uniform rollouts of the archive, k of n: the volume of failure.
        searched: Failures among all rollouts of the archive.
        weaknesses: How many of these are the policy's own: the expert does not fail there too.
        weakness_volume: Failures of the policy's own among the uniform rollouts.
    """

    pockets: tuple[Pocket, ...]
    rollouts: int
    failures: Rate
    searched: Rate
    weaknesses: int
    weakness_volume: Rate


def search_for_failures(
    arena: Arena,
    policy: PolicyFactory,
    out: Path,
    *,
    settings: SearchSettings,
    seed: int,
    title: str = "search",
    known: Archive | None = None,
) -> SearchResult:
    """Search where a policy fails and the expert does not, and confirm the pockets with fresh rollouts.

    Leaves `archive.parquet`, `pockets.json` and `search.json` in `out`; goes on with what a killed search left there,
    and reads what a finished one did.

    Args:
        arena: Where.
        policy: Whose failures.
        out: Folder for what is found.
        settings: What may be spent.
        seed: Root of all randomness.
        title: What the progress is called.
        known: An earlier search of the same policy, which this one adds to.
    """
    if not (out / SEARCH).exists():
        archive = _explore(arena, policy, out / ARCHIVE, settings, seed, title, known)
        _confirm(arena, policy, out, archive, settings, seed, title)
        shutil.rmtree(out / KEPT, ignore_errors=True)
    return _result(out, arena.task.space)


def _confirm(
    arena: Arena, policy: PolicyFactory, out: Path, archive: Archive, settings: SearchSettings, seed: int, title: str
) -> None:
    """Make boxes of the failures, sharpen and confirm them with fresh rollouts, and write down what came of it."""
    points, failures, keep = archive.points(), archive.weaknesses(), out / KEPT
    refined = refine_boxes(
        archive.space,
        find_boxes(archive.space, points, failures),
        points,
        failures,
        arena.policy(policy, f"{title}: sharpen pockets", keep=keep / "sharpen"),
        arena.expert(keep=keep / "sharpen-expert"),
        stream(seed, "sharpen"),
        RefineConfig(draws=settings.confirm),
    )
    confirmed = confirm_pockets(
        archive.space,
        refined.boxes,
        arena.policy(policy, f"{title}: confirm pockets", keep=keep / "confirm"),
        arena.expert(keep=keep / "confirm-expert"),
        ConfirmConfig(inside=settings.confirm, outside=2 * settings.confirm),
        stream(seed, "confirm"),
    )
    kinds = {"pockets": confirmed.pockets, "refuted": confirmed.refuted}
    write_json(out / POCKETS, {kind: [pocket.to_json() for pocket in pockets] for kind, pockets in kinds.items()})
    write_json(out / SEARCH, _record(settings, archive, refined, confirmed))


def _result(out: Path, space: PerturbationSpace) -> SearchResult:
    """What a finished search left."""
    record, rows = read_json(out / SEARCH), Archive.load(out / ARCHIVE, space).rows
    return SearchResult(
        pockets=load_pockets(out),
        rollouts=record["budget"] + record["sharpening"]["rollouts"] + record["confirming"]["rollouts"],
        failures=_failures(_even(rows)),
        searched=_failures(rows),
        weaknesses=sum(row.weakness for row in rows),
        weakness_volume=Rate.of([row.weakness for row in _even(rows)]),
    )


def require_weakness(search: Path, space: PerturbationSpace) -> None:
    """Raise unless a finished search found a failure of the policy's own: exams are made of them.

    Args:
        search: Folder of the search.
        space: The space of its task.

    Raises:
        StageFailedError: It found none; the message bounds how much of the space can fail, and says what to do.
    """
    rows = Archive.load(search / ARCHIVE, space).rows
    if not any(row.weakness for row in rows):
        volume = Rate.of([row.weakness for row in _even(rows)])
        raise StageFailedError(
            f"no exam: in {len(rows)} rollouts the policy never failed where the expert succeeds, so at most "
            f"{volume.high:.1%} of the space is a weakness (95 %, from {volume.n} uniform draws). Make the task harder "
            "(its settings, its factors' ranges), or take a preset with a larger search."
        )


def _explore(
    arena: Arena,
    policy: PolicyFactory,
    path: Path,
    settings: SearchSettings,
    seed: int,
    title: str,
    known: Archive | None,
) -> Archive:
    """Spend the rollouts: what was known, and after it the rows of every searcher in turn."""
    space = arena.task.space
    whose = fingerprint(arena.task, policy)
    archive = Archive(space, known.rows if known else (), whose)
    left = Archive.load(path, space, whose) if path.exists() else None
    done, before = 0, int(archive.weaknesses().sum())
    with arena.progress(f"{title}: search for failures", settings.rollouts) as update:
        for name, budget in settings.budgets:
            rng = stream(seed, name)
            hunt = Hunt(space=space, rng=rng, budget=budget, known=Archive(space, archive.rows))
            search_failures(
                RandomSearch(space, rng, hunt.batch(40)) if name == UNIFORM else make_searcher(name, hunt),
                archive,
                arena.policy(policy),
                budget=budget,
                seed=seed,
                name=name,
                roll_expert=arena.expert(),
                left=left,
                path=path,
                progress=lambda spent, _budget, done=done: update(
                    done + spent, f"{archive.weaknesses().sum() - before} failures"
                ),
            )
            done += budget
    archive.save(path)  # in one piece even where nothing new was rolled out
    return archive


def _record(settings: SearchSettings, archive: Archive, refined: Refined, confirmed: Confirmation) -> dict[str, Any]:
    """What a search was and came to, as JSON values."""
    rows = archive.rows
    names = dict.fromkeys(row.searcher for row in rows)
    return {
        "budget": settings.rollouts,
        "searchers": {name: _counts([row for row in rows if row.searcher == name]) for name in names},
        "archive": _counts(rows),
        "failures": _failures(_even(rows)).to_json(),
        "sharpening": {"rollouts": refined.policy_rollouts, "expert_rollouts": refined.expert_rollouts},
        "confirming": {"rollouts": confirmed.policy_rollouts, "expert_rollouts": confirmed.expert_rollouts},
        "discovery": _discovery(archive),
    }


def _counts(rows: Sequence[ArchiveRow]) -> dict[str, Any]:
    asked = [row.expert is False for row in rows if row.expert is not None]
    return {"rollouts": len(rows), "failures": _failures(rows).to_json(), "expert_failures": Rate.of(asked).to_json()}


def _discovery(archive: Archive) -> list[dict[str, int]]:
    """How many failures and boxes there were after so many rollouts."""
    points, failures = archive.points(), archive.weaknesses()
    ends = sorted({round(len(points) * step / _STEPS) for step in range(1, _STEPS + 1)})
    return [
        {
            "rollouts": end,
            "failures": int(failures[:end].sum()),
            "boxes": len(find_boxes(archive.space, points[:end], failures[:end])),
        }
        for end in ends
    ]


def _failures(rows: Sequence[ArchiveRow]) -> Rate:
    return Rate.of([not row.success for row in rows])


def _even(rows: Sequence[ArchiveRow]) -> list[ArchiveRow]:
    """Those that were drawn uniformly: a share of them is a share of the space."""
    return [row for row in rows if row.searcher in _EVEN]
