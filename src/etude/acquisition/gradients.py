"""Gradients of a policy's loss on its head, one candidate apart from the other, as inner products only."""

import re
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from etude.acquisition.draws import ScoreSettings, SharedDraws
from etude.acquisition.evidence import Evidence
from etude.acquisition.listening import Listener
from etude.core import ConfigError, derive_seed
from etude.policies.features import ACTION_KEY, PAD_KEY
from etude.policies.model import ChunkModel
from etude.policies.scoring import Scorable

type Batch = Mapping[str, Any]
"""Windows at the anchors in the data's units, candidate by candidate, (N · m, …) each."""
type Direction = Mapping[str, Tensor]
"""Parameter -> a gradient of its shape."""

CELLS = 2


class HeadGradients(Protocol):
    """Measures candidates by the gradient of the policy's own loss on its head."""

    def evidence(self, batch: Batch, along: Direction | None = None) -> Evidence:
        """Measure N candidates.

        Args:
            batch: Their anchors.
            along: Gradient to compare theirs with.
        """
        ...

    def mean(self, batch: Batch) -> dict[str, Tensor]:
        """The gradient of the mean loss over N candidates."""
        ...


def head_gradients(model: ChunkModel, draws: SharedDraws, settings: ScoreSettings) -> HeadGradients:
    """The cheapest exact way to measure a policy's gradients.

    Raises:
        ConfigError: Its loss says nothing about actions, or it is not known what its head is.
    """
    if not model.kind.imitates:
        raise ConfigError(
            f"policy '{model.name}' has no loss of its actions to differentiate: scores failure, disagreement and "
            "random remain."
        )
    policy = model.policy.eval()
    if model.kind.scorable is not None:
        return RowGradients(model.kind.scorable(policy), model.prepare, draws, settings.head)
    if settings.head is None:
        raise ConfigError(
            f"it is not known what the head of policy '{model.name}' is: name its parameters with --head PATTERN, such "
            f"as --head '{_last_layer(policy)}*' (scores failure, disagreement and random need none)."
        )
    return ForwardGradients(model, _matching(dict(policy.named_parameters()), settings.head), draws, settings.seed)


class RowGradients:
    """All candidates of a batch from one forward and one backward pass of the head.

    Args:
        scorable: The policy.
        prepare: Normalises a batch.
        draws: Noise and times.
        pattern: Which of the head's parameters; None is all.
    """

    def __init__(
        self,
        scorable: Scorable,
        prepare: Callable[[Batch], Mapping[str, Tensor]],
        draws: SharedDraws,
        pattern: str | None = None,
    ) -> None:
        self._scorable, self._prepare, self._anchors = scorable, prepare, len(draws.positions)
        self._draws = draws.time.shape[1] if scorable.takes_draws else 1
        self._noise = torch.from_numpy(draws.noise[:, : self._draws]).flatten(0, 1)  # (m · K, H, A)
        self._time = torch.from_numpy(draws.time[:, : self._draws]).flatten()
        named = {f"{part.name}.{name}": p for part in scorable.head for name, p in part.module.named_parameters()}
        self._parameters = _matching(named, pattern or "*")
        self._axes = {
            f"{part.name}.{name}": part.row_axis for part in scorable.head for name, _ in part.module.named_parameters()
        }

    def evidence(self, batch: Batch, along: Direction | None = None) -> Evidence:
        """Measure N candidates."""
        groups = CELLS * (len(batch[ACTION_KEY]) // self._anchors)
        with _requiring(self._scorable.policy), torch.enable_grad():
            listener = Listener(self._parameters, self._axes, cells=CELLS, groups=groups, along=along)
            with listener:
                losses = self.row_losses(batch).view(groups, -1).mean(1)
            torch.autograd.grad(losses.sum(), listener.leaves)
        per_candidate = losses.detach().double().view(-1, CELLS).mean(1)
        directed = listener.directed.view(-1, CELLS).mean(1)
        return Evidence(
            products=listener.products.cpu().numpy(),
            losses=per_candidate.cpu().numpy(),
            along=directed.cpu().numpy() if along else np.full(len(directed), np.nan),
        )

    def mean(self, batch: Batch) -> dict[str, Tensor]:
        """The gradient of the mean loss over N candidates."""
        parameters = list(self._parameters.values())
        with _requiring(self._scorable.policy, parameters), torch.enable_grad():
            gradients = torch.autograd.grad(self.row_losses(batch).mean(), parameters, materialize_grads=True)
        return dict(zip(self._parameters, gradients, strict=True))

    def row_losses(self, batch: Batch) -> Tensor:
        """Losses of every row, (N · m · K,): the K draws of an anchor follow one another."""
        with torch.no_grad():
            batch = self._prepare(batch)
            features = self._scorable.encode(batch)
        actions, copies = batch[ACTION_KEY], len(batch[ACTION_KEY]) // self._anchors
        rows = torch.arange(len(actions), device=actions.device).repeat_interleave(self._draws)
        noise, time = (each.to(actions).repeat(copies, *[1] * (each.ndim - 1)) for each in (self._noise, self._time))
        return self._scorable.row_losses(
            tuple(each[rows] for each in features), actions[rows], batch[PAD_KEY][rows], noise, time
        )


class ForwardGradients:
    """Any policy of LeRobot's through its own loss: one forward and one backward pass per candidate, half and draw.

    Its noise comes from torch's stream, which is given the same seeds for all candidates.

    Args:
        model: The policy.
        parameters: Those that gradients are taken of.
        draws: How many there are.
        seed: Root of torch's seeds.
    """

    def __init__(
        self, model: ChunkModel, parameters: Mapping[str, nn.Parameter], draws: SharedDraws, seed: int
    ) -> None:
        self._model, self._parameters, self._seed = model, dict(parameters), seed
        self._anchors, self._draws = draws.time.shape

    def evidence(self, batch: Batch, along: Direction | None = None) -> Evidence:
        """Measure N candidates."""
        parts = [self._measure(each, along) for each in _candidates(batch, self._anchors)]
        return Evidence.join(parts)

    def mean(self, batch: Batch) -> dict[str, Tensor]:
        """The gradient of the mean loss over N candidates."""
        count, total = 0, {name: torch.zeros_like(p) for name, p in self._parameters.items()}
        for candidate in _candidates(batch, self._anchors):
            for half in range(CELLS):
                gradients, _ = self._half(candidate, half)
                total = {name: total[name] + gradient for name, gradient in gradients.items()}
                count += 1
        return {name: gradient / count for name, gradient in total.items()}

    def _measure(self, candidate: Batch, along: Direction | None) -> Evidence:
        halves = [self._half(candidate, half) for half in range(CELLS)]
        gradients = [halves[0][0], halves[1][0]]
        products = [[_inner(a, b) for b in gradients] for a in gradients]
        directed = np.mean([_inner(each, along) for each in gradients]) if along else np.nan
        losses = float(np.mean([loss for _, loss in halves]))
        return Evidence(products=np.array([products]), losses=np.array([losses]), along=np.array([directed]))

    def _half(self, candidate: Batch, half: int) -> tuple[dict[str, Tensor], float]:
        """Gradient and value of the mean loss over one half of the anchors and all draws."""
        size = self._anchors // CELLS
        rows = self._model.prepare({n: values[half * size : (half + 1) * size] for n, values in candidate.items()})
        policy, names = self._model.policy, list(self._parameters)
        total, mean = [torch.zeros_like(p) for p in self._parameters.values()], 0.0
        with _requiring(policy, self._parameters.values()), torch.random.fork_rng(devices=[]), torch.enable_grad():
            for draw in range(self._draws):
                torch.manual_seed(derive_seed(self._seed, "draw", half, draw))
                loss = self._model.kind.loss(policy, rows)
                if not loss.requires_grad:
                    raise ConfigError(
                        f"the loss of policy '{self._model.name}' does not depend on the head that was named: name "
                        "other parameters with --head; scores failure, disagreement and random need none."
                    )
                gradients = torch.autograd.grad(loss, list(self._parameters.values()), materialize_grads=True)
                total = [sum_ + gradient / self._draws for sum_, gradient in zip(total, gradients, strict=True)]
                mean += float(loss.detach()) / self._draws
        return dict(zip(names, total, strict=True)), mean


def _matching(parameters: Mapping[str, nn.Parameter], pattern: str) -> dict[str, nn.Parameter]:
    found = {name: p for name, p in parameters.items() if fnmatchcase(name, pattern)}
    if not found:
        some = list(dict.fromkeys(re.sub(r"\.(weight|bias)$", "", name) for name in parameters))[-8:]
        raise ConfigError(
            f"--head {pattern} names no parameter of the policy's head; it has, among others, {', '.join(some)}."
        )
    return found


def _last_layer(policy: nn.Module) -> str:
    """Name of the last linear layer, as an example of a head."""
    names = [name for name, module in policy.named_modules() if isinstance(module, nn.Linear)]
    return names[-1] if names else "model."


def _candidates(batch: Batch, anchors: int) -> list[Batch]:
    """A batch for each candidate."""
    firsts = range(0, len(batch[ACTION_KEY]), anchors)
    return [{name: values[first : first + anchors] for name, values in batch.items()} for first in firsts]


def _inner(a: Direction, b: Direction) -> float:
    return sum(float((gradient.double() * b[name].double()).sum()) for name, gradient in a.items())


@contextmanager
def _requiring(policy: nn.Module, wanted: Iterable[nn.Parameter] = ()) -> Generator[None]:
    """Only the wanted of a policy's parameters require their gradients inside: no backward pass goes further."""
    parameters = list(policy.parameters())
    before, these = [p.requires_grad for p in parameters], {id(p) for p in wanted}
    try:
        for parameter in parameters:
            parameter.requires_grad_(id(parameter) in these)
        yield
    finally:
        for parameter, was in zip(parameters, before, strict=True):
            parameter.requires_grad_(was)
