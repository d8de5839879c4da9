"""Training steps a second of one ACT: Etude against `lerobot-train`, from the same video dataset, on the processor.

Both fit the same network (ACT at a size for a few cores, two 96x96 cameras, chunks of 16) to the same windows, eight a
step, with AdamW, in as many threads. Each runs as a user would run it; a step's time is taken between its progress
reports, past the first few. LeRobot's default is float32 and four loading processes; it is also given one, and
bfloat16. Ours keeps averaged weights besides, and trains a ResNet's normalisation where LeRobot's is frozen;
with the light backbone LeRobot trains our network through our plugin, so that only the training differs.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch

from benchmarks import training_samples
from etude.core import stream
from etude.data import FrameCache, Mixture, MixtureSource, statistics
from etude.policies import Features
from etude.policies.checkpoint import build_policy
from etude.training import TrainConfig
from etude.training.train import train

BATCH, WARM_UP = 8, 5
SIZES = {
    "chunk_size": 16, "n_action_steps": 8, "dim_model": 128, "n_heads": 4, "dim_feedforward": 512,
    "n_encoder_layers": 2, "n_vae_encoder_layers": 2, "dropout": 0.0,
}  # fmt: skip


@dataclass(frozen=True)
class Way:
    """One way to train: `run` gives steps a second."""

    name: str
    run: Callable[[], float]


def main(repeats: int = 3, steps: int = 30) -> None:
    """Write the dataset, measure every way in turns, print."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "dataset")
        training_samples.write(root)
        for backbone in ("resnet18", "light"):
            ways = [
                Way("etude, float32", lambda b=backbone: ours(root, Path(folder), b, "float32", steps)),
                Way("lerobot-train, float32, 4 workers", lambda b=backbone: theirs(root, folder, b, steps, 4)),
                Way("lerobot-train, float32, 1 worker", lambda b=backbone: theirs(root, folder, b, steps, 1)),
                Way("etude, bfloat16", lambda b=backbone: ours(root, Path(folder), b, "bfloat16", steps)),
                Way("lerobot-train, bfloat16, 1 worker", lambda b=backbone: theirs(root, folder, b, steps, 1, True)),
            ]
            rates = {way.name: [] for way in ways}
            for repeat in range(repeats):
                for way in ways[:: 1 if repeat % 2 == 0 else -1]:
                    rates[way.name].append(way.run())
            show(backbone, rates)


def ours(root: Path, folder: Path, backbone: str, precision: str, steps: int) -> float:
    """Steps a second of Etude's training."""
    cache = FrameCache.open(root, folder / "frames")
    features = Features.from_shapes({name: f.shape for name, f in cache.meta.features.items()})
    stats = statistics(cache, pixels=False)
    model = build_policy("act", features, stats, stream(0, "weights"), backbone=backbone, **SIZES)
    mixture = Mixture([MixtureSource(cache)], horizon=model.horizon, batch_size=BATCH)
    config = TrainConfig(
        steps=WARM_UP + steps, batch_size=BATCH, precision=precision, device="cpu", validate_every=10**6,
        checkpoint_every=10**6, threads=torch.get_num_threads(),
    )  # fmt: skip
    stamps: list[float] = []
    with tempfile.TemporaryDirectory() as out:
        train(
            model, mixture, [mixture.batch(0)], config, Path(out),
            progress=lambda *_: stamps.append(time.perf_counter()),
        )  # fmt: skip
    # The last step also validates and saves; LeRobot is told not to.
    return steps_a_second(stamps[:-1])


def theirs(root: Path, folder: str, backbone: str, steps: int, workers: int, amp: bool = False) -> float:
    """Steps a second of `lerobot-train`."""
    network = {"type": "act", "vision_backbone": backbone, "pretrained_backbone_weights": "null"}
    if backbone == "light":
        network = {"type": "etude_act", "backbone": backbone}
    policy = {**network, **SIZES, "device": "cpu", "push_to_hub": "false", "use_amp": str(amp).lower()}
    with tempfile.TemporaryDirectory(dir=folder) as out:
        command = [
            str(Path(sys.executable).with_name("lerobot-train")),
            "--dataset.repo_id=etude/benchmark", f"--dataset.root={root}",
            *(f"--policy.{name}={value}" for name, value in policy.items()),
            f"--batch_size={BATCH}", f"--steps={WARM_UP + steps}", f"--num_workers={workers}", "--log_freq=1",
            "--save_checkpoint=false", "--wandb.enable=false", f"--output_dir={out}/run",
        ]  # fmt: skip
        return steps_a_second(stamps_of(command))


def stamps_of(command: list[str]) -> list[float]:
    """When each step was reported."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    lines, stamps = [], []
    for line in process.stdout:
        lines.append(line)
        if "loss:" in line and "step:" in line:
            stamps.append(time.perf_counter())
    if process.wait():
        raise RuntimeError("".join(lines[-20:]))
    return stamps


def steps_a_second(stamps: list[float]) -> float:
    return (len(stamps) - 1 - WARM_UP) / (stamps[-1] - stamps[WARM_UP])


def show(backbone: str, rates: dict[str, list[float]]) -> None:
    """Print rates and what they come to, in float32 against float32 and as each comes by default."""
    print(f"steps/s of ACT with backbone {backbone}, batch {BATCH}, {len(rates['etude, float32'])} repeats in turns")
    for name, values in rates.items():
        print(f"  {name:<40} median {median(values):.2f}   from {min(values):.2f} to {max(values):.2f}")
    best = max(
        ("lerobot-train, float32, 4 workers", "lerobot-train, float32, 1 worker"), key=lambda n: median(rates[n])
    )
    pairs = {
        "as each comes": ("etude, bfloat16", "lerobot-train, float32, 4 workers"),
        "both float32": ("etude, float32", best),
        "both bfloat16": ("etude, bfloat16", "lerobot-train, bfloat16, 1 worker"),
    }
    found = {}
    for name, (first, second) in pairs.items():
        ratios = [a / b for a, b in zip(rates[first], rates[second], strict=True)]
        found[name] = {"ratio": median(ratios), "low": min(ratios), "high": max(ratios)}
        told = f"{median(ratios):.1f}x (from {min(ratios):.1f} to {max(ratios):.1f}, wanted 2x)"
        print(f"  {name}: {first} / {second}: {told}")
    print(json.dumps({"backbone": backbone, "rates": rates, "ratios": found}))


if __name__ == "__main__":
    main()
