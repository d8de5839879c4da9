"""Which pixels move the actions: the size of the gradient of what a policy says, for any LeRobot policy.

    influence(pixel) = √ Σ_k (∂ answer_k / ∂ pixel)²,        estimated as the mean of (∂ (answer · r) / ∂ pixel)²

over random signs r, which needs a backward pass per draw instead of one per number of the answer. The answer is the
chunk; of VINN, whose chunks are looked up, the key it looks them up by. Policies that cannot be differentiated through
their chunk answer with their loss on the demonstrated one.
"""

import inspect
import warnings
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from types import MethodType
from typing import Any, cast

import torch
from torch import Tensor

from etude.core import EtudeError
from etude.policies.features import IMAGE_PREFIX
from etude.policies.model import ChunkModel

DRAWS = 4


def influence(
    model: ChunkModel, ready: Mapping[str, Tensor], noise: Tensor | None, generator: torch.Generator
) -> tuple[dict[str, Tensor], str]:
    """The influence of every pixel that the network sees.

    Args:
        model: In eval mode.
        ready: A batch that the network takes, with "action" and "action_is_pad".
        noise: (N, H, A), for policies that start from noise.
        generator: Draws the signs.
    Returns:
        Key of the images -> (N, height, width), and what moves: "actions", "features" or "loss".
    """
    images = {
        key: _fractions(value).detach().requires_grad_()
        for key, value in ready.items()
        if key.startswith(IMAGE_PREFIX) and value.ndim == 4
    }
    moved, answer = _answer(model, {**ready, **images}, noise)
    squares = {key: torch.zeros_like(image[:, 0]) for key, image in images.items()}
    draws = DRAWS if answer.ndim else 1
    for draw in range(draws):
        signs = torch.randint(0, 2, answer.shape, generator=generator).to(answer) * 2 - 1
        gradients = torch.autograd.grad(
            (answer * signs).sum(), list(images.values()), retain_graph=draw + 1 < draws, allow_unused=True
        )
        for key, gradient in zip(images, cast(Sequence[Tensor | None], gradients), strict=True):
            squares[key] += 0 if gradient is None else gradient.square().sum(1)
    return {key: (square / draws).sqrt() for key, square in squares.items()}, moved


def _answer(model: ChunkModel, ready: dict[str, Tensor], noise: Tensor | None) -> tuple[str, Tensor]:
    encode: Callable[[dict[str, Tensor]], Tensor] | None = getattr(model.policy, "encode", None)
    with torch.enable_grad(), _differentiable(model.policy):
        if encode is not None:
            return "features", encode(ready)
        chunk = _chunk(model, ready, noise)
        return ("loss", _loss(model, ready)) if chunk is None else ("actions", chunk)


def _chunk(model: ChunkModel, ready: dict[str, Tensor], noise: Tensor | None) -> Tensor | None:
    """The chunk, where it can be differentiated."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="To evaluate in the environment")  # VQ-BeT's, in its first phase
        try:
            chunk = model.kind.predict(model.policy, ready, noise)
        except EtudeError:  # it looks at more than one observation
            return None
    return chunk if chunk.requires_grad else None


def _loss(model: ChunkModel, ready: dict[str, Tensor]) -> Tensor:
    """The loss; a policy that looks at several observations is given the present one in place of all."""
    config: Any = model.policy.config
    steps = len(config.observation_delta_indices or [0])
    if steps == 1:
        return model.kind.loss(model.policy, ready)
    seen = {key: ready[key][:, None].expand(-1, steps, *ready[key].shape[1:]) for key in config.input_features}
    loss, _ = model.policy.forward({**ready, **seen})
    return loss


@contextmanager
def _differentiable(policy: Any) -> Generator[None]:
    """Let a policy's chunk be differentiated: LeRobot decorates the method with no_grad."""
    plain = inspect.unwrap(type(policy).predict_action_chunk)
    policy.predict_action_chunk = MethodType(plain, policy)
    try:
        yield
    finally:
        del policy.predict_action_chunk


def _fractions(images: Tensor) -> Tensor:
    return images.to(torch.float32) / 255 if images.dtype == torch.uint8 else images.clone()
