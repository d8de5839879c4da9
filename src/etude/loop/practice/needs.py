"""How many demonstrations each pocket takes: a small learning curve inside, measured in stages that can be resumed.

    expert/           the expert's success at the cases inside every pocket
    collect-00040/    a dataset for each pocket: those that make 40 out of the number before
    train-00040/      the policy, fine-tuned on the first demonstrations and 40 from inside each pocket
    evaluate-00040/   its success at the same cases
    needs.json        what follows

One training a number, for all pockets together: that is how an arm practises them, and it costs a training for each
number, not for each pocket and number. With none the policy is trained on for as many steps, so that nobody takes time
for data.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from etude.acquisition.budget import divide_budget, plan_practice
from etude.acquisition.needs import Need, NeedConfig, estimate_need
from etude.core import (
    Case,
    ConfigError,
    Diagnosis,
    Plan,
    Pocket,
    PolicyFactory,
    Practice,
    Rate,
    Task,
    derive_seed,
    stream,
)
from etude.core.files import write_json
from etude.evaluation import Expert, write_outcomes
from etude.loop.config import LoopConfig
from etude.loop.fingerprint import dataset_hash, fingerprint
from etude.loop.making.collecting import collect
from etude.loop.stage import Manifest, load_manifest, run_stage
from etude.loop.stages import Arena
from etude.policies import CheckpointPolicy
from etude.search import TargetedSampler
from etude.search.pockets import sample_inside
from etude.training import TrainConfig
from etude.training.fitting import PolicyChoice, WeightedDataset, train_on

NEEDS_FILE, PRACTICE = "needs.json", "practice.json"


@dataclass(frozen=True, kw_only=True)
class NeedSettings:
    """What measuring the needs may spend.

    Attributes:
        counts: Demonstrations from inside each pocket to measure with, rising from 0.
        cases: Rollouts inside each pocket, for the expert and for each number.
        steps: Gradient steps of each fine-tuning.
        batch_size: Windows per gradient step.
        new_share: Sampling weight of the demonstrations from inside pockets, equal for all pockets.
        threads: Threads of the training; part of the result.
        asked: The target.
    """

    counts: tuple[int, ...] = (0, 10, 20, 40)
    cases: int = 20
    steps: int = 600
    batch_size: int = 64
    new_share: float = 0.5
    threads: int = 2
    asked: NeedConfig = field(default_factory=NeedConfig)

    def __post_init__(self) -> None:
        told = ", ".join(map(str, self.counts))
        if len(self.counts) < 2 or self.counts[0] != 0 or any(a >= b for a, b in pairwise(self.counts)):
            raise ConfigError(
                f"counts {told or '(none)'}: give 0 and at least one larger number, rising, e.g. 0 10 40."
            )
        if min(self.cases, self.steps, self.batch_size, self.threads) < 1:
            raise ConfigError("cases, steps, batch_size and threads must be at least 1.")
        if not 0 < self.new_share < 1:
            raise ConfigError(f"new_share = {self.new_share:g} must lie between 0 and 1.")


@dataclass(frozen=True, kw_only=True)
class Measuring:
    """One measurement of what pockets take.

    Attributes:
        arena: Where policies are tried.
        policy: The checkpoint that every fine-tuning starts from, and how it is executed.
        pockets: What is measured.
        first: What the checkpoint was trained on, with its shares.
        out: Where the stages go.
        settings: What it may spend.
        seed: Root of its randomness.
    """

    arena: Arena
    policy: CheckpointPolicy
    pockets: Sequence[Pocket]
    first: Sequence[WeightedDataset]
    out: Path
    settings: NeedSettings
    seed: int

    def run(self) -> tuple[Need, ...]:
        """Do every stage that is not done yet; one need per pocket, in their order."""
        experts = self._rates(self._try(self.out / "expert", Expert(self.arena.task), self.pockets, {}, "the expert"))
        least = self.settings.asked.least_expert
        solvable = [pocket for pocket in self.pockets if experts[pocket.name].value >= least]
        measured: dict[str, dict[int, Rate]] = {pocket.name: {} for pocket in self.pockets}
        for fewer, count in pairwise((0, *self.settings.counts)):
            if not solvable:
                break
            if count:
                self._collect(count, count - fewer, solvable)
            trained = self._train(count, solvable)
            for name, rate in self._rates(self._evaluate(count, solvable, trained)).items():
                measured[name][count] = rate
        needs = tuple(
            estimate_need(pocket, experts[pocket.name], measured[pocket.name], self.settings.asked)
            for pocket in self.pockets
        )
        write_json(
            self.out / NEEDS_FILE, {"needs": [need.to_json() for need in needs], "settings": asdict(self.settings)}
        )
        return needs

    def _collect(self, count: int, more: int, pockets: Sequence[Pocket]) -> Manifest:
        """So many more demonstrations from inside each pocket, a dataset each."""
        arena = self.arena

        def work(folder: Path) -> Mapping[str, Any]:
            spent: dict[str, list[int]] = {}
            with arena.progress(f"{more} more demonstrations inside each pocket", more * len(pockets)) as update:
                for i, pocket in enumerate(pockets):
                    collected = collect(
                        arena.task,
                        folder / pocket.name,
                        accepted=more,
                        draw=inside(pocket, arena),
                        seed=derive_seed(self.seed, "collect", pocket.name, count),
                        executor=arena.executor,
                        on_saved=lambda index, _, done=i * more: update(done + index + 1, ""),
                    )
                    spent[pocket.name] = [collected.accepted, collected.attempts]
            return {"accepted_of_attempts": spent}

        key = {"task": arena.task.name, "pockets": _records(pockets), "more": more, "seed": self.seed}
        return run_stage(self._folder("collect", count), key, work)

    def _train(self, count: int, pockets: Sequence[Pocket]) -> Path:
        """Fine-tune the checkpoint with so many demonstrations from inside every pocket."""
        steps = self.settings.steps
        config = TrainConfig(
            steps=steps,
            batch_size=self.settings.batch_size,
            seed=derive_seed(self.seed, "train"),  # of all numbers: the data are all that differs
            threads=self.settings.threads,
        )
        datasets = self._mixture(count, pockets)

        def work(folder: Path) -> Mapping[str, Any]:
            with self.arena.progress(f"training with {count} demonstrations from each pocket", steps) as update:
                result = train_on(
                    datasets,
                    folder,
                    config=config,
                    policy=PolicyChoice(warm_start=Path(self.policy.path)),
                    resume=True,
                    progress=lambda step, _total, loss: update(step, f"loss {loss:.3f}"),
                )
            return {"train_steps": steps, "best_loss": result.best_loss}

        collected = [load_manifest(self._folder("collect", c)).hash for c in self.settings.counts if 0 < c <= count]
        key = {
            "policy": fingerprint(self.arena.task, self.policy),
            "first": [[dataset_hash(dataset.root), dataset.weight] for dataset in self.first],
            "collected": collected,
            "train": asdict(config),
            "new_share": self.settings.new_share,
        }
        run_stage(self._folder("train", count), key, work)
        return self._folder("train", count) / "checkpoint"

    def _mixture(self, count: int, pockets: Sequence[Pocket]) -> list[WeightedDataset]:
        """The first demonstrations and those from inside pockets, each pocket with an equal share of these."""
        share = self.settings.new_share if count else 0.0
        total = sum(dataset.weight for dataset in self.first)
        old = [
            WeightedDataset(each.root, (1 - share) * each.weight / total, each.mapping, each.episode_weights)
            for each in self.first
        ]
        steps = [(fewer, more) for fewer, more in pairwise(self.settings.counts) if more <= count]
        new = [
            WeightedDataset(
                self._folder("collect", more) / pocket.name,
                share / len(pockets) * (more - fewer) / count,
                validates=False,
            )
            for pocket in pockets
            for fewer, more in steps
        ]
        return [*old, *new]

    def _evaluate(self, count: int, pockets: Sequence[Pocket], checkpoint: Path) -> Manifest:
        policy = replace(self.policy, path=str(checkpoint))
        key = {"policy": load_manifest(checkpoint.parent).hash, "execution": repr(replace(self.policy, path=""))}
        return self._try(self._folder("evaluate", count), policy, pockets, key, f"success after {count} demonstrations")

    def _try(
        self, folder: Path, policy: PolicyFactory, pockets: Sequence[Pocket], key: Mapping[str, Any], title: str
    ) -> Manifest:
        """Roll a policy out at the cases inside pockets; the same for everybody."""

        def work(partial: Path) -> Mapping[str, Any]:
            cases = [case for pocket in pockets for case in self.cases(pocket)]
            journal = partial / "journal.jsonl"
            outcomes = self.arena.evaluate(policy, cases, title=f"{title}: inside the pockets", journal=journal)
            write_outcomes(partial / "outcomes.parquet", outcomes)
            journal.unlink(missing_ok=True)
            count, successes = self.settings.cases, [outcome.success for outcome in outcomes]
            rates = [Rate.of(successes[i * count : (i + 1) * count]) for i in range(len(pockets))]
            return {"successes": {p.name: [rate.k, rate.n] for p, rate in zip(pockets, rates, strict=True)}}

        asked = {"task": self.arena.task.name, "pockets": _records(pockets), "cases": self.settings.cases}
        return run_stage(folder, {**asked, "seed": self.seed, **key}, work)

    def cases(self, pocket: Pocket) -> list[Case]:
        """The cases inside a pocket at which everybody is tried."""
        rng = stream(self.seed, "cases", pocket.name)
        space = self.arena.task.space
        return [
            Case(sample_inside(space, pocket.bounds, rng), int(rng.integers(2**31))) for _ in range(self.settings.cases)
        ]

    def spent(self) -> dict[str, int]:
        """What the finished stages took."""
        results = [load_manifest(path.parent).result for path in sorted(self.out.glob("*/manifest.json"))]
        tried = [count for result in results for _, count in result.get("successes", {}).values()]
        made = [count for result in results for _, count in result.get("accepted_of_attempts", {}).values()]
        steps = [result.get("train_steps", 0) for result in results]
        return {"rollouts": sum(tried), "attempts": sum(made), "train_steps": sum(steps)}

    def _folder(self, stage: str, count: int) -> Path:
        return self.out / f"{stage}-{count:05d}"

    @staticmethod
    def _rates(manifest: Manifest) -> dict[str, Rate]:
        return {name: Rate(*counted) for name, counted in manifest.result["successes"].items()}


def needs_of(config: LoopConfig) -> NeedSettings:
    """What a round of the loop may spend on measuring: a sixth of its new demonstrations from inside each pocket."""
    most = max(2, config.accepted // 6)
    return NeedSettings(
        counts=(0, max(1, most // 3), most),
        cases=config.confirm_rollouts,
        steps=max(1, config.retrain_steps // 4),
        batch_size=config.batch_size,
        threads=config.train_threads,
    )


def inside(pocket: Pocket, arena: Arena) -> TargetedSampler:
    """Draws θ inside a pocket, and nowhere around it."""
    plan = Plan(practices=(Practice(bounds=pocket.bounds, share=1.0, why=pocket.name),), inflate=0.0)
    return TargetedSampler(space=arena.task.space, plan=plan)


def _records(pockets: Sequence[Pocket]) -> dict[str, Any]:
    return {pocket.name: {name: list(bounds) for name, bounds in pocket.bounds.items()} for pocket in pockets}


def write_practice(
    out: Path, task: Task, needs: Sequence[Need], budget: int, *, uniform_share: float = 0.2
) -> tuple[str, ...]:
    """Divide a budget among pockets, and leave it as practice.json, which `etude collect --plan` carries out.

    Args:
        out: The measurement's folder.
        task: The task.
        needs: What the pockets take.
        budget: Demonstrations in all.
        uniform_share: Share of them drawn everywhere.

    Returns:
        What a person should know, in sentences.
    """
    plan = plan_practice(needs, budget, uniform_share=uniform_share)
    notes = divide_budget(needs, budget).notes
    found = Diagnosis(
        task=task.name,
        space_hash=task.space.hash,
        policy="",
        factors=task.space.factors,
        failures=Rate(0, 0),
        causes=(),
        plan=plan,
        notes=notes,
    )
    write_json(out / PRACTICE, found.to_json())
    return (*notes, *(f"{practice.share * budget:.0f} of {budget}: {practice.why}" for practice in plan.practices))
