"""One round of one arm: find out where to practise, make demonstrations there, choose among them, and train.

search, diagnose, needs, regime, generate, score, choose, train: each a stage with its own folder, and only those that
the arm calls for.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from etude.acquisition.distributions import MutationDistributions
from etude.acquisition.scores import SCORES
from etude.core import Diagnosis, PerturbationSpace, Pocket, Rate, derive_seed, stream
from etude.core.files import read_json, write_json
from etude.loop.arms import ARMS, Arm
from etude.loop.chain import SEARCH_STAGE, Chain
from etude.loop.diagnosing import load_diagnosis
from etude.loop.elsewhere import checkpoint_of
from etude.loop.exercise import Exercise
from etude.loop.making.placing import Mutations
from etude.loop.practice.choosing import CHOOSE, DISTRIBUTIONS, SCORES_FILE, Candidates, choose, episode_weights
from etude.loop.practice.needs import PRACTICE, Measuring, needs_of, write_practice
from etude.loop.practice.regime import REGIME, Regime, judge_regime
from etude.loop.practice.retraining import train
from etude.loop.practice.sources import Sources
from etude.loop.pupil import DATASET, Pupil
from etude.loop.stage import Manifest, load_manifest
from etude.loop.stages import load_pockets
from etude.policies import CheckpointPolicy
from etude.search import KeepsAway, TargetedSampler
from etude.training.fitting import WeightedDataset

DIAGNOSE, NEEDS, GENERATE, SCORE = "diagnose", "needs", "generate", "score"
COMPANION, REGIME_STAGE = "companion", "regime"
_FIRST_DIAGNOSIS = "targeted-1"  # of the baseline: one for all arms that carry out a plan
_AIM = 16  # demonstrations inside pockets whose mean gradient says what would help there


@dataclass(frozen=True, kw_only=True)
class Round:
    """One round of one arm.

    Attributes:
        chain: Whose stages it runs.
        arm: How data is chosen.
        index: The round, from 1.
        folder: Where its stages go.
    """

    chain: Chain
    arm: Arm
    index: int
    folder: Path

    @property
    def title(self) -> str:
        """What its work is called."""
        return f"{self.arm.name}-{self.index}"

    def run(self, pupil: Pupil) -> Pupil:
        """Do every stage that is not done yet."""
        if self.arm.practises:
            search = self.chain.search_directory
            if self.arm.needs_search:
                search, pupil = self.searched(pupil)
            arm = self.settled(search) if self.arm.draw == "adaptive" else self.arm
            pupil = self.with_new_data(pupil, arm, search)
        steps, share = self.chain.config.retrain_steps, self.arm.new_share
        folder = self.folder / "train"
        return train(self.chain, pupil, folder, self.title, steps=steps, warm_start=True, new_share=share)

    def searched(self, pupil: Pupil) -> tuple[Path, Pupil]:
        """Where the policy fails as it is now; in the first round that is what the baseline's search found."""
        search = self.search_of(self.index)
        if self.index > 1:
            self.chain.search(pupil, search, self.title)
        return search, pupil.charged(search)

    def search_of(self, index: int) -> Path:
        """Folder of the arm's search in a round."""
        if index == 1:
            return self.chain.search_directory
        return self.chain.round_directory(index, self.arm.name) / SEARCH_STAGE

    def last_pockets(self) -> tuple[Pocket, ...]:
        """Those of this round's search; where it confirmed none, of the last that did.

        A pocket that is half mended is seldom confirmed again, and practice everywhere would leave it so.
        """
        found = (load_pockets(self.search_of(index)) for index in range(self.index, 0, -1))
        return next((pockets for pockets in found if pockets), ())

    def settled(self, search: Path) -> Arm:
        """The arm that the regime calls for which the policy is in."""

        def work(out: Path) -> Mapping[str, Any]:
            failures = Rate(*load_manifest(search).result["uniform_failures"])
            regime = judge_regime(failures, load_pockets(search))
            write_json(out / REGIME, regime.to_json())
            return {"arm": regime.arm}

        folder = self.folder / REGIME_STAGE
        self.chain.stage(folder, {"search": load_manifest(search).hash}, work)
        return ARMS[Regime.load(folder).arm]

    def with_new_data(self, pupil: Pupil, arm: Arm, search: Path) -> Pupil:
        """Make new demonstrations, more than needed where the arm chooses among them, and choose."""
        inputs: dict[str, Any] = {
            "arm": self.arm.name,
            "search": load_manifest(search).hash,
            "suites": load_manifest(self.chain.suites_directory).hash,
            "uniform_share": self.chain.config.uniform_share,
        }
        pupil, draw, aimed = self.aimed(pupil, arm, search)
        before, maker = None, self.sources.maker(self.made_by)
        if self.made_by != "expert":
            inputs |= {"maker": self.made_by, "sources": self.sources.annotate().hash}
            pupil = pupil.charged(self.sources.directory)
        if arm.draw == "distributions":  # they choose what is made from what; in the first round anything from any
            before, aimed = self.distributions()
            written = self.last_choice / DISTRIBUTIONS if self.index > 1 else None
            draw = Mutations(self.space, before)
            maker = self.sources.maker(self.made_by, select="random", distributions=written)
        count, generate = arm.oversample * self.chain.config.accepted, self.folder / GENERATE
        away = KeepsAway(draw, self.chain.exclusion)
        self.chain.collect(generate, self.title, count, away, inputs | aimed, maker=maker, candidates=arm.chooses)
        if arm.score:
            pupil = self.scored(pupil, arm, search)
        given = pupil.given(generate)
        return self.chosen(given, arm, search, before) if arm.chooses else given

    def aimed(self, pupil: Pupil, arm: Arm, search: Path) -> tuple[Pupil, TargetedSampler, dict[str, Any]]:
        """Where an arm that follows a search practises, and what that was decided from."""
        if arm.draw == "plan" and self.chain.config.diagnosis_rollouts:
            folder = search.parent / DIAGNOSE
            title = _FIRST_DIAGNOSIS if self.index == 1 else self.title
            found = {"diagnosis": self.chain.diagnose(pupil, search, folder, title).hash}
            plan = load_diagnosis(folder).plan
            return pupil.charged(folder), TargetedSampler(space=self.space, plan=plan), found
        if arm.draw == "needs" and self.last_pockets():
            folder = search.parent / NEEDS
            found = {"needs": self.measured(pupil, search, folder).hash}
            plan = Diagnosis.load(folder / PRACTICE).plan
            return pupil.charged(folder), TargetedSampler(space=self.space, plan=plan), found
        pockets = self.last_pockets() if arm.draw in ("pockets", "plan") else ()
        share = self.chain.config.uniform_share if pockets else 1.0
        return pupil, TargetedSampler(space=self.space, pockets=pockets, uniform_fraction=share), {}

    def measured(self, pupil: Pupil, search: Path, folder: Path) -> Manifest:
        """How many demonstrations each pocket takes, and the round's budget divided by it."""
        config, pockets = self.chain.config, self.last_pockets()
        start = checkpoint_of(pupil.train, "measuring what pockets take", ("the other arms",))
        settings, seed = needs_of(config), derive_seed(self.chain.seed, "needs", search.parent.name)

        def work(out: Path) -> Mapping[str, Any]:
            measuring = Measuring(
                arena=self.chain.arena,
                policy=CheckpointPolicy(str(start), execute=config.execute),
                pockets=pockets,
                first=[
                    WeightedDataset(path / DATASET, episode_weights=episode_weights(path)) for path in pupil.collections
                ],
                out=out,
                settings=settings,
                seed=seed,
            )
            needs = measuring.run()
            write_practice(out, self.chain.task, needs, config.accepted, uniform_share=config.uniform_share)
            return measuring.spent()

        key = {"policy": load_manifest(pupil.train).hash, "search": load_manifest(search).hash, "seed": seed}
        shares = {"accepted": config.accepted, "uniform_share": config.uniform_share}
        return self.chain.stage(folder, {**key, **shares, "settings": asdict(settings)}, work)

    def chosen(self, pupil: Pupil, arm: Arm, search: Path, before: MutationDistributions | None) -> Pupil:
        """Choose among the candidates."""
        generate, score, folder = self.folder / GENERATE, self.folder / SCORE, self.folder / CHOOSE
        inputs = {"candidates": generate} | ({"scores": score} if arm.score else {})
        inputs |= {"search": search} if arm.needs_search else {}
        key: dict[str, Any] = {name: load_manifest(path).hash for name, path in inputs.items()}
        seed = derive_seed(self.chain.seed, "choose", self.title)

        def work(out: Path) -> Mapping[str, Any]:
            return choose(
                out,
                Candidates.load(generate / DATASET, self.space),
                np.array(read_json(score / SCORES_FILE)["scores"], np.float64) if arm.score else None,
                arm,
                count=self.chain.config.accepted,
                space=self.space,
                pockets=self.last_pockets() if arm.needs_search else (),
                before=before,
                rng=stream(seed, "others"),
            )

        key |= {"arm": arm.to_json()}
        self.chain.stage(folder, {**key, "accepted": self.chain.config.accepted, "seed": seed}, work)
        return pupil.charged(folder)

    def scored(self, pupil: Pupil, arm: Arm, search: Path) -> Pupil:
        """Ask the policy, as it is now, what every candidate would teach it."""
        needs, folder = SCORES[arm.score].needs, self.folder / SCORE
        inputs: dict[str, Path] = {"policy": pupil.train, "candidates": self.folder / GENERATE}
        if arm.needs_search:
            inputs["search"] = search
        if "pockets" in needs:
            inputs["aim"] = self.aim(search)
            pupil = pupil.charged(inputs["aim"])
        if "ensemble" in needs:
            inputs["companion"] = self.companion(pupil)
            pupil = pupil.charged(inputs["companion"])
        exercise = Exercise(
            score=arm.score,
            train=pupil.train,
            dataset=self.folder / GENERATE / DATASET,
            space=self.space,
            seed=derive_seed(self.chain.seed, "score", self.title),
            companions=(inputs["companion"],) if "companion" in inputs else (),
            aim=inputs["aim"] / DATASET if "aim" in inputs else None,
            pockets=self.last_pockets() if arm.needs_search else (),
            failures=Rate(*load_manifest(search).result["uniform_failures"]),
        )

        def work(out: Path) -> Mapping[str, Any]:
            with self.chain.progress(
                f"{self.title}: scores", load_manifest(inputs["candidates"]).result["generated"]
            ) as update:
                scores = self.chain.scorer(exercise, out, lambda done, _total: update(done, arm.score))
            write_json(out / SCORES_FILE, {"score": arm.score, "scores": scores.tolist()})
            return {"scored": len(scores)}

        key = {name: load_manifest(path).hash for name, path in inputs.items()}
        self.chain.stage(folder, {"score": arm.score, "seed": exercise.seed, **key}, work)
        return pupil.charged(folder)

    def aim(self, search: Path) -> Path:
        """A few demonstrations inside the pockets, to ask of others whether they help there; none is learned from."""
        folder, pockets = self.folder / "aim", self.last_pockets()
        draw = TargetedSampler(space=self.space, pockets=pockets, inflate=0.0, uniform_fraction=0.0 if pockets else 1.0)
        inputs = {"search": load_manifest(search).hash}
        count = min(_AIM, self.chain.config.accepted)
        if self.made_by != "expert":
            inputs |= {"maker": self.made_by, "sources": self.sources.annotate().hash}
        maker = self.sources.maker(self.made_by)
        self.chain.collect(folder, f"{self.title}-aim", count, draw, inputs, maker=maker, candidates=True)
        return folder

    def companion(self, pupil: Pupil) -> Path:
        """Another policy that learned the same with another seed, to disagree with."""
        if self.index == 1:
            folder = self.chain.directory / "round-00" / COMPANION
            train(self.chain, pupil, folder, COMPANION, steps=self.chain.config.train_steps, warm_start=False)
            return folder
        folder = self.folder / COMPANION
        last = self.chain.round_directory(self.index - 1, self.arm.name) / COMPANION
        start = replace(pupil, train=last if self.index > 2 else self.chain.directory / "round-00" / COMPANION)
        steps, name = self.chain.config.retrain_steps, f"{self.title}-{COMPANION}"
        train(self.chain, start, folder, name, steps=steps, warm_start=True, new_share=self.arm.new_share)
        return folder

    def distributions(self) -> tuple[MutationDistributions, dict[str, Any]]:
        """As the last round left them, and what tells them apart; at first nearly everything is equally likely."""
        if self.index == 1:
            sources = self.sources.episodes(self.made_by)
            start = MutationDistributions.start(self.space.names, sources)
            return start, {"distributions": {"start": list(sources)}}
        last = MutationDistributions.load(self.last_choice / DISTRIBUTIONS, self.space.names)
        return last, {"distributions": load_manifest(self.last_choice).hash}

    @property
    def last_choice(self) -> Path:
        """What the arm chose in the round before."""
        return self.chain.round_directory(self.index - 1, self.arm.name) / CHOOSE

    @property
    def sources(self) -> Sources:
        """What new demonstrations are made from."""
        return Sources(self.chain)

    @property
    def made_by(self) -> str:
        """Who makes the demonstrations."""
        return self.chain.config.maker_of(self.arm)

    @property
    def space(self) -> PerturbationSpace:
        """Of the world."""
        return self.chain.task.space
