"""The stages of one chain: demonstrations, search, diagnosis, suites and tests; `etude.loop.order` has their order."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from etude.core import EtudeError, Executor, PolicyFactory, Suite, Task, derive_seed, stream
from etude.core.diagnosis import VERDICTS
from etude.core.files import write_json
from etude.loop.config import LoopConfig
from etude.loop.diagnosing import DiagnosisSettings, diagnose_search
from etude.loop.elsewhere import require_same_weights, trained_policy
from etude.loop.exercise import Scorer, score_candidates
from etude.loop.making.collecting import Draw, collect
from etude.loop.making.maker import Maker
from etude.loop.making.placing import made_where
from etude.loop.progress import Progress, silent
from etude.loop.pupil import DATASET, Pupil
from etude.loop.searching import SearchSettings, require_weakness, search_for_failures
from etude.loop.stage import Manifest, Work, load_manifest, run_stage
from etude.loop.stages import Arena, freeze_suites, load_pockets, sit_suites
from etude.loop.wiring import policy_factory
from etude.search import FATES, Exclusion, SuiteConfig, follow_pockets

SEARCH_STAGE, FRESH_SEARCH, FOLLOW, FOLLOWED = "search", "fresh-search", "follow", "followed.json"


@dataclass(frozen=True, kw_only=True)
class Chain:
    """One replicate: everything from the first demonstrations to the exam, each stage with a folder of its own.

    Attributes:
        config: Settings.
        task: The world.
        seed: Root of this replicate's randomness.
        directory: Where its stages go.
        executor: Where episodes run.
        progress: Shows how far it is.
        finished: Only read what is done; a stage that is not is an error.
        scorer: What tells how much a candidate would teach.
    """

    config: LoopConfig
    task: Task
    seed: int
    directory: Path
    executor: Executor
    progress: Progress = silent
    finished: bool = False
    scorer: Scorer = score_candidates

    @property
    def arena(self) -> Arena:
        """Where policies are tried."""
        return Arena(self.task, self.executor, self.progress)

    @property
    def search_directory(self) -> Path:
        """Where the baseline's failures are."""
        return self.directory / "round-00" / SEARCH_STAGE

    @property
    def suites_directory(self) -> Path:
        """Where the frozen suites are."""
        return self.directory / "round-00" / "suites"

    def round_directory(self, index: int, arm: str) -> Path:
        """Where the stages of an arm's round go."""
        return self.directory / f"round-{index:02d}" / arm

    @property
    def exclusion(self) -> Exclusion:
        """Which θ are too near an exam case for any arm to practise."""
        exam = Suite.load(self.suites_directory / "exam.json")
        pockets = load_pockets(self.search_directory)
        return Exclusion.fitted(exam, pockets, self.task.space, stream(self.seed, "exclusion"))

    def collect(
        self,
        directory: Path,
        name: str,
        accepted: int,
        draw: Draw,
        inputs: Mapping[str, Any],
        *,
        maker: Maker | None = None,
        candidates: bool = False,
    ) -> Manifest:
        """Make demonstrations into `directory/dataset`; candidates are generated only, and accepted when chosen."""
        seed = derive_seed(self.seed, "collect", name)

        def work(folder: Path) -> Mapping[str, Any]:
            with self.progress(f"{name}: demonstrations", accepted) as update:
                collected = collect(
                    self.task,
                    folder / DATASET,
                    accepted=accepted,
                    draw=draw,
                    seed=seed,
                    executor=self.executor,
                    maker=maker,
                    generator=name,
                    on_saved=lambda index, _outcome: update(index + 1, ""),
                )
            made = {"generated": collected.accepted, "generated_frames": collected.frames}
            kept = {} if candidates else {"accepted": collected.accepted, "frames": collected.frames}
            told = made_where(folder / DATASET, draw, seed, collected.attempts)
            return {"attempts": collected.attempts, **made, **kept, **told}

        key = {"task": self.task.name, "space": self.task.space.hash, "accepted": accepted, "seed": seed, **inputs}
        return self.stage(directory, key, work)

    def search(self, pupil: Pupil, directory: Path, name: str) -> Manifest:
        """Search a policy's failures and confirm its pockets."""
        seed = derive_seed(self.seed, "search", name)
        settings = SearchSettings(rollouts=self.config.search_rollouts, confirm=self.config.confirm_rollouts)

        def work(folder: Path) -> Mapping[str, Any]:
            found = search_for_failures(
                self.arena, self.policy(pupil), folder, settings=settings, seed=seed, title=name
            )
            return {
                "pockets": len(found.pockets),
                "rollouts": found.rollouts,
                "uniform_failures": [found.failures.k, found.failures.n],
            }

        key = {"policy": load_manifest(pupil.train).hash, "execute": self.config.execute, "seed": seed}
        return self.stage(directory, {**key, "settings": asdict(settings)}, work)

    def diagnose(self, pupil: Pupil, search: Path, directory: Path, name: str) -> Manifest:
        """Find out why a policy fails where its search found that it does, and what to practise."""
        settings = DiagnosisSettings(
            rollouts=self.config.diagnosis_rollouts,
            uniform_share=self.config.uniform_share,
            seed=derive_seed(self.seed, "diagnose", name),
        )

        def work(folder: Path) -> Mapping[str, Any]:
            found = diagnose_search(
                self.arena,
                self.policy(pupil),
                search,
                folder,
                named="baseline" if search == self.search_directory else pupil.train.parent.name,
                settings=settings,
                title=f"{name}: diagnosis",
            )
            verdicts = {f"causes {verdict}": 0 for verdict in VERDICTS}
            for cause in found.causes:
                verdicts[f"causes {cause.verdict}"] += 1
            return {"rollouts": found.rollouts, **verdicts}

        key = {"policy": load_manifest(pupil.train).hash, "execute": self.config.execute}
        return self.stage(directory, {**key, "search": load_manifest(search).hash, "settings": asdict(settings)}, work)

    def freeze(self, baseline: Pupil) -> Manifest:
        """Write the suites that everybody sits, before any arm has data; they are charged to nobody."""
        config, seed = self.config, derive_seed(self.seed, "suites")
        sizes = SuiteConfig(
            exam=config.exam_cases,
            dev=config.dev_cases,
            uniform=config.test_cases,
            nominal=config.test_cases,
        )

        def work(folder: Path) -> Mapping[str, Any]:
            require_weakness(self.search_directory, self.task.space)
            pockets = load_pockets(self.search_directory)
            report = freeze_suites(self.arena, self.policy(baseline), pockets, folder, sizes=sizes, seed=seed)
            return {"rollouts": report.policy_rollouts, "complete": report.complete}

        key = {"search": load_manifest(self.search_directory).hash, "sizes": asdict(sizes), "seed": seed}
        return self.stage(self.suites_directory, key, work)

    def examine(self, pupil: Pupil, name: str) -> Manifest:
        """Sit the exam, the uniform and the nominal test."""

        def work(folder: Path) -> Mapping[str, Any]:
            title = f"{name}: exam and tests"
            rates = sit_suites(self.arena, self.policy(pupil), self.suites_directory, folder, title=title)
            return {test: [rate.k, rate.n] for test, rate in rates.items()}

        suites = load_manifest(self.suites_directory).hash
        key = {"policy": load_manifest(pupil.train).hash, "suites": suites, "execute": self.config.execute}
        return self.stage(pupil.train.parent / "evaluate", key, work)

    def search_afresh(self, baseline: Pupil, pupil: Pupil, name: str) -> Manifest:
        """Search an arm's last policy as the baseline was, and follow the pockets of both; charged to nobody."""
        search, seed = pupil.train.parent / FRESH_SEARCH, derive_seed(self.seed, "follow", name)
        self.search(pupil, search, f"{name}, afresh")

        def work(folder: Path) -> Mapping[str, Any]:
            followed = follow_pockets(
                self.task.space,
                load_pockets(self.search_directory),
                load_pockets(search),
                self.arena.policy(self.policy(baseline), f"{name}: the pockets before practice"),
                self.arena.policy(self.policy(pupil), f"{name}: the pockets after practice"),
                np.random.default_rng(seed),
                cases=self.config.confirm_rollouts,
            )
            write_json(folder / FOLLOWED, {"pockets": [pocket.to_json() for pocket in followed]})
            return {fate: sum(pocket.fate == fate for pocket in followed) for fate in FATES}

        hashes = {"before": self.search_directory, "after": search}
        key = {when: load_manifest(path).hash for when, path in hashes.items()}
        return self.stage(
            pupil.train.parent / FOLLOW, {**key, "seed": seed, "cases": self.config.confirm_rollouts}, work
        )

    def stage(self, directory: Path, key: Mapping[str, Any], work: Work) -> Manifest:
        """Do a stage of this chain unless it is done."""
        if self.finished and not directory.exists():
            raise EtudeError(f"the run is not finished: '{directory}' is missing; continue it with --resume.")
        return run_stage(directory, key, work)

    def policy(self, pupil: Pupil) -> PolicyFactory:
        """The policy that an arm has now, wherever it was trained."""
        policy = policy_factory(trained_policy(pupil.train), self.task, execute=self.config.execute)
        require_same_weights(pupil.train, self.task, policy)
        return policy
