"""Seconds a training step: the flow policy on 64 windows with two 96² cameras, two threads; and rolling it out.

Absolute times: the spread over repeats shows how quiet the machine was.
"""

import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks import training_samples
from etude.core import Observation, stream
from etude.data import FrameCache, Mixture, MixtureSource, statistics
from etude.policies import Features
from etude.policies.checkpoint import build_policy
from etude.policies.execution import ChunkPolicy
from etude.training import TrainConfig
from etude.training.train import train


def main(repeats: int = 5, steps: int = 30) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "dataset")
        training_samples.write(root)
        cache = FrameCache.open(root, Path(folder, "frames"))
        features = Features.from_shapes({name: f.shape for name, f in cache.meta.features.items()})
        model = build_policy("flow", features, statistics(cache, pixels=False), stream(0, "weights"))
        mixture = Mixture([MixtureSource(cache)], horizon=model.horizon, batch_size=64, seed=0)
        config = TrainConfig(steps=steps, validate_every=steps, checkpoint_every=steps)
        times: list[float] = []
        for repeat in range(repeats + 1):
            stamps: list[float] = []
            train(
                model, mixture, [mixture.batch(0)], config, Path(folder, f"out-{repeat}"),
                progress=lambda _step, _total, _loss, stamps=stamps: stamps.append(time.perf_counter()),
            )  # fmt: skip
            times.append((stamps[-1] - stamps[4]) / (len(stamps) - 5))
        show("training step of 64 samples, two 96² cameras, two threads", times[1:], wanted="at most 0.07 s")
        policy = ChunkPolicy(model, execute=8, batch_size=8, threads=1)
        show("chunk for one of eight observations, one thread", [inference(policy, cache) for _ in range(repeats)])


def inference(policy: ChunkPolicy, cache: FrameCache, calls: int = 10) -> float:
    """Seconds per observation."""
    images = {camera: np.ascontiguousarray(frames[0]) for camera, frames in cache.images.items()}
    observations = [Observation(images=images, state=np.array(cache.state[0]))] * 8
    memories = [policy.begin(stream(0, i)) for i in range(8)]
    policy.act(observations, memories)
    begin = time.perf_counter()
    for _ in range(calls):
        policy.act(observations, memories)
    return (time.perf_counter() - begin) / calls / 8


def show(figure: str, times: list[float], wanted: str = "") -> None:
    goal = f" (wanted {wanted})" if wanted else ""
    print(f"{figure}: median {median(times):.4f} s, from {min(times):.4f} to {max(times):.4f}{goal}")


if __name__ == "__main__":
    main()
