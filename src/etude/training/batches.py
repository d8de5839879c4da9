"""From windows of demonstrations to tensors, with the next batch gathered while the last one is computed."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import torch
from torch import Tensor

from etude.data import WindowBatch
from etude.policies.features import ACTION_KEY, IMAGE_PREFIX, PAD_KEY, STATE_KEY


class Batches(Protocol):
    """What is trained on."""

    def batch(self, step: int) -> WindowBatch:
        """The batch of a step: the same whenever it is asked for, which makes resuming exact."""
        ...


def to_tensors(batch: WindowBatch) -> dict[str, Tensor]:
    """A batch under LeRobot's keys; images (B, 3, height, width) stay uint8 with channels last in memory."""
    images = {
        IMAGE_PREFIX + name: torch.from_numpy(pixels).permute(0, 3, 1, 2) for name, pixels in batch.images.items()
    }
    return {
        **images,
        STATE_KEY: torch.from_numpy(batch.state),
        ACTION_KEY: torch.from_numpy(batch.action),
        PAD_KEY: torch.from_numpy(batch.is_pad),
    }


def prefetch(batches: Batches, steps: range) -> Iterator[tuple[int, WindowBatch]]:
    """Yield (step, its batch), gathering one batch ahead in a thread."""
    with ThreadPoolExecutor(1, thread_name_prefix="batches") as thread:
        ahead = thread.submit(batches.batch, steps.start) if len(steps) else None
        for step in steps:
            assert ahead is not None
            batch = ahead.result()
            ahead = thread.submit(batches.batch, step + 1) if step + 1 < steps.stop else None
            yield step, batch
