"""What scores mean, on a policy trained on a toy, on a linear model worked out by hand, and through files."""

from functools import cache
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from data.recordings import CAMERAS, SIZE, write
from torch import Tensor, nn

from etude.acquisition.disagreement import disagree
from etude.acquisition.draws import ScoreSettings, SharedDraws
from etude.acquisition.evidence import Evidence
from etude.acquisition.gradients import RowGradients
from etude.acquisition.record import read_evidence
from etude.acquisition.scores import SCORES, Grounds
from etude.acquisition.scoring import score_episodes
from etude.core import ConfigError, EtudeError, MismatchError, ShapeError, UnknownNameError
from etude.data import FeatureStatistics
from etude.policies import Features
from etude.policies.checkpoint import build_policy
from etude.policies.inputs import ImageInputs
from etude.policies.model import ChunkModel
from etude.policies.scoring import HeadPart

HORIZON = 6
NUMBERS = FeatureStatistics({key: {"mean": np.zeros(2), "std": np.ones(2)} for key in ("observation.state", "action")})
TINY = {"horizon": HORIZON, "n_action_steps": 4, "embedding_size": 24, "head_width": 48, "head_blocks": 2}


def windows(state: Tensor, turn: float = 0.0, noise: float = 0.0, seed: int = 0) -> dict[str, Any]:
    """Demonstrated chunks at states (N, 2): towards the origin, turned by an angle, with noise of its own in each."""
    cos, sin = np.cos(turn), np.sin(turn)
    towards = -state @ torch.tensor([[cos, -sin], [sin, cos]], dtype=torch.float32)
    chunks = towards[:, None] * torch.linspace(1, 0.2, HORIZON)[:, None]
    chunks = chunks + noise * torch.randn(chunks.shape, generator=torch.Generator().manual_seed(seed))
    pad = torch.zeros(len(state), HORIZON, dtype=torch.bool)
    return {"observation.state": state, "action": chunks, "action_is_pad": pad}


@cache
def trained() -> ChunkModel:
    """A flow policy that has learned to go to the origin from the right half of a square."""
    features = Features(cameras=(), image_size=(1, 1), state_size=2, action_size=2)
    model = build_policy("flow", features, NUMBERS, np.random.default_rng(0), **TINY)
    rng, generator = torch.Generator().manual_seed(0), torch.Generator().manual_seed(1)
    optimiser = torch.optim.Adam(model.policy.parameters(), 3e-3)
    for _ in range(400):
        state = torch.rand(64, 2, generator=rng) * torch.tensor([1.0, 2.0]) - torch.tensor([0.0, 1.0])
        loss = model.loss(windows(state), generator)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    model.policy.eval()
    return model


def episodes(count: int, settings: ScoreSettings, low: float = 0.1, high: float = 0.9, seed: int = 3) -> Tensor:
    """States of the anchors of some episodes, (N · m, 2): each starts somewhere else and comes nearer."""
    rng = torch.Generator().manual_seed(seed)
    x = low + (high - low) * torch.rand(count, generator=rng)
    start = torch.stack([x, 2 * torch.rand(count, generator=rng) - 1], 1)
    near = torch.linspace(1, 0.4, settings.anchors)
    return (start[:, None] * near[None, :, None]).flatten(0, 1)


def evidence(settings: ScoreSettings, batch: dict[str, Any]) -> Evidence:
    model = trained()
    assert model.kind.scorable is not None
    draws = SharedDraws.of(settings, HORIZON, 2)
    return RowGradients(model.kind.scorable(model.policy), model.prepare, draws).evidence(batch)


def rank_correlation(a: Any, b: Any) -> float:
    return float(np.corrcoef(np.argsort(np.argsort(a)), np.argsort(np.argsort(b)))[0, 1])


def test_sixteen_shared_draws_order_episodes_as_256_do():
    """From half known to unknown: the toy on which one independent draw per candidate would not do."""
    few, many = ScoreSettings(), ScoreSettings(draws=256)
    batch = windows(episodes(40, few, low=-0.9))
    few_evidence, many_evidence = evidence(few, batch), evidence(many, batch)
    assert rank_correlation(few_evidence.norm, many_evidence.norm) >= 0.95
    assert rank_correlation(few_evidence.losses, many_evidence.losses) >= 0.95


def test_incoherent_label_noise_raises_norm_but_not_split():
    settings = ScoreSettings()
    state = episodes(40, settings)
    clean, noisy = (evidence(settings, windows(state, noise=noise)) for noise in (0.0, 0.3))
    novel = evidence(settings, windows(state, turn=0.4))
    assert np.median(noisy.norm) > 5 * np.median(clean.norm)

    def coherent(more: Evidence) -> float:
        """Share of what the norm rose by that the product of halves rose by, too, mean over candidates."""
        added = more.products.mean(0) - clean.products.mean(0)
        return float(added[0, 1] / added.mean())

    # Not nothing: that actions scatter is something a generative policy can learn, and the same at every anchor.
    assert coherent(noisy) < 0.35
    assert coherent(novel) > 0.7


def test_a_policy_would_learn_more_from_what_it_has_not_seen():
    settings = ScoreSettings()
    known, unknown = (
        evidence(settings, windows(episodes(20, settings, low, high))) for low, high in ((0.1, 0.9), (-0.9, -0.1))
    )
    for name in ("norm", "split"):
        assert np.median(getattr(unknown, name)) > 2 * np.median(getattr(known, name))


class Linear:
    """Predicts one action W s, and loses (W s − a)²: its gradient is 2 (W s − a) sᵀ / A."""

    takes_draws = False

    def __init__(self, weight: np.ndarray) -> None:
        self.policy = self.layer = nn.Linear(2, 2, bias=False)
        self.layer.weight.data = torch.from_numpy(weight).float()
        self.head = (HeadPart("layer", self.layer),)

    def encode(self, batch: Any) -> tuple[Tensor, ...]:
        return (batch["observation.state"],)

    def row_losses(self, features: Any, actions: Tensor, is_pad: Tensor, noise: Tensor, time: Tensor) -> Tensor:
        return (self.layer(features[0]) - actions[:, 0]).square().mean(1)


def test_a_linear_model_scores_as_worked_out_by_hand():
    """W = 1, s = (1, 2), a = W s + e: the gradient is −e sᵀ, its squared norm |e|² |s|² = 5 |e|²."""
    settings = ScoreSettings(anchors=2, draws=1)
    gradients = RowGradients(Linear(np.eye(2)), lambda batch: batch, SharedDraws.of(settings, 1, 2))

    def batch(*errors: tuple[float, float]) -> dict[str, Tensor]:
        """A candidate per error, both of its anchors alike."""
        state = torch.tensor([[1.0, 2.0]]).repeat(2 * len(errors), 1)
        action = state + torch.tensor(errors).repeat_interleave(2, 0)
        pad = torch.zeros(len(state), 1, dtype=torch.bool)
        return {"observation.state": state, "action": action[:, None], "action_is_pad": pad}

    pocket = gradients.mean(batch((1.0, 0.0), (3.0, 0.0)))
    torch.testing.assert_close(pocket["layer.weight"], torch.tensor([[-2.0, -4.0], [0.0, 0.0]]))
    found = gradients.evidence(batch((2.0, 0.0), (-2.0, 0.0), (0.0, 5.0), (0.0, 0.0)), pocket)
    np.testing.assert_allclose(found.norm, [20, 20, 125, 0])
    np.testing.assert_allclose(found.split, [20, 20, 125, 0])
    np.testing.assert_allclose(found.losses, [2, 2, 12.5, 0])
    np.testing.assert_allclose(found.along, [20, -20, 0, 0])  # helps, harms, does not matter, teaches nothing


def test_label_noise_cancels_between_halves_where_only_the_mean_is_learned():
    settings = ScoreSettings(anchors=4, draws=1)
    gradients = RowGradients(Linear(np.eye(2)), lambda batch: batch, SharedDraws.of(settings, 1, 2))
    generator = torch.Generator().manual_seed(0)
    state, noise = (torch.randn(4 * 500, 2, generator=generator) for _ in range(2))
    pad = torch.zeros(len(state), 1, dtype=torch.bool)
    batch = {"observation.state": state, "action": (state + noise)[:, None], "action_is_pad": pad}
    found = gradients.evidence(batch)
    products = found.products[:, 0, 1]
    assert abs(products.mean()) < 3 * products.std() / np.sqrt(500)
    assert found.norm.mean() > 10 * abs(products.mean())


def test_halves_that_contradict_each_other_split_to_nothing():
    settings = ScoreSettings(anchors=2, draws=1)
    gradients = RowGradients(Linear(np.eye(2)), lambda batch: batch, SharedDraws.of(settings, 1, 2))
    state = torch.tensor([[1.0, 2.0], [1.0, 2.0]])
    action = state + torch.tensor([[2.0, 0.0], [-1.0, 0.0]])
    pad = torch.zeros(2, 1, dtype=torch.bool)
    found = gradients.evidence({"observation.state": state, "action": action[:, None], "action_is_pad": pad})
    np.testing.assert_allclose(found.norm, [1.25])  # |e_A + e_B|² |s|² / 4
    np.testing.assert_allclose(found.split, [0.0])  # ⟨g_A, g_B⟩ = −10


@pytest.mark.parametrize("length", [1, 7, 8, 50, 1000])
def test_anchors_spread_over_an_episode_of_any_length(length: int):
    """As many of them in a long one as in a short one: a score is of a mean, and does not grow with the length."""
    draws = SharedDraws.of(ScoreSettings(), 4, 2)
    frames = draws.frames(np.array([length]))[0]
    assert ((frames >= 0) & (frames < length)).all()
    in_order = np.sort(frames)
    if length >= 8:
        assert all(low * 8 // length == index for index, low in enumerate(in_order))
        halves = frames[:4], frames[4:]
        assert all(a < b for a, b in zip(*map(np.sort, halves), strict=True))  # the halves alternate
        assert all(a < b for a, b in pairwise(in_order))


@pytest.mark.parametrize("count", [1, 2, 5, 16])
def test_every_second_draw_takes_back_the_noise_of_the_one_before(count: int):
    noise = SharedDraws.of(ScoreSettings(draws=count), 4, 2).noise
    assert noise.shape == (8, count, 4, 2)
    pairs = count // 2
    np.testing.assert_array_equal(noise[:, 1::2], -noise[:, : 2 * pairs : 2])
    kept = noise[:, ::2]
    assert len(np.unique(kept)) == kept.size, "the others are all different"


def test_times_are_stratified_and_the_same_for_all():
    draws = SharedDraws.of(ScoreSettings(), 4, 2)
    assert ((draws.time * 16).astype(int) == np.arange(16)).all()
    again = SharedDraws.of(ScoreSettings(), 4, 2)
    np.testing.assert_array_equal(draws.noise, again.noise)
    assert not np.array_equal(draws.noise, SharedDraws.of(ScoreSettings(seed=1), 4, 2).noise)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data") / "toy"
    write(root, (9, 4, 12, 20))
    return root


def save(
    folder: Path,
    name: str = "flow",
    seed: int = 0,
    *,
    size: tuple[int, int] = SIZE,
    horizon: int = 4,
    inputs: ImageInputs | None = None,
) -> Path:
    features = Features(cameras=CAMERAS, image_size=size, state_size=3, action_size=2)
    statistics = FeatureStatistics(
        {key: {"mean": np.zeros(n), "std": np.ones(n)} for key, n in (("observation.state", 3), ("action", 2))}
    )
    settings: dict[str, Any] = {"horizon": horizon, "n_action_steps": 2, "inputs": inputs}
    settings |= {"vision_widths": (8,), "keypoints": 4} if name == "flow" else {"embedding_size": 16}
    model = build_policy(name, features, statistics, np.random.default_rng(seed), **settings)
    if name == "flow":
        model.module.get_parameter("model.field.leave.weight").data.fill_(0.1)  # zero until it is trained
    model.save(folder)
    return folder


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("policy") / "checkpoint")


SMALL = ScoreSettings(anchors=4, draws=3)


def score(name: str, dataset: Path, policy: Path | None = None, **options: Any) -> np.ndarray:
    """One score of the dataset's episodes, on these grounds."""
    grounds = {field: options.pop(field) for field in ("ensemble", "pockets", "failure") if field in options}
    options = {"settings": SMALL, **options}
    return score_episodes([name], dataset, Grounds(policy=policy, **grounds), **options).values[name]


def test_an_episode_has_the_same_score_alone_among_others_and_after_a_break(
    checkpoint: Path, dataset: Path, tmp_path: Path
):
    record = tmp_path / "evidence.parquet"
    whole = score("norm", dataset, checkpoint)
    assert whole.shape == (4,)
    assert (whole > 0).all()
    one_by_one = ScoreSettings(anchors=4, draws=3, rows=1)
    np.testing.assert_allclose(score("norm", dataset, checkpoint, settings=one_by_one), whole, rtol=1e-5)
    some = score("norm", dataset, checkpoint, episodes=[3, 1], settings=one_by_one, record=record)
    np.testing.assert_allclose(some, whole[[3, 1]], rtol=1e-5)
    assert sorted(read_evidence(record)) == [1, 3]
    told: list[tuple[int, int]] = []
    rest = score("norm", dataset, checkpoint, settings=one_by_one, record=record, progress=lambda *n: told.append(n))
    np.testing.assert_allclose(rest, whole, rtol=1e-5)
    assert told == [(3, 4), (4, 4)]


def test_every_score_has_a_value_for_every_episode(checkpoint: Path, dataset: Path, tmp_path: Path):
    failure = [0.0, 0.5, 0.25, 1.0]
    grounds = Grounds(policy=checkpoint, pockets=dataset, ensemble=[save(tmp_path / "other", seed=1)], failure=failure)
    scores = score_episodes(list(SCORES), dataset, grounds, settings=SMALL)
    assert set(scores.values) == set(SCORES)
    assert all(values.shape == (4,) and np.isfinite(values).all() for values in scores.values.values())
    np.testing.assert_array_equal(scores.values["failure-split"], np.array(failure) * scores.values["split"])
    assert (scores.values["disagreement"] > 0).all()
    # The mean of the products with the mean gradient is the mean gradient's squared norm.
    assert scores.values["align"].mean() > 0
    np.testing.assert_array_equal(scores.lengths, [9, 4, 12, 20])


def test_scores_that_ask_no_policy_are_the_same_without_one(checkpoint: Path, dataset: Path):
    np.testing.assert_array_equal(score("random", dataset), score("random", dataset, checkpoint))
    np.testing.assert_array_equal(score("random", dataset, episodes=[3, 1]), score("random", dataset)[[3, 1]])
    np.testing.assert_array_equal(score("failure", dataset, failure=[0.0, 0.5, 0.25, 1.0]), [0.0, 0.5, 0.25, 1.0])


def test_policies_that_are_the_same_do_not_disagree(checkpoint: Path, dataset: Path):
    np.testing.assert_array_equal(score("disagreement", dataset, checkpoint, ensemble=[checkpoint]), 0.0)


def test_policies_disagree_as_much_as_over_all_draws():
    """One does nothing and one what the noise says: between them the variance is a quarter of the noise's square."""
    draws = SharedDraws.of(SMALL, 4, 2)
    batches = [(np.array([0, 1]), {}), (np.array([2]), {})]
    anchors = SimpleNamespace(draws=draws, action_scale=np.ones(2, np.float32), batches=lambda _: batches)

    def model(share: float) -> Any:
        return SimpleNamespace(module=nn.Linear(1, 1), takes_noise=True, predict=lambda _, noise: share * noise)

    found = disagree([model(0.0), model(1.0)], cast(Any, anchors), np.arange(3))
    np.testing.assert_allclose(found, (draws.noise**2).mean() / 4, rtol=1e-5)


def test_policies_that_see_images_of_different_sizes_disagree_alike_in_any_order(
    checkpoint: Path, dataset: Path, tmp_path: Path
):
    small = save(tmp_path / "small", seed=1, inputs=ImageInputs(size=(16, 24)))
    one, other = (
        score("disagreement", dataset, a, ensemble=[b]) for a, b in ((checkpoint, small), (small, checkpoint))
    )
    assert (one > 0).all()
    np.testing.assert_allclose(one, other, rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"size": (64, 64)}, r"other' is given does not fit .* image_size is \(32, 48\), the policy's is \(64"),
        ({"horizon": 6}, "policies that predict 4 and 6 actions cannot be compared"),
    ],
)
def test_policies_that_cannot_be_compared_are_told_before_anything_is_measured(
    options: dict[str, Any], told: str, checkpoint: Path, dataset: Path, tmp_path: Path
):
    other, record = save(tmp_path / "other", **options), tmp_path / "evidence.parquet"
    grounds = Grounds(policy=checkpoint, ensemble=[other])
    with pytest.raises(MismatchError, match=told):
        score_episodes(["norm", "disagreement"], dataset, grounds, settings=SMALL, record=record)
    assert not record.exists()


def test_a_policy_without_a_loss_of_its_actions_says_which_scores_remain(dataset: Path, tmp_path: Path):
    folder = save(tmp_path / "vinn", "vinn")
    with pytest.raises(ConfigError, match="'vinn' has no loss .* failure, disagreement and random remain"):
        score("norm", dataset, folder)
    assert len(set(score("random", dataset, folder))) == 4


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        ("gradient", {}, "unknown score 'gradient'.*Valid: align.*split"),
        ("align", {}, "needs a dataset of demonstrations inside the pockets.*there are: norm, split, loss, random"),
        ("failure-split", {}, "needs an estimate of p"),
        ("disagreement", {}, "needs a policy and other checkpoints"),
        ("norm", {"episodes": [4]}, "has no episode 4: its episodes are 0 to 3"),
        ("failure", {"failure": [0.5]}, r"expected \(4,\) in \[0, 1\]"),
        ("failure", {"failure": [0.5, 35, 20, 1]}, "of episode 1 is 35: give a number from 0 to 1"),
        ("failure", {"failure": [0.5, np.nan], "episodes": [1, 3]}, "of episode 3 is nan: give a number from 0 to 1"),
        ("norm", {"policy": None, "failure": [0.5] * 4}, "--policy CHECKPOINT.*there are: failure, random"),
    ],
)
def test_what_cannot_be_scored_is_told(name: str, options: dict[str, Any], told: str, checkpoint: Path, dataset: Path):
    with pytest.raises((ConfigError, UnknownNameError, EtudeError, ShapeError), match=told):
        score(name, dataset, **{"policy": checkpoint, **options})


def test_a_dataset_that_does_not_show_what_the_policy_looks_at_is_refused(dataset: Path, tmp_path: Path):
    trained().save(tmp_path / "checkpoint")
    with pytest.raises(MismatchError, match="state_size is 3, the policy's is 2"):
        score("norm", dataset, tmp_path / "checkpoint")


@pytest.mark.parametrize("settings", [{"anchors": 3}, {"anchors": 0}, {"draws": 0}, {"rows": 0}, {"device": "tpu"}])
def test_settings_that_cannot_work_are_refused(settings: dict[str, Any]):
    with pytest.raises(ConfigError, match=f"{next(iter(settings))} = "):
        ScoreSettings(**settings)
