"""How the gradient of a layer's parameters follows from what the layer was given and the gradient at what it gave.

Rows come in G groups of equal size, and a rule tells the gradient of each group apart, at the price of the one gradient
of them all: as a sum of outer products (`Outer`), which need not be carried out, or as it is (`Plain`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

_CACHED = 2**19
"""Numbers that are read again right after they were written: more are slower, and fewer than 2 MiB are no faster."""


@dataclass(frozen=True)
class Outer:
    """Σ_r δ_r a_rᵀ in each group.

    Attributes:
        inputs: a, (G, R, I).
        deltas: δ, (G, R, O).
    """

    inputs: Tensor
    deltas: Tensor

    def products(self, cells: int) -> Tensor:
        """⟨g_c, g_d⟩ between each `cells` successive groups, (G / cells, cells, cells), in float64."""
        size, rows, wide, high = *self.inputs.shape, self.deltas.shape[2]
        if (cells + 1) * rows * (wide + high) >= 2 * wide * high:
            return self._carried_out(cells)
        a, d = (each.reshape(size // cells, cells * rows, -1) for each in (self.inputs, self.deltas))
        found = a.new_empty(size // cells, cells, cells, dtype=torch.float64)
        for cell in range(cells):  # with itself and those that follow: every pair of cells once
            own, rest = slice(cell * rows, (cell + 1) * rows), slice(cell * rows, None)
            pairs = (a[:, own] @ a[:, rest].mT).mul_(d[:, own] @ d[:, rest].mT)  # (a_r · a_s)(δ_r · δ_s)
            products = pairs.unflatten(2, (-1, rows)).sum((1, 3), dtype=torch.float64)
            found[:, cell, cell:] = found[:, cell:, cell] = products
        return found

    def _carried_out(self, cells: int) -> Tensor:
        """The products by way of the gradients themselves, as many at a time as a processor's cache holds."""
        size, wide, high = len(self.inputs), self.inputs.shape[2], self.deltas.shape[2]
        at_once = min(max(1, _CACHED // (cells * wide * high)) * cells, size)
        buffer = self.inputs.new_empty(at_once, high, wide)
        found = self.inputs.new_empty(size // cells, cells, cells)
        parts = (self.inputs.split(at_once), self.deltas.mT.split(at_once), found.split(at_once // cells))
        for a, d, products in zip(*parts, strict=True):
            g = torch.bmm(d, a, out=buffer[: len(a)]).view(-1, cells, high * wide)
            torch.bmm(g, g.mT, out=products)
        return found.double()

    def along(self, direction: Tensor) -> Tensor:
        """⟨g, direction⟩ of each group, (G,), for a direction of the parameter's shape."""
        matrix = direction.reshape(self.deltas.shape[2], self.inputs.shape[2])
        return ((self.inputs @ matrix.T) * self.deltas).sum((1, 2), dtype=torch.float64)

    def plus(self, other: "Outer") -> "Outer":
        """The sum of two gradients of one parameter."""
        return Outer(torch.cat([self.inputs, other.inputs], 1), torch.cat([self.deltas, other.deltas], 1))


@dataclass(frozen=True)
class Plain:
    """The gradients themselves.

    Attributes:
        gradients: (G, P).
    """

    gradients: Tensor

    def products(self, cells: int) -> Tensor:
        """⟨g_c, g_d⟩ between each `cells` successive groups, (G / cells, cells, cells), in float64."""
        g = self.gradients.unflatten(0, (-1, cells))
        return (g @ g.transpose(1, 2)).double()

    def along(self, direction: Tensor) -> Tensor:
        """⟨g, direction⟩ of each group, (G,), for a direction of the parameter's shape."""
        return (self.gradients @ direction.flatten()).double()

    def plus(self, other: "Plain") -> "Plain":
        """The sum of two gradients of one parameter."""
        return Plain(self.gradients + other.gradients)


type Gradient = Outer | Plain
type Rule = Callable[[tuple[Any, ...], Mapping[str, Any], Tensor, "Rows"], dict[str, Gradient]]
"""(arguments, keywords, gradient at what was given back, rows) -> gradient of "weight" and of "bias"."""


@dataclass(frozen=True)
class Rows:
    """Where the rows are in a layer's tensors, and in how many groups they come.

    Attributes:
        groups: G.
        axis: Axis of the rows.
    """

    groups: int
    axis: int

    def grouped(self, values: Tensor) -> Tensor:
        """(…, rows, …, D) → (G, R, D), with a row for everything but the last axis."""
        return values.movedim(self.axis, 0).reshape(self.groups, -1, values.shape[-1])

    def summed(self, values: Tensor) -> Plain:
        """The sum over each group of (…, rows, …, D)."""
        parts = values.unflatten(self.axis, (self.groups, -1)).movedim(self.axis, 0)  # (G, …, D)
        return Plain(parts.sum(tuple(range(1, parts.ndim - 1))))

    def affine(self, inputs: Tensor, deltas: Tensor) -> dict[str, Gradient]:
        """Of the weight and the bias of a linear layer, (…, rows, …, I) → (…, rows, …, O)."""
        d = self.grouped(deltas)
        return {"weight": Outer(self.grouped(inputs), d), "bias": Plain(d.sum(1))}


def linear(args: tuple[Any, ...], kwargs: Mapping[str, Any], delta: Tensor, rows: Rows) -> dict[str, Gradient]:
    """F.linear(x, weight, bias)."""
    del kwargs
    return rows.affine(args[0], delta)


def conv1d(args: tuple[Any, ...], kwargs: Mapping[str, Any], delta: Tensor, rows: Rows) -> dict[str, Gradient]:
    """F.conv1d(x, weight, bias, stride, padding, dilation): a linear layer on windows of x."""
    windows = _windows(args[0], args[1].shape[2], *_geometry(args, kwargs))
    return rows.affine(windows, delta.transpose(1, 2))


def conv_transpose1d(
    args: tuple[Any, ...], kwargs: Mapping[str, Any], delta: Tensor, rows: Rows
) -> dict[str, Gradient]:
    """F.conv_transpose1d(x, weight, bias, stride, padding, …): conv1d with the parts of x and δ exchanged."""
    stride, padding, _ = _geometry(args, kwargs)
    windows = _windows(delta, args[1].shape[2], stride, padding, (1,))
    given = args[0].transpose(1, 2)
    bias = rows.summed(delta.transpose(1, 2))
    return {"weight": Outer(rows.grouped(windows), rows.grouped(given)), "bias": bias}


def layer_norm(args: tuple[Any, ...], kwargs: Mapping[str, Any], delta: Tensor, rows: Rows) -> dict[str, Gradient]:
    """F.layer_norm(x, (D,), weight, bias, eps)."""
    normal = F.layer_norm(args[0], args[1], eps=kwargs.get("eps", args[4] if len(args) > 4 else 1e-5))
    return {"weight": rows.summed(normal * delta), "bias": rows.summed(delta)}


def group_norm(args: tuple[Any, ...], kwargs: Mapping[str, Any], delta: Tensor, rows: Rows) -> dict[str, Gradient]:
    """F.group_norm(x, groups, weight, bias, eps) of (B, D, …)."""
    normal = F.group_norm(args[0], args[1], eps=kwargs.get("eps", args[4] if len(args) > 4 else 1e-5))
    over_time = [each.flatten(2).transpose(1, 2) for each in (normal * delta, delta)]
    return {"weight": rows.summed(over_time[0]), "bias": rows.summed(over_time[1])}


RULES: Mapping[Callable[..., Any], Rule] = {
    F.linear: linear,
    F.conv1d: conv1d,
    F.conv_transpose1d: conv_transpose1d,
    F.layer_norm: layer_norm,
    F.group_norm: group_norm,
}
"""Torch's function -> the gradients of its weight and bias."""


def arguments_of(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> dict[str, Tensor | None]:
    """What a call that has a rule was given as weight and as bias."""
    first = 2 if function in (F.layer_norm, F.group_norm) else 1
    places = {"weight": first, "bias": first + 1}
    return {name: kwargs.get(name, args[i] if i < len(args) else None) for name, i in places.items()}


def simple(function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    """Whether a rule is exact for a call: no grouped convolution, no norm over more than one axis."""
    if function is F.layer_norm:
        return len(args[1]) == 1
    position = {F.conv1d: 6, F.conv_transpose1d: 6}.get(function)
    if position is None:
        return True
    groups = kwargs.get("groups", args[position] if len(args) > position else 1)
    return groups == 1 and not isinstance(kwargs.get("padding", args[4] if len(args) > 4 else 0), str)


def _geometry(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[tuple[int], tuple[int], tuple[int]]:
    """Stride, padding and dilation of a convolution."""
    given = zip(("stride", "padding", "dilation"), (3, 4, 5), (1, 0, 1), strict=True)
    found = [kwargs.get(name, args[i] if len(args) > i else usual) for name, i, usual in given]
    stride, padding, dilation = [(value,) if isinstance(value, int) else (int(value[0]),) for value in found]
    return stride, padding, dilation


def _windows(x: Tensor, size: int, stride: tuple[int], padding: tuple[int], dilation: tuple[int]) -> Tensor:
    """What each place of a convolution looks at, (B, C, T) → (B, T', C · size)."""
    (s,), (p,), (d,) = stride, padding, dilation
    windows = F.pad(x, (p, p)).unfold(2, (size - 1) * d + 1, s)[..., ::d]  # (B, C, T', size)
    return windows.transpose(1, 2).flatten(2)
