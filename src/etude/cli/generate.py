"""`etude generate`: new demonstrations from annotated ones, as a LeRobot dataset."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import arg

from etude.cli.cases import CaseSpread
from etude.cli.drawing import Draw, draw_one_factor, make_draw, told_theta
from etude.cli.executing import WorkerOptions, make_executor
from etude.cli.output import nothing_if_nothing, remember_settings, require_free_or_own, require_same_settings
from etude.cli.stratifying import Strata, parse_bins
from etude.cli.terminal import show, show_json, show_next, watch
from etude.cli.usage import require_at_least
from etude.cli.yields import show_yields
from etude.core import ConfigError, Outcome, StageFailedError, Task
from etude.core.files import write_json

if TYPE_CHECKING:
    from etude.loop.making.collecting import Collected
    from etude.loop.making.generating import GeneratorMaker
    from etude.loop.making.maker import Made
    from etude.loop.making.yields import AttemptLog, Yields
    from etude.loop.progress import Update

SETTINGS = Path("meta/etude/generate.json")
_LOG, _YIELDS, _PAGE = "meta/etude/attempts.jsonl", "meta/etude/yields.json", "meta/etude/yields.html"
_PARTS = "meta/etude/parts.json"
type Select = Literal["random", "nearest-object", "nearest-robot"]


@dataclass(frozen=True, kw_only=True)
class Options(WorkerOptions):
    """Make new demonstrations from annotated ones: their segments, moved with the objects, in new worlds.

    Attempts run without images; those that succeed are replayed once to render them. Every episode is safely on disk
    before the next one counts: a generation that was stopped goes on with --resume and ends with the same dataset.

    Examples:
        etude generate --source data/sources --task franka-stack --accepted 200 --out data/generated
        etude generate --source data/sources --task franka-stack --attempts 500 --space uniform --out data/broad
        etude generate --source data/sources --task franka-stack --accepted 80 --space uniform --stratify \
front_camera.yaw_rad:4 --out data/even
        etude generate --source data/sources --task franka-stack --accepted 80 --select nearest-object --per-subtask \
--noise 0.03 --out data/varied
        etude generate --source data/sources --task franka-stack --accepted 80 --distribution \
runs/a/round-01/gradient/choose/distributions.json --out data/aimed

    Attributes:
        source: Folder of the annotated dataset (`etude annotate`).
        task: World of the new demonstrations; by default the one that the dataset names.
        attempts: How many attempts to make; as many demonstrations as succeed.
        accepted: How many demonstrations to make, with as many attempts as that takes.
        out: Folder of the dataset.
        seed: Fixes all randomness.
        space: Where perturbations come from: the nominal world, all of the feasible space, or one factor at a time.
        theta: Factors to fix, in physical units, or a JSON file of them; `etude tasks show TASK` lists them.
        distribution: A round's distributions.json: which source demonstrations, and where they are mutated to.
        stratify: Make equal numbers of demonstrations in every part of a factor's range, which is divided into 4 equal
            parts unless said otherwise, or of two factors' ranges; a part where next to nothing succeeds is given up,
            and told as a hole.
        select: How the source demonstration is chosen: any, or among the three whose object lay, or whose gripper was,
            most alike.
        per_subtask: Choose it anew for every segment; else once for every attempt.
        noise: Standard deviation of what is added to the arm's actions, as a share of half their range; it is executed
            and recorded.
        lift_m: How far above the lowest that the gripper is in any source the way between two segments rises before it
            goes aside; 0 goes straight.
        keep_failed: Keep the failures too, as a dataset of their own: OUT/failed.
        resume: Continue a dataset that was begun with the same options; --accepted or --attempts may be larger.
        json: Print one line of JSON per episode once it is on disk, then the yields, and nothing else.
    """

    source: Path
    task: str = ""
    attempts: int | None = None
    accepted: int | None = None
    out: Path
    seed: int = 0
    space: CaseSpread = "nominal"
    theta: Annotated[tuple[str, ...], arg(metavar="FACTOR=VALUE|FILE …")] = ()
    distribution: Annotated[Path | None, arg(metavar="FILE")] = None
    stratify: Annotated[tuple[str, ...], arg(metavar="FACTOR[:BINS] …")] = ()
    select: Select = "random"
    per_subtask: bool = False
    noise: float = 0.0
    lift_m: float = 0.1
    keep_failed: bool = False
    resume: bool = False
    json: bool = False

    def __post_init__(self) -> None:
        WorkerOptions.__post_init__(self)
        if (self.attempts is None) == (self.accepted is None):
            raise ConfigError("say either --attempts N or --accepted N.")
        if self.attempts is not None:
            require_at_least(1, attempts=self.attempts)
        if self.accepted is not None:
            require_at_least(1, accepted=self.accepted)
        require_at_least(0, seed=self.seed)
        if not 0.0 <= self.noise <= 1.0:
            raise ConfigError(f"--noise {self.noise:g} is out of range: choose 0 to 1.")
        if not self.lift_m >= 0.0:
            raise ConfigError(f"--lift-m {self.lift_m:g} must be at least 0.")
        if self.distribution and (self.theta or self.space != "nominal"):
            raise ConfigError("--distribution says where all perturbations come from: leave out --theta and --space.")
        if self.stratify:
            self._require_stratified()

    def _require_stratified(self) -> None:
        if self.distribution:
            raise ConfigError("--distribution says where all perturbations come from: leave out --stratify.")
        if self.accepted is None:
            raise ConfigError(
                "--stratify makes equal numbers of demonstrations: say how many in all with --accepted, not --attempts."
            )
        if self.space != "uniform":
            raise ConfigError(
                f"--stratify {' '.join(self.stratify)}: --space {self.space} does not vary it in every attempt; choose "
                "--space uniform."
            )


def run(options: Options) -> None:
    """Generate."""
    from etude.data import find_dataset
    from etude.loop.making.collecting import collect
    from etude.loop.making.yields import AttemptLog, Yields
    from etude.sim import make_task

    sources = find_dataset(str(options.source))
    task = make_task(options.task or _task_of(sources))
    maker = _maker(options, sources)
    strata, draw = _strata(options, task), _draw(options, task)
    used = _require_sources(options, maker, task)
    settings = _settings(options, task, maker)
    require_free_or_own(options.out, SETTINGS, resume=options.resume)
    require_same_settings(options.out / SETTINGS, settings)
    log, wanted = AttemptLog(options.out / _LOG), options.accepted or options.attempts or 0
    with (
        nothing_if_nothing(options.out, SETTINGS),
        make_executor(options) as executor,
        watch()("attempts" if options.attempts else "demonstrations", wanted) as update,
    ):
        telling = _Telling(options, settings, log, update)
        try:
            collected = collect(
                task,
                options.out,
                accepted=options.accepted,
                attempts=options.attempts,
                draw=strata.draws if strata else draw,
                seed=options.seed,
                executor=executor,
                maker=maker,
                generator="generated",
                keep_failed=options.keep_failed,
                on_saved=telling.on_saved,
                on_attempt=telling.on_attempt,
            )
        except StageFailedError:
            _write(options, Yields.of(log.read(telling.made), task.space, blind=maker.blind))
            if not options.json:
                show(f"page: {options.out / _PAGE}")
            raise
    yields = Yields.of(log.settle(collected.attempts), task.space, blind=maker.blind)
    _write(options, yields)
    _tell(options, collected, yields, strata, used)


def _tell(options: Options, collected: "Collected", yields: "Yields", strata: Strata | None, used: int) -> None:
    """What was made of how many source demonstrations, and what to do with it."""
    from etude.loop.making.collecting import FAILED

    parts = strata.to_json(collected.parts) if strata else None
    if parts is not None:
        write_json(options.out / _PARTS, parts)
    if options.json:
        show_json({"yields": yields.to_json(), **({} if parts is None else {"parts": parts})})
        return
    show(
        f"{collected.accepted} demonstrations, {collected.frames} frames, from {collected.attempts} attempts with "
        f"{used} source demonstrations: {options.out}"
    )
    if options.keep_failed:
        show(f"{collected.failed} failures kept: {options.out / FAILED}" if collected.failed else "no failure to keep")
    if strata:
        show(*strata.told(collected.parts))
    show_yields(yields)
    show(f"page: {options.out / _PAGE}")
    show_next(f"etude train --dataset {options.out} --policy flow --out runs/{options.out.name}")


class _Telling:
    """Writes down every attempt, and says how far it is."""

    def __init__(self, options: Options, settings: Mapping[str, Any], log: "AttemptLog", update: "Update") -> None:
        self._options, self._settings, self._log, self._update = options, settings, log, update
        self.made = self._saved = 0

    def on_attempt(self, number: int, made: "Made") -> None:
        from etude.loop.making.yields import AttemptRecord

        self.made = number + 1
        remember_settings(self._options.out / SETTINGS, self._settings)
        self._log.add(AttemptRecord.of(number, made))
        if not made.outcome.success:
            self._tell()

    def on_saved(self, index: int, outcome: Outcome) -> None:
        self._saved = index + 1
        if self._options.json:
            show_json({"saved": index, "seed": outcome.case.seed, "length": outcome.length})
        self._tell()

    def _tell(self) -> None:
        if self._options.attempts:
            self._update(self.made, f"{self._saved} accepted")
        else:
            self._update(self._saved, f"{self.made} tried")


def _task_of(sources: Path) -> str:
    from etude.data import DatasetMeta

    task = DatasetMeta.open(sources).task
    if not task:
        raise ConfigError(f"'{sources}' does not say which world it was made in: name one with --task.")
    return task


def _maker(options: Options, sources: Path) -> "GeneratorMaker":
    from etude.generation.config import GenerationConfig
    from etude.loop.making.generating import GeneratorMaker

    config = GenerationConfig(
        select=options.select, per_subtask=options.per_subtask, noise=options.noise, lift_m=options.lift_m
    )
    return GeneratorMaker(sources=str(sources), config=config, distributions=str(options.distribution or ""))


def _require_sources(options: Options, maker: "GeneratorMaker", task: Task) -> int:
    """Read the sources once here, so that what is wrong with them shows before anything is written: how many there are.

    Those that cannot be cut are told.

    Raises:
        ConfigError: The distributions are of others.
    """
    from etude.acquisition.distributions import MutationDistributions
    from etude.generation.cutting import segment_plan
    from etude.generation.loading import load_sources

    def tell(episode: int, why: str) -> None:
        if not options.json:
            show(f"left out: source episode {episode}: {why}")

    sources = load_sources(Path(maker.sources), segment_plan(task), task=task, on_left_out=tell)
    if options.distribution:
        aimed = MutationDistributions.load(options.distribution, task.space.names).sources
        missing = sorted({*aimed} - {source.episode for source in sources})
        if missing and aimed != (-1,):  # of the expert's demonstrations, which are made from none
            raise ConfigError(
                f"--distribution {options.distribution} mutates source demonstrations that --source {options.source} "
                f"does not have: {', '.join(map(str, missing))}; give the sources that its round was made from."
            )
    return len(sources)


def _draw(options: Options, task: Task) -> Draw:
    if options.space == "factors":
        return draw_one_factor(task.space, options.theta)
    if options.distribution is None:
        return make_draw(task.space, options.space, options.theta)
    from etude.acquisition.distributions import MutationDistributions
    from etude.loop.making.placing import Mutations

    return Mutations(task.space, MutationDistributions.load(options.distribution, task.space.names))


def _strata(options: Options, task: Task) -> Strata | None:
    if not options.stratify:
        return None
    return Strata.of(task.space, options.stratify, options.theta, options.accepted or 0)


def _settings(options: Options, task: Task, maker: "GeneratorMaker") -> dict[str, Any]:
    return {
        "task": task.name,
        "source": maker.sources,
        "seed": options.seed,
        "space": options.space,
        "theta": sorted(told_theta(options.theta)),
        "distribution": maker.distributions,
        "config": asdict(maker.config),
        "keep_failed": options.keep_failed,
        # How much is wanted of every part says which attempts are made: that cannot change.
        **({"stratify": parse_bins(options.stratify), "accepted": options.accepted} if options.stratify else {}),
    }


def _write(options: Options, yields: "Yields") -> None:
    from etude.loop.report import write_page

    yields.save(options.out / _YIELDS)
    write_page(options.out)
