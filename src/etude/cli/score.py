"""`etude score`: which demonstrations a policy would learn most from."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import Positional, arg

from etude.cli.made import known_settings
from etude.cli.output import resumable_folder
from etude.cli.terminal import show, show_json, show_next, watch
from etude.cli.usage import require_at_least
from etude.core import ConfigError
from etude.policies.placing import Device

if TYPE_CHECKING:
    from etude.acquisition.draws import ScoreSettings
    from etude.acquisition.scores import Grounds
    from etude.acquisition.scoring import Scores
    from etude.data import DatasetMeta
    from etude.loop.scoring import Summary

_SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class Options:
    """Score the episodes of a dataset: the more, the more a policy would learn from one.

    Scores: norm (squared norm of the gradient of the policy's own loss on its head), split (the same from two halves,
    so that label noise cancels), align (with the gradient on demonstrations inside --pockets), loss, disagreement (with
    an --ensemble), failure (p(fail | θ), by a search or a table: --failure), failure-split (their product), random. All
    but failure and random need a --policy. Writes scores.parquet, one row per episode, and scores.json; a scoring that
    was stopped goes on with --resume.

    Examples:
        etude score data/more --policy runs/first --out scores/more
        etude score data/more --policy runs/first --score norm split loss --reference --out scores/compared
        etude score data/more --policy runs/first --score align --pockets data/pockets --out scores/aligned
        etude score data/more --policy runs/pi0 --head "*action_out_proj*" --out scores/pi0
        etude score data/more --score failure random --failure search/first --out scores/free
        etude score data/more --policy runs/first --out scores/more --resume --keep 20

    Attributes:
        dataset: The episodes: a folder, or OWNER/NAME on the Hub.
        out: Folder for the scores.
        policy: The policy as it is now: a checkpoint folder, or a training's output.
        score: Which scores; the first decides about the order.
        keep: Also write the N episodes that score highest as a dataset, OUT/best, the highest first; --resume --keep N
            does so after a scoring.
        anchors: Moments of each episode that are looked at; even.
        draws: Pairs of noise and time at each of them, the same for all episodes and for all policies of an ensemble.
        head: Names of the parameters that gradients are taken of, "*" standing for anything; by default the policy's
            head, where that is known (flow, diffusion, act).
        pockets: Demonstrations inside failing pockets, for align.
        ensemble: Other checkpoints, for disagreement.
        failure: Folder of a search, whose rates inside its pockets and outside say how often the policy fails at an
            episode's θ; or a table (CSV or Parquet) with the columns episode_index and p_fail. For failure and
            failure-split.
        reference: Also score with 256 draws, and tell how alike the order is.
        device: Where to compute; `auto` is a GPU where there is one.
        threads: Threads that torch computes with.
        seed: Fixes moments, noise and times.
        resume: Continue a scoring that was begun with the same options, of the same policy and data.
        json: Print one line of JSON, and nothing else.
    """

    dataset: Annotated[Positional[str], arg(metavar="DATASET")]
    out: Path
    policy: Annotated[str | None, arg(metavar="CHECKPOINT")] = None
    score: Annotated[tuple[str, ...], arg(metavar="NAME …")] = ("norm",)
    keep: Annotated[int | None, arg(metavar="N")] = None
    anchors: int = 8
    draws: int = 16
    head: Annotated[str | None, arg(metavar="PATTERN")] = None
    pockets: Annotated[Path | None, arg(metavar="DATASET")] = None
    ensemble: Annotated[tuple[Path, ...], arg(metavar="CHECKPOINT …")] = ()
    failure: Annotated[Path | None, arg(metavar="SEARCH|FILE")] = None
    reference: bool = False
    device: Device = "auto"
    threads: int = 1
    seed: int = 0
    resume: bool = False
    json: bool = False

    def __post_init__(self) -> None:
        require_at_least(2, anchors=self.anchors)
        require_at_least(1, draws=self.draws, threads=self.threads)
        require_at_least(1, keep=1 if self.keep is None else self.keep)
        require_at_least(0, seed=self.seed)
        if self.anchors % 2:
            raise ConfigError(f"--anchors {self.anchors}: must be even, for one half of them checks the other.")
        if not self.score:
            raise ConfigError("--score: name at least one, such as --score norm.")


def run(options: Options) -> None:
    """Score."""
    from etude.acquisition.draws import ScoreSettings
    from etude.acquisition.scores import require_scores
    from etude.data import DatasetMeta, find_dataset
    from etude.loop.scoring import BEST, SCORES_FILE, SUMMARY_FILE, ranked, summarise, write_scores

    dataset = find_dataset(options.dataset)
    meta = DatasetMeta.open(dataset)
    total, grounds = meta.total_episodes, _grounds(options, meta)
    require_scores(options.score, grounds.needs)
    if options.keep and options.keep > total:
        raise ConfigError(f"--keep {options.keep}: '{options.dataset}' has {total} episodes; keep fewer.")
    names = ("anchors", "draws", "head", "seed", "threads", "device")
    settings = ScoreSettings(**{name: getattr(options, name) for name in names})
    with resumable_folder(options.out, _settings(options, dataset, grounds), resume=options.resume) as out:
        scores = _score(options.score, dataset, grounds, settings, out / "evidence.parquet")
        references = _references(scores, dataset, grounds, settings, out) if options.reference else {}
        write_scores(out / SCORES_FILE, scores, dataset)
        summary = summarise(scores, dataset, references)
        summary.write(out / SUMMARY_FILE)
        best = ranked(scores.values[options.score[0]])
        kept = scores.episodes[best[: options.keep or 0]].tolist()
        if kept:
            _keep(options.dataset, kept, out / BEST)
    if options.json:
        show_json({"out": str(options.out), "kept": kept, **summary.to_json()})
    else:
        _tell(options, scores, summary, kept)


def _grounds(options: Options, dataset: "DatasetMeta") -> "Grounds":
    """What the episodes are judged by.

    Raises:
        ConfigError: The policy is a server, or none that is trained.
    """
    from etude.acquisition.scores import Grounds
    from etude.loop.wiring import find_checkpoint

    policy = options.policy
    if policy and ("://" in policy or policy in ("expert", "random") or policy.startswith("replay:")):
        raise ConfigError(
            f"--policy {policy}: has no loss that could be differentiated here, and no checkpoint to compare; scores "
            "failure and random remain: leave --policy out."
        )
    return Grounds(
        policy=find_checkpoint(Path(policy)) if policy else None,
        ensemble=[find_checkpoint(path) for path in options.ensemble],
        pockets=options.pockets,
        failure=_chances(options.failure, dataset) if options.failure else None,
    )


def _chances(source: Path, dataset: "DatasetMeta") -> Sequence[float]:
    """p(fail | θ) of every episode, by a search or from a table.

    Raises:
        ConfigError: A folder that is no search's.
    """
    if not source.is_dir():
        from etude.loop.scoring import read_chances

        return read_chances(source, dataset.total_episodes)
    from etude.loop.exercise import searched_chances
    from etude.loop.stages import POCKETS
    from etude.sim import make_task

    if not (source / POCKETS).exists():
        raise ConfigError(f"--failure {source}: has no {POCKETS}; give a folder of `etude search`, or a table.")
    return searched_chances(source, dataset, make_task(known_settings(source).get("task", "")).space)


def _settings(options: Options, dataset: Path, grounds: "Grounds") -> dict[str, Any]:
    """What decides the scores: the options, and what policies and datasets hold now."""
    from etude.loop.fingerprint import checkpoint_hash, dataset_hash

    names = ("policy", "anchors", "draws", "head", "reference", "seed")
    paths = {name: str(value) if (value := getattr(options, name)) else None for name in ("pockets", "failure")}
    lists = {"score": list(options.score), "ensemble": [str(path) for path in options.ensemble]}
    told = {"dataset": options.dataset, **{name: getattr(options, name) for name in names}, **paths, **lists}
    contents = {
        "dataset": dataset_hash(dataset),
        "policy": checkpoint_hash(grounds.policy) if grounds.policy else None,
        "pockets": dataset_hash(grounds.pockets) if grounds.pockets else None,
        "ensemble": [checkpoint_hash(checkpoint) for checkpoint in grounds.ensemble],
    }
    return {**told, "contents": contents}


def _score(
    names: Sequence[str],
    dataset: Path,
    grounds: "Grounds",
    settings: "ScoreSettings",
    record: Path,
    title: str = "scoring",
) -> "Scores":
    from etude.acquisition.scoring import score_episodes
    from etude.data import DatasetMeta

    with watch()(title, DatasetMeta.open(dataset).total_episodes) as update:
        return score_episodes(
            names, dataset, grounds, settings=settings, record=record, progress=lambda done, _: update(done, "")
        )


def _references(
    scores: "Scores", dataset: Path, grounds: "Grounds", settings: "ScoreSettings", out: Path
) -> dict[str, float]:
    """Rank correlation of each score with the same from many draws."""
    from etude.loop.scoring import REFERENCE_DRAWS, rank_correlation

    wide = replace(settings, draws=REFERENCE_DRAWS)
    reference = _score(list(scores.values), dataset, grounds, wide, out / "reference.parquet", "reference")
    return {name: rank_correlation(values, reference.values[name]) for name, values in scores.values.items()}


def _keep(dataset: str, episodes: Sequence[int], out: Path) -> None:
    """Write episodes as a dataset, in place of those that were kept before."""
    from etude.cli.data.writing import new_folder, open_dataset
    from etude.data.editing.selecting import Selection, write_selections

    shutil.rmtree(out, ignore_errors=True)
    with new_folder(out, len(episodes)) as (folder, on_saved):
        write_selections(folder, [Selection(meta=open_dataset(dataset), episodes=episodes)], on_saved=on_saved)


def _tell(options: Options, scores: "Scores", summary: "Summary", kept: Sequence[int]) -> None:
    from rich.table import Table

    from etude.loop.scoring import BEST, ranked

    first = options.score[0]
    order = ranked(scores.values[first])
    shown = [*order[:_SHOWN], *order[max(_SHOWN, len(order) - _SHOWN) :]]
    table = Table(
        "rank", "episode", "frames", *options.score, title=f"highest and lowest {first}", title_justify="left"
    )
    ranks = {int(index): rank + 1 for rank, index in enumerate(order)}
    for place, index in enumerate(shown):
        numbers = [f"{scores.values[name][index]:.4g}" for name in options.score]
        table.add_row(
            str(ranks[int(index)]),
            str(scores.episodes[index]),
            str(scores.lengths[index]),
            *numbers,
            end_section=place == _SHOWN - 1,
        )
    show(table, *summary.lines())
    show(f"{options.out / 'scores.parquet'}: one row per episode")
    if kept:
        show(f"{options.out / BEST}: the {len(kept)} highest by {first}, episodes {', '.join(map(str, kept))}")
    start = f" --warm-start {options.policy}" if options.policy else ""
    show_next(f"etude train --dataset {options.out / BEST if kept else options.dataset}{start} --out runs/practised")
