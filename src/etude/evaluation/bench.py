"""What a process keeps ready between jobs: environments and a policy, which cost far more to make than to reset."""

import atexit
from collections import OrderedDict
from dataclasses import dataclass, field

from etude.core import Environment, Policy, PolicyFactory, Task

_KEPT = 4  # the policy under test, the expert, and a second pair for a comparison


@dataclass(frozen=True)
class _Place:
    task: Task
    factory: PolicyFactory
    policy: Policy
    environments: list[Environment] = field(default_factory=list[Environment])

    def grow(self, slots: int) -> list[Environment]:
        while len(self.environments) < slots:
            self.environments.append(self.task.environment(lazy_images=True, object_state=self.factory.object_state))
        return self.environments[:slots]


_places: OrderedDict[tuple[Task, PolicyFactory], _Place] = OrderedDict()


def bench(task: Task, factory: PolicyFactory, slots: int) -> tuple[list[Environment], Policy]:
    """Environments, `slots` of them, and the policy, made here the first time they are asked for.

    Images are lazy: a chunk policy that looks every eighth step costs an eighth of the rendering.
    """
    key = (task, factory)
    if key not in _places:
        while len(_places) >= _KEPT:
            _close(_places.popitem(last=False)[1])
        _places[key] = _Place(task, factory, factory.create())
    _places.move_to_end(key)
    return _places[key].grow(slots), _places[key].policy


@atexit.register
def clear_bench() -> None:
    """Close all environments that this process keeps."""
    while _places:
        _close(_places.popitem()[1])


def _close(place: _Place) -> None:
    for environment in place.environments:
        environment.close()
