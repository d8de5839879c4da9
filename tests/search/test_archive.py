"""The archive survives the disk and lets a search continue as if it had never stopped."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from search.planted import SPACE, PlantedWorld, box
from toys import SPACE as TOY_SPACE

from etude.core import Case, EtudeError, FactorRangeError, MismatchError, Outcome, Perturbation
from etude.search import Archive, ArchiveRow, CrossEntropyConfig, RandomSearch, search_failures

WORLD_BOX = box((2, 0.1, 0.4), (7, 0.5, 0.9))


def run(
    archive: Archive,
    world: PlantedWorld,
    budget: int,
    path: Path | None = None,
    seed: int = 1,
    left: Archive | None = None,
) -> None:
    searcher = CrossEntropyConfig(batch=30, scouting=60).create(SPACE, np.random.default_rng(seed))
    search_failures(
        searcher,
        archive,
        world.policy,
        budget=budget,
        seed=seed,
        name="cem",
        roll_expert=world.expert,
        path=path,
        left=left,
    )


def test_an_archive_survives_the_disk(tmp_path: Path) -> None:
    archive = Archive(SPACE)
    run(archive, PlantedWorld([WORLD_BOX], hard=[box((3, 0.0, 0.5))]), 60)
    archive.extend([ArchiveRow(case=Case(Perturbation({}), 3), severity=0.5, success=False, searcher="hand", round=2)])
    archive.save(tmp_path / "archive.parquet")
    assert Archive.load(tmp_path / "archive.parquet", SPACE).rows == archive.rows


def test_an_archive_of_another_space_is_refused(tmp_path: Path) -> None:
    Archive(SPACE).save(tmp_path / "archive.parquet")
    with pytest.raises(MismatchError, match=SPACE.hash):
        Archive.load(tmp_path / "archive.parquet", TOY_SPACE)
    with pytest.raises(EtudeError, match="does not exist"):
        Archive.load(tmp_path / "absent.parquet", SPACE)
    (tmp_path / "text.parquet").write_text("hello")
    with pytest.raises(EtudeError, match="not an archive"):
        Archive.load(tmp_path / "text.parquet", SPACE)


def test_rows_out_of_the_space_are_refused() -> None:
    row = ArchiveRow(case=Case(Perturbation({"thing_1.size_m": 9.0}), 0), severity=1.0, success=False)
    with pytest.raises(FactorRangeError, match="thing_1"):
        Archive(SPACE).extend([row])


def test_the_budget_is_spent_exactly_and_only_on_the_policy() -> None:
    archive, world = Archive(SPACE), PlantedWorld([WORLD_BOX])
    run(archive, world, 100)
    assert len(archive) == len(world.policy_cases) == 100
    assert len(world.expert_cases) == sum(not row.success for row in archive.rows)
    assert len({row.case.seed for row in archive.rows}) == 100


class Stopped(Exception):
    pass


def test_a_search_cut_short_ends_where_it_would_have_ended(tmp_path: Path) -> None:
    whole, path = Archive(SPACE), tmp_path / "archive.parquet"
    run(whole, PlantedWorld([WORLD_BOX]), 200)

    class Dying(PlantedWorld):
        def policy(self, cases: Sequence[Case]) -> list[Outcome]:
            if len(self.policy_cases) >= 90:
                raise Stopped
            return super().policy(cases)

    with pytest.raises(Stopped):
        run(Archive(SPACE), Dying([WORLD_BOX]), 200, path)
    left, world = Archive.load(path, SPACE), PlantedWorld([WORLD_BOX])
    assert len(left) == 90
    resumed = Archive(SPACE)
    run(resumed, world, 200, path, left=left)
    assert resumed.rows == whole.rows == Archive.load(path, SPACE).rows
    assert len(world.policy_cases) == 110
    run(Archive(SPACE), world, 200, path, left=resumed)
    assert len(world.policy_cases) == 110


def test_what_an_earlier_search_tried_is_neither_rolled_out_nor_counted_again() -> None:
    archive, world = Archive(SPACE), PlantedWorld([WORLD_BOX])
    run(archive, world, 60)
    run(archive, world, 90)  # the same search with a larger budget
    assert len(archive) == len(world.policy_cases) == len({row.case for row in archive.rows}) == 90
    run(archive, world, 60, seed=2)
    assert len(archive) == len(world.policy_cases) == 150
    archive.extend(archive.rows[:5])
    assert len(archive) == 150


def test_searchers_share_what_they_found() -> None:
    archive, world = Archive(SPACE), PlantedWorld([WORLD_BOX])
    rng = np.random.default_rng
    search_failures(RandomSearch(SPACE, rng(0)), archive, world.policy, budget=200, seed=0, name="random")
    searcher = CrossEntropyConfig().create(SPACE, rng(1), Archive(SPACE, archive.rows))
    rows = search_failures(searcher, archive, world.policy, budget=40, seed=0, name="cross-entropy")
    assert {row.searcher for row in archive.rows} == {"random", "cross-entropy"}
    # It goes to failures at once: a fresh search would have to scout.
    assert sum(not row.success for row in rows) > 10


def test_an_archive_of_another_policy_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "archive.parquet"
    Archive(SPACE, policy="abc").save(path)
    assert Archive.load(path, SPACE).policy == Archive.load(path, SPACE, "abc").policy == "abc"
    with pytest.raises(MismatchError, match=r"another policy.*\(abc, not def\)"):
        Archive.load(path, SPACE, "def")
    Archive(SPACE).save(path)
    with pytest.raises(MismatchError, match="unknown, not def"):
        Archive.load(path, SPACE, "def")


def test_where_the_expert_fails_too_is_no_weakness() -> None:
    archive, world = Archive(SPACE), PlantedWorld([WORLD_BOX], failure=1.0, elsewhere=0.0, hard=[WORLD_BOX])
    run(archive, world, 120)
    assert any(not row.success for row in archive.rows)
    assert not archive.weaknesses().any()
