"""What LeRobot's commands ask of the flow policy beyond predicting."""

from pathlib import Path

import pytest
import torch
from lerobot.configs import FeatureType, PolicyFeature
from lerobot.optim import AdamWConfig
from lerobot.optim.optimizers import save_optimizer_state

from etude.core import MismatchError
from etude.policies.flow.configuration_flow import FlowConfig
from etude.policies.flow.modeling_flow import FlowPolicy

SIZE, HORIZON = 16, 4


def make_policy() -> FlowPolicy:
    sizes = {"observation.images.front": (3, SIZE, SIZE), "observation.state": (3,)}
    kinds = {"observation.images.front": FeatureType.VISUAL, "observation.state": FeatureType.STATE}
    return FlowPolicy(
        FlowConfig(
            input_features={key: PolicyFeature(type=kinds[key], shape=shape) for key, shape in sizes.items()},
            output_features={"action": PolicyFeature(type=FeatureType.ACTION, shape=(2,))},
            horizon=HORIZON, n_action_steps=HORIZON, vision_widths=(8, 8), embedding_size=8, head_width=8,
            head_blocks=1, device="cpu",
        )
    )  # fmt: skip


def make_batch(size: int) -> dict[str, torch.Tensor]:
    return {"observation.images.front": torch.rand(2, 3, size, size), "observation.state": torch.rand(2, 3)}


def test_its_optimiser_steps_and_can_be_saved(tmp_path: Path) -> None:
    policy = make_policy()
    optimiser = AdamWConfig(lr=1e-2).build(policy.get_optim_params())
    before = [parameter.detach().clone() for parameter in policy.parameters()]
    loss, _ = policy.forward({**make_batch(SIZE), "action": torch.rand(2, HORIZON, 2)})
    loss.backward()
    optimiser.step()
    assert any(not torch.equal(a, b) for a, b in zip(before, policy.parameters(), strict=True))
    save_optimizer_state(optimiser, tmp_path)
    assert list(tmp_path.glob("*.safetensors"))


def test_images_of_another_size_are_refused() -> None:
    policy = make_policy()
    assert policy.select_action(make_batch(SIZE)).shape == (2, 2)
    policy.reset()
    with pytest.raises(MismatchError, match=r"'observation.images.front' is 24 × 24 px, .* trained on 16 × 16"):
        policy.select_action(make_batch(24))
