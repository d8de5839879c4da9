"""Exact gradients of many groups of rows from one backward pass, heard in the calls that use a head's parameters.

Nothing is asked of the modules: torch is told to report every call that is given one of the parameters. Calls that have
a rule (`etude.acquisition.rules`) are followed; any other use of a parameter would make the result wrong, and is told.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from etude.acquisition.rules import RULES, Gradient, Rows, arguments_of, simple
from etude.core import ConfigError

type Key = tuple[str, int, int]
"""A parameter, or a part of it: name, which part, of how many along its first axis."""


class Listener(TorchFunctionMode):
    """Hears calls while it is entered, and their gradients in the backward pass that follows.

    Args:
        parameters: Name -> parameter, which does not require its gradient.
        axes: Name -> axis of the rows in what its layer is given.
        cells: Groups of one candidate.
        groups: Groups in all: rows come group by group, candidate by candidate.
        along: Name -> direction that gradients are multiplied with, or none.
    """

    def __init__(
        self,
        parameters: Mapping[str, nn.Parameter],
        axes: Mapping[str, int],
        *,
        cells: int,
        groups: int,
        along: Mapping[str, Tensor] | None = None,
    ) -> None:
        super().__init__()
        self._axes, self._cells, self._groups, self._along = axes, cells, groups, along or {}
        # Parts keep the tensors they stand for alive, so that an id never comes to mean another one.
        self._parts: dict[int, tuple[Key, Tensor]] = {id(p): ((name, 0, 1), p) for name, p in parameters.items()}
        self._waiting: dict[Key, list[Gradient]] = {}
        self._uses: dict[Key, int] = {}
        self.leaves: list[Tensor] = []
        """What the first layers give, whose inputs have no gradient: every backward path ends there."""
        some = next(iter(parameters.values()))
        self.products = torch.zeros(groups // cells, cells, cells, dtype=torch.float64, device=some.device)
        self.directed = torch.zeros(groups, dtype=torch.float64, device=some.device)

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Pass a call on, and remember it if it was given one of the parameters."""
        kwargs = kwargs or {}
        used = [self._parts[id(value)][0] for value in _flat((*args, *kwargs.values())) if id(value) in self._parts]
        out = func(*args, **kwargs)
        if not used:
            return out
        if func in RULES and simple(func, args, kwargs):
            return self._follow(func, args, kwargs, out)
        if func is Tensor.chunk and not kwargs and len({part.shape for part in out}) == 1:
            name, _, of = used[0]
            if of == 1:
                self._parts |= {id(part): ((name, i, len(out)), part) for i, part in enumerate(out)}
                return out
        if func is not Tensor.new_zeros and any(isinstance(value, Tensor) for value in _flat((out,))):
            raise ConfigError(
                f"parameter '{used[0][0]}' is used by {getattr(func, '__name__', func)}, for which there is no exact "
                "rule: leave it out of the head with --head PATTERN, such as one that names linear layers."
            )
        return out

    def _follow(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], out: Tensor
    ) -> Tensor:
        given = arguments_of(func, args, kwargs)
        keys = {role: self._parts[id(v)][0] for role, v in given.items() if v is not None and id(v) in self._parts}
        if not out.requires_grad:
            self.leaves.append(out.requires_grad_())
        for key in keys.values():
            self._uses[key] = self._uses.get(key, 0) + 1

        version = args[0]._version

        def hear(delta: Tensor) -> None:
            assert args[0]._version == version, f"what {func} was given was overwritten"
            rows = Rows(self._groups, self._axes[next(iter(keys.values()))[0]])
            with torch.no_grad():
                gradients = RULES[func](args, kwargs, delta, rows)
                for role, key in keys.items():
                    self._add(key, gradients[role])

        out.register_hook(hear)
        return out

    def _add(self, key: Key, gradient: Gradient) -> None:
        """Take a parameter's gradient into account once all calls that used it were heard."""
        heard = self._waiting.setdefault(key, [])
        heard.append(gradient)
        if len(heard) < self._uses[key]:
            return
        total: Any = heard[0]
        for other in heard[1:]:
            total = total.plus(other)
        del self._waiting[key]
        self.products += total.products(self._cells)
        name, index, of = key
        if name in self._along:
            self.directed += total.along(self._along[name].chunk(of)[index])


def _flat(values: Sequence[Any]) -> list[Any]:
    """Values, those of lists and tuples one by one."""
    return [each for value in values for each in (_flat(value) if isinstance(value, list | tuple) else [value])]
