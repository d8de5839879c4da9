"""The first demonstrations as sources: annotated once for all arms, and who makes new ones from them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from etude.data import DatasetMeta
from etude.generation.annotating import annotate_dataset
from etude.generation.config import GenerationConfig
from etude.generation.selecting import Strategy
from etude.loop.chain import Chain
from etude.loop.making.fallback import OrExpert
from etude.loop.making.generating import GeneratorMaker, read_sources
from etude.loop.making.maker import Maker
from etude.loop.pupil import DATASET
from etude.loop.stage import Manifest, load_manifest


@dataclass(frozen=True)
class Sources:
    """What an arm's new demonstrations are made from, and by whom."""

    chain: Chain

    @property
    def directory(self) -> Path:
        """Where those of the first demonstrations are that new ones are made from."""
        return self.chain.directory / "round-00" / "annotate"

    def annotate(self) -> Manifest:
        """Annotate some of the first demonstrations: replay them, and keep what an action asked for and where."""
        chain, collected = self.chain, self.chain.directory / "round-00" / "collect"
        count = min(chain.config.sources, chain.config.demonstrations)

        def work(folder: Path) -> Mapping[str, Any]:
            with chain.progress("annotate demonstrations", count) as update:
                annotated = annotate_dataset(
                    DatasetMeta.open(collected / DATASET),
                    folder / DATASET,
                    chain.task,
                    executor=chain.executor,
                    episodes=range(count),
                    on_episode=lambda episode, _result: update(episode + 1, ""),
                )
            return {"sources": annotated.kept}

        return chain.stage(self.directory, {"collected": load_manifest(collected).hash, "sources": count}, work)

    def episodes(self, maker: str) -> tuple[int, ...]:
        """The source demonstrations by number; the expert makes new ones from none, which is −1."""
        if maker == "expert":
            return (-1,)
        return tuple(source.episode for source in read_sources(self.directory / DATASET, self.chain.task))

    def maker(
        self, name: str, *, select: Strategy = "nearest-object", distributions: Path | None = None
    ) -> Maker | None:
        """Who makes demonstrations; the expert is None.

        Args:
            name: As in `etude.loop.arms.Maker`.
            select: How the generator chooses source demonstrations.
            distributions: A file of mutation distributions that choose them instead.
        """
        if name == "expert":
            return None
        generator = GeneratorMaker(
            sources=str(self.directory / DATASET),
            config=GenerationConfig(select=select),
            distributions=str(distributions or ""),
        )
        return generator if name == "generator" else OrExpert(generator)
