"""`etude data import`: demonstrations of HDF5 files as a LeRobot dataset."""

import shutil
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import Positional, arg

from etude.cli.output import remember_settings, require_free, require_same_settings
from etude.cli.terminal import show, show_next, watch
from etude.cli.usage import require_at_least
from etude.core import ConfigError, EtudeError, MismatchError

if TYPE_CHECKING:
    from etude.data.hdf5.planning import ImportPlan

SETTINGS = Path("meta/etude/import.json")


@dataclass(frozen=True, kw_only=True)
class Options:
    """Make a LeRobot v3 dataset of HDF5 files of robomimic / MimicGen, Isaac Lab or ACT / ALOHA.

    Actions become `action`, some observations `observation.state`, images cameras; every other number per frame becomes
    a column of its own, named by its path, and what is left is kept beside the tables, so that `etude data export` can
    give all of it back. Everything but the images is checked before anything is written; every demonstration is safely
    on disk before the next one counts, and an import that was stopped goes on with --resume.

    Examples:
        etude data import demo.hdf5 --out data/demo
        etude data import generated.hdf5 --layout isaaclab --quaternion xyzw --out data/stack --eval-fraction 0.1
        etude data import recordings/ --layout act --out data/aloha --task "hand over the cube"

    Attributes:
        files: HDF5 files, or folders of them; all of one layout.
        out: Folder of the dataset.
        layout: How the files are laid out; auto tells by what is in them.
        eval_fraction: Write two datasets, OUT/train and OUT/eval, with this share of the demonstrations in the second.
        seed: Draws the demonstrations of --eval-fraction.
        quaternion: Order of the quaternions in Isaac Lab's files: wxyz in 2.x, xyzw in 3.x. Datasets have wxyz.
        fps: Control steps per second, where the file does not say or says wrong.
        state: Observations that make observation.state, in this order; by default robot*_eef_pos, robot*_eef_quat and
            robot*_gripper_qpos (robomimic), eef_pos, eef_quat and gripper_pos (Isaac Lab), qpos (ACT).
        cameras: Cameras to keep; by default all.
        task: The task in words; by default what the file says, else the environment's or the folder's name.
        robot: The robot, for the dataset's metadata.
        storage: Images as H.264 video, or as PNG, which is larger and loses nothing.
        mask: Only the demonstrations that this filter key lists.
        exclude: Demonstrations to leave out: demo_3, or demo.hdf5:demo_3 among several files.
        resume: Continue an import that was stopped, with the same options.
    """

    files: Annotated[Positional[tuple[Path, ...]], arg(metavar="FILE…")]
    out: Path
    layout: Literal["auto", "robomimic", "isaaclab", "act"] = "auto"
    eval_fraction: float = 0.0
    seed: int = 0
    quaternion: Literal["wxyz", "xyzw"] = "wxyz"
    fps: int | None = None
    state: tuple[str, ...] = ()
    cameras: tuple[str, ...] | None = None
    task: str = ""
    robot: str = ""
    storage: Literal["video", "image"] = "video"
    mask: str = ""
    exclude: tuple[str, ...] = ()
    resume: bool = False

    def __post_init__(self) -> None:
        if not self.files:
            raise ConfigError("give at least one HDF5 file: etude data import FILE… --out DIR.")
        if not 0 <= self.eval_fraction < 1:
            raise ConfigError(f"--eval-fraction {self.eval_fraction}: it must be at least 0 and less than 1.")
        require_at_least(0, seed=self.seed)
        if self.fps is not None:
            require_at_least(1, fps=self.fps)


def run(options: Options) -> None:
    """Import."""
    from etude.data.hdf5.importing import import_demonstrations
    from etude.data.hdf5.planning import ImportConfig, find_demonstrations, find_files, plan_import

    require_free(options.out, resume=options.resume)
    _require_same_split(options)
    config = ImportConfig(
        fps=options.fps or 0,
        **{
            name: getattr(options, name)
            for name in ("layout", "quaternion", "state", "cameras", "task", "robot", "storage", "mask", "exclude")
        },
    )
    layout, sources = find_demonstrations(find_files(options.files), config)
    with watch()("checking", len(sources)) as update:
        plan = plan_import(layout, sources, config, lambda checked: update(checked, ""))
    datasets = _datasets(options, plan)
    settings = _settings(options, plan)
    for root in datasets:
        require_same_settings(root / SETTINGS, settings)
    done = 0
    with _nothing_half(options.out, datasets), watch()("demonstrations", len(plan.sources)) as update:

        def on_saved(index: int, root: Path) -> None:
            nonlocal done
            done += 1
            remember_settings(root / SETTINGS, settings)
            update(done, "")

        import_demonstrations(plan, datasets, resume=options.resume, on_saved=on_saved)
    for root, indices in datasets.items():
        show(f"{root}: {len(indices)} demonstrations, {_columns(plan)}")
    first = next(iter(datasets))
    show_next(
        f"etude view {first} --episode 0" if plan.spec.cameras else f"etude data inspect {first}",
        f"etude train --dataset {first} --policy flow --out runs/{options.out.name}",
    )


def _require_same_split(options: Options) -> None:
    """Never a dataset within another: one import in two parts cannot go on as a whole one."""
    whole, parts = (options.out / "meta").exists(), (options.out / "train").exists()
    if (whole and options.eval_fraction) or (parts and not options.eval_fraction):
        begun = "without --eval-fraction" if whole else "with --eval-fraction"
        raise MismatchError(f"cannot resume with other settings: '{options.out}' was begun {begun}.")


def _datasets(options: Options, plan: "ImportPlan") -> dict[Path, list[int]]:
    """Folder of each dataset -> its demonstrations."""
    from etude.core import stream
    from etude.data.hdf5.importing import split

    if not options.eval_fraction:
        return {options.out: list(range(len(plan.sources)))}
    training, evaluation = split(len(plan.sources), options.eval_fraction, stream(options.seed, "import", "eval"))
    return {options.out / "train": training, options.out / "eval": evaluation}


def _settings(options: Options, plan: "ImportPlan") -> dict[str, Any]:
    return {
        "demonstrations": [source.origin for source in plan.sources],
        "layout": plan.layout.name,
        "eval_fraction": options.eval_fraction,
        "seed": options.seed,
        "quaternion": options.quaternion,
        "fps": plan.spec.fps,
        "state": [array.path for array in plan.manifest.schema.state],
        "cameras": list(plan.spec.cameras),
        "task": options.task,
        "storage": options.storage,
    }


def _columns(plan: "ImportPlan") -> str:
    spec = plan.spec
    cameras = ", ".join(spec.cameras) or "none"
    return (
        f"{plan.layout.name}, {spec.fps} Hz, {len(spec.state_names)} numbers of state, {len(spec.action_names)} of "
        f"action, cameras {cameras}"
    )


@contextmanager
def _nothing_half(out: Path, datasets: Iterable[Path]) -> Generator[None]:
    """Remove what was begun here if the files turn out to be damaged; what was stopped is kept, once there is some."""
    fresh = not out.exists() or not any(out.iterdir())
    try:
        yield
    except BaseException as error:
        saved = any((root / SETTINGS).exists() for root in datasets)
        if fresh and (isinstance(error, EtudeError) or not saved):
            shutil.rmtree(out, ignore_errors=True)
        raise
