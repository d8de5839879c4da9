"""`etude serve`: a trained policy as a server, for whoever speaks openpi's protocol."""

import signal
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from etude.cli.terminal import show
from etude.core import ConfigError


@dataclass(frozen=True, kw_only=True)
class Options:
    """Serve a checkpoint by openpi's WebSocket protocol, to programs on this machine, until Ctrl-C.

    Requests have "observation/state", "observation/images/CAMERA" for every camera, and "prompt"; replies have
    "actions", all of a predicted chunk. Outcomes of `etude eval --policy ws://127.0.0.1:PORT` are those of the
    checkpoint itself.

    Examples:
        etude serve runs/first --port 8000
        etude serve runs/first --port 8000 --mapping names.json

    Attributes:
        checkpoint: A checkpoint folder, or the output of a training.
        port: Where to listen on 127.0.0.1; 0 takes a free one.
        mapping: JSON file with other names for the parts of an observation; see docs/remote.md.
        threads: Threads that the network computes with.
    """

    checkpoint: Annotated[Positional[Path], arg(metavar="DIR")]
    port: int = 8000
    mapping: Annotated[Path | None, arg(metavar="FILE")] = None
    threads: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.port < 2**16:
            raise ConfigError(f"--port {self.port}: must be from 0 to 65535.")
        if self.threads < 1:
            raise ConfigError(f"--threads {self.threads}: must be at least 1.")


def run(options: Options) -> None:
    """Serve."""
    from etude.loop.wiring import find_checkpoint
    from etude.policies import CheckpointPolicy
    from etude.policies.inputs.reading import checkpoint_features
    from etude.policies.remote.mapping import RemoteMapping
    from etude.policies.remote.serving import PolicyServer

    folder = find_checkpoint(options.checkpoint)
    mapping = RemoteMapping.read(options.mapping) if options.mapping else None
    policy = CheckpointPolicy(str(folder), execute=1, threads=options.threads)
    with PolicyServer(policy, checkpoint_features(folder), port=options.port, mapping=mapping) as server:

        def stop(*_: object) -> None:
            # From another thread: the one interrupted is the one that serves.
            threading.Thread(target=server.stop).start()

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, stop)
        show(f"serving {folder} at {server.url}; Ctrl-C ends it")
        sys.stdout.flush()  # whoever started this in the background waits for the line
        server.run()
    show("served; all connections are closed")
