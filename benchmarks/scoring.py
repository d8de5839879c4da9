"""Rows scored a second: 256 candidates × 8 anchors × 16 draws by the gradient of a flow policy's head, one thread.

Beside it, on the same rows with the same features: one batched forward and backward pass of the head, the least that a
gradient costs (ours may take 1.1 times as long: a ratio of at least 0.91), and one backward pass per candidate and draw
(at least 10 times slower; measured on a few candidates, as a rate): on the same features, and as one would write it
with nothing but the policy's own loss, which sees the images anew. The encoder's one forward pass is told, and how
fast the same passes are without the gradient of any parameter: no exact score can be faster.

    python -m benchmarks.scoring                         an untrained policy of the default size, made-up windows
    python -m benchmarks.scoring CHECKPOINT DATASET      a trained one, and the episodes of a dataset
"""

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.timing import Side, compare
from etude.acquisition.anchors import Anchors
from etude.acquisition.draws import ScoreSettings, SharedDraws
from etude.acquisition.gradients import RowGradients
from etude.core import stream
from etude.data import FeatureStatistics
from etude.policies import Features
from etude.policies.checkpoint import build_policy, load_model
from etude.policies.model import ChunkModel
from etude.policies.scoring import Scorable
from etude.policies.threads import torch_threads

CANDIDATES, SUBSET = 256, 4
SETTINGS = ScoreSettings(anchors=8, draws=16)


class Encoded:
    """A policy whose features are in the batch already."""

    def __init__(self, scorable: Scorable) -> None:
        self.policy, self.head, self.takes_draws = scorable.policy, scorable.head, scorable.takes_draws
        self.row_losses = scorable.row_losses

    def encode(self, batch: Any) -> tuple[Tensor, ...]:
        return batch["features"]


def main(checkpoint: Path | None = None, dataset: Path | None = None, repeats: int = 21) -> None:
    """Measure and print."""
    model = load_model(checkpoint) if checkpoint else untrained()
    assert model.kind.scorable is not None
    scorable = model.kind.scorable(model.policy.eval())
    draws = SharedDraws.of(SETTINGS, model.horizon, model.features.action_size)
    with torch_threads(1):
        batches = windows(model, dataset)
        ready = [model.prepare(batch) for batch in batches]
        begin = time.perf_counter()
        with torch.no_grad():
            encoded = [{**batch, "features": scorable.encode(batch)} for batch in ready]
        encoding_s = time.perf_counter() - begin
        gradients = RowGradients(Encoded(scorable), lambda batch: batch, draws)
        parameters = [p for part in scorable.head for p in part.module.parameters()]

        def score() -> int:
            for batch in encoded:
                gradients.evidence(batch)
            return rows(encoded)

        def one_pass() -> int:
            for batch in encoded:
                torch.autograd.grad(gradients.row_losses(batch).mean(), parameters, allow_unused=True)
            return rows(encoded)

        def passes() -> int:
            for batch in encoded:
                without_parameters(gradients, batch, parameters)
            return rows(encoded)

        def one_by_one() -> int:
            return by_candidate_and_draw(scorable, encoded[0], draws, parameters)

        figure = f"{CANDIDATES} candidates × {SETTINGS.anchors} anchors × {SETTINGS.draws} draws"
        compare(
            figure, Side("scores", score), Side("the head's forward + backward", one_pass), unit="row", repeats=repeats
        ).show(1 / 1.1)
        apart = Side(f"one backward per draw ({SUBSET} candidates)", one_by_one)
        compare(figure, Side("scores", score), apart, unit="row", repeats=3).show(10)
        compare(figure, Side("the passes without parameters", passes), apart, unit="row", repeats=3).show()

        def from_images() -> int:
            for batch in ready:
                RowGradients(scorable, lambda batch: batch, draws).evidence(batch)
            return rows(ready)

        def own_loss() -> int:
            return by_own_loss(model, ready[0], parameters)

        model.policy.config.noise_draws = 1  # flow's own loss would take several at a time
        own = Side(f"the policy's own loss, draw by draw ({SUBSET})", own_loss)
        compare(figure, Side("scores, images encoded once", from_images), own, unit="row", repeats=3).show(10)
        begin = time.perf_counter()
        score()
        print(f"all scores {time.perf_counter() - begin:.2f} s, the encoder's one forward pass {encoding_s:.2f} s")


def untrained() -> ChunkModel:
    """A flow policy at its default size, with two 96² cameras."""
    features = Features(cameras=("front", "wrist"), image_size=(96, 96), state_size=8, action_size=8)
    sizes = {"observation.state": 8, "action": 8}
    statistics = FeatureStatistics({key: {"mean": np.zeros(n), "std": np.ones(n)} for key, n in sizes.items()})
    return build_policy("flow", features, statistics, stream(0, "weights"))


def windows(model: ChunkModel, dataset: Path | None) -> list[dict[str, Any]]:
    """The windows of 256 candidates, in the batches that scoring makes."""
    if dataset:
        anchors = Anchors(dataset, model, SETTINGS)
        episodes = np.arange(CANDIDATES) % len(anchors.lengths)
        return [batch for _, batch in anchors.batches(episodes)]
    rng, features = stream(0, "windows"), model.features
    at_once = SETTINGS.rows // SETTINGS.draws

    def made_up() -> dict[str, Any]:
        images = {
            f"observation.images.{camera}": torch.from_numpy(rng.integers(0, 256, (at_once, 3, *size), np.uint8))
            for camera, size in features.image_sizes.items()
        }
        return {
            **images,
            "observation.state": torch.from_numpy(rng.standard_normal((at_once, features.state_size), np.float32)),
            "action": torch.from_numpy(rng.standard_normal((at_once, model.horizon, features.action_size), np.float32)),
            "action_is_pad": torch.zeros(at_once, model.horizon, dtype=torch.bool),
        }

    return [made_up() for _ in range(CANDIDATES * SETTINGS.anchors // at_once)]


def rows(batches: list[dict[str, Any]]) -> int:
    return sum(len(batch["action"]) for batch in batches) * SETTINGS.draws


def without_parameters(gradients: RowGradients, batch: dict[str, Any], parameters: list[torch.nn.Parameter]) -> None:
    """Forward and backward through all layers of the head, to its features."""
    features = tuple(each.detach().requires_grad_() for each in batch["features"])
    for parameter in parameters:
        parameter.requires_grad_(False)
    torch.autograd.grad(gradients.row_losses({**batch, "features": features}).sum(), features)
    for parameter in parameters:
        parameter.requires_grad_(True)


def by_candidate_and_draw(
    scorable: Scorable, batch: dict[str, Any], draws: SharedDraws, parameters: list[torch.nn.Parameter]
) -> int:
    """Gradients of some candidates the plain way."""
    noise, time_ = torch.from_numpy(draws.noise), torch.from_numpy(draws.time)
    for candidate in range(SUBSET):
        part = slice(candidate * SETTINGS.anchors, (candidate + 1) * SETTINGS.anchors)
        total = [torch.zeros_like(p) for p in parameters]
        for k in range(SETTINGS.draws):
            losses = scorable.row_losses(
                tuple(each[part] for each in batch["features"]),
                batch["action"][part],
                batch["action_is_pad"][part],
                noise[:, k],
                time_[:, k],
            )
            gradients = torch.autograd.grad(losses.mean(), parameters)
            total = [a + b for a, b in zip(total, gradients, strict=True)]
        sum(float(gradient.square().sum()) for gradient in total)
    return SUBSET * SETTINGS.anchors * SETTINGS.draws


def by_own_loss(model: ChunkModel, batch: dict[str, Any], parameters: list[torch.nn.Parameter]) -> int:
    """Gradients of some candidates with nothing but the policy's forward pass, in its own draws."""
    for candidate in range(SUBSET):
        part = slice(candidate * SETTINGS.anchors, (candidate + 1) * SETTINGS.anchors)
        anchors = {name: values[part] for name, values in batch.items() if isinstance(values, Tensor)}
        for _ in range(SETTINGS.draws):
            torch.autograd.grad(model.kind.loss(model.policy, anchors), parameters)
    return SUBSET * SETTINGS.anchors * SETTINGS.draws


if __name__ == "__main__":
    main(*(Path(path) for path in sys.argv[1:3]))
