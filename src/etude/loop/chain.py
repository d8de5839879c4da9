"""One chain: a baseline, its failures, a frozen exam, and several ways of choosing what to practise, side by side."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from etude.core import EtudeError, Executor, Perturbation, PolicyFactory, Suite, Task, derive_seed, stream
from etude.core.diagnosis import VERDICTS
from etude.core.files import write_json
from etude.loop.collecting import Draw, attempt_stream, collect
from etude.loop.config import RESEEDED, LoopConfig
from etude.loop.diagnosing import DiagnosisSettings, diagnose_search, load_diagnosis
from etude.loop.elsewhere import CHECKPOINT, trained_policy
from etude.loop.progress import Progress, silent
from etude.loop.searching import SearchSettings, require_weakness, search_for_failures
from etude.loop.stage import Manifest, Work, load_manifest, run_stage
from etude.loop.stages import Arena, freeze_suites, load_pockets, sit_suites
from etude.loop.wiring import policy_factory
from etude.search import FATES, Exclusion, KeepsAway, SuiteConfig, TargetedSampler, follow_pockets
from etude.training import TrainConfig
from etude.training.fitting import PolicyChoice, WeightedDataset, train_on

DATASET = "dataset"
DIAGNOSE = "diagnose"
FRESH_SEARCH, FOLLOW, FOLLOWED = "fresh-search", "follow", "followed.json"


@dataclass(frozen=True, kw_only=True)
class Pupil:
    """What an arm has learned from so far.

    Attributes:
        train: Folder of its last training.
        collections: Folders of the demonstrations it learned from, oldest first.
        stages: Folders of every stage charged to it, in order.
    """

    train: Path
    collections: tuple[Path, ...]
    stages: tuple[Path, ...]


@dataclass(frozen=True, kw_only=True)
class Chain:
    """One replicate: everything from the first demonstrations to the exam, in resumable stages.

    Attributes:
        config: Settings.
        task: The world.
        seed: Root of this replicate's randomness.
        directory: Where its stages go.
        executor: Where episodes run.
        progress: Shows how far it is.
        finished: Only read what is done; a stage that is not is an error.
    """

    config: LoopConfig
    task: Task
    seed: int
    directory: Path
    executor: Executor
    progress: Progress = silent
    finished: bool = False

    @property
    def arena(self) -> Arena:
        """Where policies are tried."""
        return Arena(self.task, self.executor, self.progress)

    @property
    def search_directory(self) -> Path:
        """Where the baseline's failures are."""
        return self.directory / "round-00" / "search"

    @property
    def suites_directory(self) -> Path:
        """Where the frozen suites are."""
        return self.directory / "round-00" / "suites"

    def run(self) -> dict[str, Pupil]:
        """Do every stage that is not done yet; returns the last state of every arm, the baseline first."""
        baseline = self.baseline()
        self.search(baseline, self.search_directory, "baseline")
        self.freeze(baseline)
        self.examine(baseline, "baseline")
        pupils = {"baseline": baseline}
        for arm in self.config.arms:
            pupil = replace(baseline, stages=())
            if arm == RESEEDED:
                pupil = self.reseed(pupil)
            else:
                for round_index in range(1, self.config.rounds + 1):
                    pupil = self.practise(arm, pupil, round_index)
            self.examine(pupil, arm)
            if arm in self.config.fresh_search:
                self.search_afresh(baseline, pupil, arm)
            pupils[arm] = pupil
        return pupils

    def baseline(self) -> Pupil:
        """Collect the first demonstrations and train on them."""
        folder = self.directory / "round-00"
        draw = FirstDemonstrations(self.task, self.config)
        inputs = {"narrow": self.config.to_json()["narrow"], "narrow_layout": self.config.narrow_layout}
        self.collect(folder / "collect", "baseline", self.config.demonstrations, draw, inputs)
        pupil = Pupil(train=folder / "train", collections=(folder / "collect",), stages=(folder / "collect",))
        return self.train(pupil, folder / "train", "baseline", steps=self.config.train_steps, warm_start=False)

    def practise(self, arm: str, pupil: Pupil, round_index: int) -> Pupil:
        """One round of one arm: choose and make new demonstrations, then train on old and new."""
        folder, name = self.directory / f"round-{round_index:02d}" / arm, f"{arm}-{round_index}"
        if arm in ("uniform", "targeted"):
            search = self.search_directory
            if arm == "targeted" and round_index > 1:
                search = folder / "search"
                self.search(pupil, search, name)
            inputs = {
                "arm": arm,
                "search": load_manifest(search).hash,
                "suites": load_manifest(self.suites_directory).hash,
                "uniform_share": self.config.uniform_share,
            }
            diagnosis = None
            if arm == "targeted":
                pupil = _charged(pupil, search)
            if arm == "targeted" and self.config.diagnosis_rollouts:
                diagnosis = search.parent / DIAGNOSE
                inputs["diagnosis"] = self.diagnose(pupil, search, diagnosis, name).hash
                pupil = _charged(pupil, diagnosis)
            draw = self.practice_draw(arm, search, diagnosis)
            self.collect(folder / "generate", name, self.config.accepted, draw, inputs)
            pupil = _charged(pupil, folder / "generate", new_data=True)
        return self.train(pupil, folder / "train", name, steps=self.config.retrain_steps, warm_start=True)

    def reseed(self, baseline: Pupil) -> Pupil:
        """Train from scratch on the baseline's data with another seed, for as many steps as an arm has had in all."""
        folder = self.directory / f"round-{self.config.rounds:02d}" / RESEEDED
        steps = self.config.train_steps + self.config.rounds * self.config.retrain_steps
        return self.train(baseline, folder / "train", RESEEDED, steps=steps, warm_start=False)

    def practice_draw(self, arm: str, search: Path, diagnosis: Path | None = None) -> KeepsAway:
        """How an arm draws the θ of its new demonstrations: none near an exam case, whichever the arm."""
        space, exam = self.task.space, Suite.load(self.suites_directory / "exam.json")
        exclusion = Exclusion.fitted(exam, load_pockets(self.search_directory), space, stream(self.seed, "exclusion"))
        if diagnosis:
            return KeepsAway(TargetedSampler(space=space, plan=load_diagnosis(diagnosis).plan), exclusion)
        targets = load_pockets(search) if arm == "targeted" else ()
        share = self.config.uniform_share if targets else 1.0
        return KeepsAway(TargetedSampler(space=space, pockets=targets, uniform_fraction=share), exclusion)

    def collect(self, directory: Path, name: str, accepted: int, draw: Draw, inputs: Mapping[str, Any]) -> Manifest:
        """Make demonstrations into `directory/dataset`."""
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
                    generator=name,
                    on_saved=lambda index, _outcome: update(index + 1, ""),
                )
            excluded = 0
            if isinstance(draw, KeepsAway):
                excluded = sum(draw.counted(attempt_stream(seed, i))[1] for i in range(collected.attempts))
            return {**asdict(collected), "excluded": excluded}

        key = {"task": self.task.name, "space": self.task.space.hash, "accepted": accepted, "seed": seed, **inputs}
        return self.stage(directory, key, work)

    def train(self, pupil: Pupil, directory: Path, name: str, *, steps: int, warm_start: bool) -> Pupil:
        """Train on everything the arm has, from its last checkpoint or from scratch."""
        *old, new = pupil.collections
        share = self.config.new_share if old else 1.0
        weights = {new: share} | {path: (1 - share) / len(old) for path in old}
        config = TrainConfig(
            steps=steps,
            batch_size=self.config.batch_size,
            seed=derive_seed(self.seed, "train", name),
            threads=self.config.train_threads,
        )
        start = pupil.train / CHECKPOINT if warm_start else None

        def work(folder: Path) -> Mapping[str, Any]:
            with self.progress(f"{name}: training", steps) as update:
                result = train_on(
                    [WeightedDataset(path / DATASET, weights[path]) for path in pupil.collections],
                    folder,
                    config=config,
                    policy=PolicyChoice(name=self.config.policy, warm_start=start),
                    resume=True,
                    progress=lambda step, _total, loss: update(step, f"loss {loss:.3f}"),
                )
            return {"train_steps": steps, "best_step": result.best_step, "best_loss": result.best_loss}

        key = {
            "policy": self.config.policy,
            "train": asdict(config),
            "datasets": {load_manifest(path).hash: weights[path] for path in pupil.collections},
            "warm_start": load_manifest(pupil.train).hash if warm_start else None,
        }
        self.stage(directory, key, work)
        return Pupil(train=directory, collections=pupil.collections, stages=(*pupil.stages, directory))

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
            exam=config.exam_cases, dev=config.dev_cases, uniform=config.test_cases, nominal=config.test_cases
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
        return policy_factory(trained_policy(pupil.train), self.task, execute=self.config.execute)


@dataclass(frozen=True)
class FirstDemonstrations:
    """Draws θ as a person's first demonstrations have it: broad in most factors, narrow in a few that are disclosed."""

    task: Task
    config: LoopConfig

    def __call__(self, rng: np.random.Generator) -> Perturbation:
        """Draw one θ; a narrow layout is left to the seed, but for what is narrower still."""
        space = self.task.space.narrowed(self.config.narrow)
        if not self.config.narrow_layout:
            return space.sample(rng)
        kinds = ("layout", "distractor")
        published = [f.name for f in space.factors if f.kind in kinds and f.name not in self.config.narrow]
        return space.sample(rng).without(*published)


def _charged(pupil: Pupil, stage: Path, *, new_data: bool = False) -> Pupil:
    collections = (*pupil.collections, stage) if new_data else pupil.collections
    return replace(pupil, collections=collections, stages=(*pupil.stages, stage))
