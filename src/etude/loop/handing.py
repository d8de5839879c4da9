"""What is handed over to whoever trains a policy elsewhere: demonstrations, their weights, and what to do."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

import numpy as np
from numpy.typing import NDArray

from etude.core import Task
from etude.core.files import write_bytes, write_json
from etude.data import DatasetMeta
from etude.data.editing.selecting import Selection, write_selections
from etude.loop.elsewhere import INSTRUCTIONS, LAYOUTS, TRAINED
from etude.loop.progress import Progress, silent
from etude.training.fitting import WeightedDataset

WEIGHTS = "weights.json"
_FOLDERS = {"lerobot": "lerobot", "groot": "groot", "robomimic": "robomimic.hdf5"}


@dataclass(frozen=True, kw_only=True)
class HandOver:
    """A training that somebody else does.

    Attributes:
        name: What it is called, e.g. "uniform-1".
        task: The task.
        datasets: What to learn from, with its weights.
        layouts: What the demonstrations are written as; LeRobot v3 always.
        start: The policy to go on from; None to begin from scratch.
        steps: Gradient steps that a training here would take.
        progress: Shows how far it is.
    """

    name: str
    task: Task
    datasets: Sequence[WeightedDataset]
    layouts: tuple[str, ...]
    start: str | None
    steps: int
    progress: Progress = silent

    def write(self, folder: Path) -> Mapping[str, Any]:
        """Fill a folder, whatever a killed try left in it."""
        for name in _FOLDERS.values():
            shutil.rmtree(folder / name, ignore_errors=True)
            (folder / name).unlink(missing_ok=True)
        metas = [DatasetMeta.open(dataset.root) for dataset in self.datasets]
        used = [_used(dataset, meta) for dataset, meta in zip(self.datasets, metas, strict=True)]
        with self.progress(f"{self.name}: demonstrations to hand over", sum(map(len, used))) as update:
            selections = [Selection(meta=m, episodes=each) for m, each in zip(metas, used, strict=True)]
            write_selections(folder / "lerobot", selections, on_saved=lambda done: update(done, ""))
        weights = np.concatenate(
            [_per_frame(d, m, each) for d, m, each in zip(self.datasets, metas, used, strict=True)]
        )
        write_json(folder / WEIGHTS, (weights / weights.mean()).tolist())
        self._export(folder)
        final = folder.with_name(folder.name.removesuffix(".partial")).resolve()
        write_bytes(folder / INSTRUCTIONS, self._instructions(final, metas, used).encode())
        return {"episodes": [len(each) for each in used], "layouts": ["lerobot", *self.layouts]}

    def _export(self, folder: Path) -> None:
        meta = DatasetMeta.open(folder / "lerobot")
        if "groot" in self.layouts:
            from etude.data.groot import export_groot

            (folder / _FOLDERS["groot"]).mkdir()
            export_groot(meta, folder / _FOLDERS["groot"])
        if "robomimic" in self.layouts:
            from etude.data.hdf5.exporting import export_hdf5

            export_hdf5(meta, "robomimic", folder / _FOLDERS["robomimic"])

    def _instructions(self, folder: Path, metas: Sequence[DatasetMeta], used: Sequence[Sequence[int]]) -> str:
        """What to do, with the paths that the folder will have."""
        firsts = np.cumsum([0, *map(len, used)])
        rows = [
            f"| {first}–{last - 1} | {dataset.weight:.3g} | `{meta.root.resolve()}` |"
            for dataset, meta, first, last in zip(self.datasets, metas, firsts[:-1], firsts[1:], strict=True)
        ]
        start = f"from the policy `{self.start}`, " if self.start else ""
        exports = [f"- `{folder / _FOLDERS[name]}`: {_TOLD[name]}" for name in LAYOUTS if name in self._written]
        return _TEXT.format(
            name=self.name,
            task=self.task.name,
            exports="\n".join(exports),
            rows="\n".join(rows),
            weights=folder / WEIGHTS,
            start=start,
            steps=self.steps,
            commands="\n\n".join(self._commands(folder)),
            trained=folder / TRAINED,
        )

    @property
    def _written(self) -> set[str]:
        return {"lerobot", *self.layouts}

    def _commands(self, folder: Path) -> list[str]:
        """How to train with each library whose data is here."""
        data, weights = quote(str(folder / "lerobot")), quote(str(folder / WEIGHTS))
        path = self.start if self.start and "://" not in self.start else None
        policy = f"--policy.path={quote(path)}" if path else "--policy.type=act"
        warm = f"--warm-start {quote(path)}" if path else "--policy flow"
        told = [
            "With LeRobot (it knows no weights: every frame counts the same):\n\n"
            f"    lerobot-train --dataset.repo_id=local/{self.name} --dataset.root={data} {policy} \\\n"
            f"        --policy.push_to_hub=false --steps={self.steps} --output_dir=trained/{self.name}",
            "With Etude on another machine (with the weights):\n\n"
            f"    etude train --dataset {data} --episode-weights {data}={weights} \\\n"
            f"        {warm} --steps {self.steps} --out trained/{self.name}",
        ]
        if "groot" in self.layouts:
            from etude.data.groot import fine_tuning_command

            command = fine_tuning_command(folder / "groot").replace("\n", "\n    ")
            told.append(
                f"With GR00T, in a checkout of Isaac-GR00T (it serves what it trained with run_gr00t_server.py):\n\n"
                f"    {command}"
            )
            told.append(
                "With openpi, in its checkout, after a TrainConfig of yours that names this dataset (LeRobot v2.1):\n\n"
                f"    # repo_id={str(folder / 'groot')!r} in src/openpi/training/config.py\n"
                "    uv run scripts/compute_norm_stats.py --config-name CONFIG\n"
                f"    uv run scripts/train.py CONFIG --exp-name={self.name}\n"
                "    uv run scripts/serve_policy.py policy:checkpoint --policy.config=CONFIG --policy.dir=…"
            )
        return told


_TOLD = {
    "lerobot": "LeRobot v3",
    "groot": "LeRobot v2.1 with `meta/modality.json`, for GR00T and openpi",
    "robomimic": "HDF5 in robomimic's layout",
}
_TEXT = """# Train the policy {name} elsewhere

The loop on `{task}` waits for it. The demonstrations:

{exports}

| episodes | share of the samples | from |
| --- | --- | --- |
{rows}

`{weights}` holds the weight of a frame of every episode, for trainers that know weights.

## Train

Train {start}on all episodes. A training here would take {steps} gradient steps; to compare arms fairly, train all of
them in the same way.

{commands}

## Go on

Give the checkpoint's folder, or the address of a server that runs it, to the command that the loop was begun with:

    etude loop … --resume --trained trained/{name}                                            (etude train)
    etude loop … --resume --trained trained/{name}/checkpoints/last/pretrained_model          (lerobot-train)
    etude loop … --resume --trained ws://HOST:PORT                         (openpi's server)
    etude loop … --resume --trained tcp://HOST:PORT                        (GR00T's server)

or write `{{"policy": "…"}}` into `{trained}` yourself, and go on with `--resume`.
"""


def _used(dataset: WeightedDataset, meta: DatasetMeta) -> list[int]:
    """Episodes that are learned from."""
    weights = dataset.episode_weights or (1.0,) * meta.total_episodes
    return [index for index, weight in enumerate(weights) if weight > 0]


def _per_frame(dataset: WeightedDataset, meta: DatasetMeta, used: Sequence[int]) -> NDArray[np.float64]:
    """Weight of a frame of each episode used: all frames of the dataset add up to its share."""
    weights = np.array(dataset.episode_weights or (1.0,) * meta.total_episodes)[list(used)]
    lengths = np.array([meta.episodes[index].length for index in used])
    return dataset.weight * weights / (weights * lengths).sum()
