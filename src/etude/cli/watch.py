"""`etude watch`: a policy at work, in a window or as a video."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from etude.cli.drawing import Spread, ThetaDraw, make_draw
from etude.cli.output import free_name, require_video_name
from etude.cli.policy import ExecutionOptions, resolve_policy
from etude.cli.terminal import show, show_next, watch
from etude.cli.usage import require_at_least
from etude.core import Case, ConfigError, Environment, Observer, Outcome, Step, Task, rollout, stream
from etude.loop.progress import Update

if TYPE_CHECKING:
    from etude.sim.window import Window

TILE_PX = 288


@dataclass(frozen=True, kw_only=True)
class Options(ExecutionOptions):
    """Watch a policy: a video of all cameras with what it has reached, or a window where there is a display.

    The seed fixes an episode, so the same command shows the same one; `etude eval` tells the seeds of its episodes.

    Examples:
        etude watch franka-stack
        etude watch franka-stack --onscreen --episodes 3
        etude watch franka-stack --policy runs/first --theta light.intensity=0.4 --out dark.mp4
        etude watch franka-stack --policy runs/first --execute 1 --ensemble 0.01
        etude watch franka-stack --policy random --space uniform --seed 7

    Attributes:
        task: Task, with settings if they differ from its defaults: NAME:key=value,key=value.
        policy: A checkpoint folder, `expert` or `random`.
        expert: The same as --policy expert, which is the default.
        onscreen: Open a window; without a display a video is written instead.
        episodes: How many, one after the other.
        seed: Of the first episode; the next ones count up from it.
        space: Where perturbations come from: the nominal world, or all of the feasible space.
        theta: Factors to fix, in physical units, or a JSON file of them; `etude tasks show TASK` lists them.
        out: The video (.mp4); by default a new file here, or none with a window.
    """

    task: Annotated[Positional[str], arg(metavar="TASK")]
    policy: Annotated[str, arg(metavar="P")] = ""
    expert: bool = False
    onscreen: bool = False
    episodes: int = 1
    seed: int = 0
    space: Spread = "nominal"
    theta: Annotated[tuple[str, ...], arg(metavar="FACTOR=VALUE|FILE …")] = ()
    out: Annotated[Path | None, arg(metavar="FILE")] = None

    def __post_init__(self) -> None:
        ExecutionOptions.__post_init__(self)
        require_at_least(1, episodes=self.episodes)
        require_at_least(0, seed=self.seed)
        if self.expert and self.policy not in ("", "expert"):
            raise ConfigError(f"--expert and --policy {self.policy} are two policies: give one.")
        object.__setattr__(self, "policy", self.policy or "expert")


def run(options: Options) -> None:
    """Watch."""
    from etude.evaluation import sharper
    from etude.sim import make_task
    from etude.sim.window import WindowClosedError

    require_video_name(options.out)
    task = make_task(options.task)
    policy = resolve_policy(options.policy, task, options)
    if task.cameras and options.policy in ("expert", "random"):  # which do not look at the images: a person does
        task = sharper(task, TILE_PX)
    draw = make_draw(task.space, options.space, options.theta)
    player = policy.create()
    environment = task.environment(lazy_images=True, object_state=policy.object_state)
    outcomes: list[Outcome] = []
    with ExitStack() as stack:
        stack.callback(environment.close)
        window = _window(environment, stack) if options.onscreen else None
        video = options.out if window else options.out or free_name(Path(_title(options) + ".mp4"))
        watching: list[Observer] = [_film(task, video, stack)] if video else []
        watching += [window] if window else []
        total = options.episodes * task.max_steps
        update = stack.enter_context(watch()("steps", total))
        try:
            for done, case in enumerate(_cases(options, draw)):
                counter = _Counter(update, done * task.max_steps)
                outcomes.append(rollout(environment, player, case, [*watching, counter]))
            update(total, "")
        except WindowClosedError:
            show("the window was closed")
    _tell(options, outcomes, video)


def _cases(options: Options, draw: ThetaDraw) -> Iterator[Case]:
    for seed in range(options.seed, options.seed + options.episodes):
        yield Case(draw(stream(seed, "theta")), seed)


def _title(options: Options) -> str:
    who = Path(options.policy).resolve().name
    return f"{options.task.partition(':')[0].replace('/', '-')}-{who}-seed-{options.seed}"


def _film(task: Task, video: Path, stack: ExitStack) -> Observer:
    """A film of all episodes; the video is there when the stack is left without an error."""
    from etude.evaluation import Filming, shoot

    return Filming(task, stack.enter_context(shoot(video, task.fps)), tile_px=TILE_PX)


def _window(environment: Environment, stack: ExitStack) -> "Window | None":
    """A window; or a line that says why there is none."""
    from etude.sim.window import Window, WindowUnavailableError

    try:
        return stack.enter_context(Window(environment))
    except WindowUnavailableError as error:
        print(f"etude: no window: {error} Writing a video instead.", file=sys.stderr)
        return None


def _tell(options: Options, outcomes: Sequence[Outcome], video: Path | None) -> None:
    for o in outcomes:
        end = "success" if o.success else f"failed ({o.failure_mode.replace('_', ' ')}, progress {o.progress:.0%})"
        show(f"seed {o.case.seed}: {end} after {o.length} steps")
    if video is not None:
        show(f"video: {video}")
    following = f"etude watch {options.task} --policy {options.policy} --seed {options.seed + options.episodes}"
    out = f"--out results/{Path(options.policy).resolve().name}"
    show_next(following, f"etude eval {options.task} --policy {options.policy} --episodes 50 {out}")


@dataclass(frozen=True)
class _Counter:
    """Observer that says how far the episode is."""

    update: Update
    before: int

    def begin(self, case: Case) -> None:
        del case

    def step(self, step: Step) -> None:
        self.update(self.before + step.index, str(step.info["stage"]))

    def end(self, observation: object, outcome: Outcome) -> None:
        del observation, outcome
