"""Batches to train on, shared out among processes, the next one gathered while the last one is computed."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import numpy as np

from etude.data import WindowBatch


class Batches(Protocol):
    """What is trained on."""

    def batch(self, step: int) -> WindowBatch:
        """The batch of a step: the same whenever it is asked for, which makes resuming exact."""
        ...

    def sweep(self) -> Iterator[WindowBatch]:
        """Every window once, in batches."""
        ...


def part_of(batch: WindowBatch, index: int, parts: int) -> WindowBatch:
    """Every `parts`-th window from `index` on, so that each part has its share of every source."""
    if parts == 1:
        return batch
    every = slice(index, None, parts)
    return WindowBatch(
        images={camera: np.ascontiguousarray(pixels[every]) for camera, pixels in batch.images.items()},
        state=np.ascontiguousarray(batch.state[every]),
        action=np.ascontiguousarray(batch.action[every]),
        is_pad=np.ascontiguousarray(batch.is_pad[every]),
        source=batch.source[every],
        episode=batch.episode[every],
        frame=batch.frame[every],
    )


def prefetch(batches: Batches, steps: range) -> Iterator[tuple[int, WindowBatch]]:
    """Yield (step, its batch), gathering one batch ahead in a thread."""
    with ThreadPoolExecutor(1, thread_name_prefix="batches") as thread:
        ahead = thread.submit(batches.batch, steps.start) if len(steps) else None
        for step in steps:
            assert ahead is not None
            batch = ahead.result()
            ahead = thread.submit(batches.batch, step + 1) if step + 1 < steps.stop else None
            yield step, batch
