"""Listening to modules of a network while it runs."""

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from torch import Tensor, nn


class Recording:
    """A context in which what some modules are given and give is kept, call by call.

    Args:
        modules: Name -> module.
    """

    def __init__(self, modules: Mapping[str, nn.Module]) -> None:
        self.given: dict[str, list[dict[str | int, Any]]] = {name: [] for name in modules}
        """Name -> arguments of each call, by position or name."""
        self.gave: dict[str, list[Tensor]] = {name: [] for name in modules}
        """Name -> result of each call; of several, the first."""
        self._modules, self._handles = modules, list[Any]()

    def __enter__(self) -> Self:
        for name, module in self._modules.items():

            def keep(
                _module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any, name: str = name
            ) -> None:
                self.given[name].append({**dict(enumerate(args)), **kwargs})
                self.gave[name].append(_first(result))

            self._handles.append(module.register_forward_hook(keep, with_kwargs=True))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for handle in self._handles:
            handle.remove()


def _first(result: Any) -> Any:
    """The feature map of LeRobot's backbones, the output of an attention, or the result itself."""
    if isinstance(result, Mapping):
        return next(iter(result.values()))  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return result[0] if isinstance(result, tuple) else result
