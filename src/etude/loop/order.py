"""The order of one chain: baseline, search, exam, and then every arm from that baseline."""

from dataclasses import replace
from pathlib import Path

from etude.loop.arms import BASELINE, Arm
from etude.loop.chain import Chain
from etude.loop.elsewhere import AwaitingPolicyError
from etude.loop.making.placing import FirstDemonstrations
from etude.loop.practice.practising import Round
from etude.loop.practice.retraining import train
from etude.loop.pupil import Pupil


def run_chain(chain: Chain) -> dict[str, Pupil]:
    """Do every stage that is not done yet; returns the last state of every arm, the baseline first."""
    baseline = begin(chain)
    chain.freeze(baseline)
    chain.examine(baseline, BASELINE)
    pupils = {BASELINE: baseline}
    awaited: list[Path] = []
    for name in chain.config.arms:
        try:
            pupils[name] = _learn(chain, chain.config.arm(name), baseline)
        except AwaitingPolicyError as error:  # meanwhile the other arms go as far as they can
            awaited += error.folders
            continue
        if name in chain.config.fresh_search:
            chain.search_afresh(baseline, pupils[name], name)
    if awaited:
        raise AwaitingPolicyError(awaited)
    return pupils


def begin(chain: Chain) -> Pupil:
    """The baseline, and where it fails: what comes before the exam and all arms."""
    baseline = _baseline(chain)
    chain.search(baseline, chain.search_directory, BASELINE)
    return baseline


def _baseline(chain: Chain) -> Pupil:
    """Collect the first demonstrations and train on them."""
    config, folder = chain.config, chain.directory / "round-00"
    draw = FirstDemonstrations(chain.task, config)
    inputs = {"narrow": config.to_json()["narrow"], "narrow_layout": config.narrow_layout}
    chain.collect(folder / "collect", BASELINE, config.demonstrations, draw, inputs)
    pupil = Pupil(train=folder / "train", collections=(folder / "collect",), stages=(folder / "collect",))
    return train(chain, pupil, folder / "train", BASELINE, steps=config.train_steps, warm_start=False)


def _learn(chain: Chain, arm: Arm, baseline: Pupil) -> Pupil:
    """Everything one arm does: its rounds, and the tests."""
    config, pupil = chain.config, replace(baseline, stages=())
    if arm.restart:
        pupil = _restart(chain, arm, pupil)
    else:
        for index in range(1, config.rounds + 1):
            folder = chain.round_directory(index, arm.name)
            pupil = Round(chain=chain, arm=arm, index=index, folder=folder).run(pupil)
            if config.examine_rounds and index < config.rounds:
                chain.examine(pupil, f"{arm.name}-{index}")
    chain.examine(pupil, arm.name)
    return pupil


def _restart(chain: Chain, arm: Arm, baseline: Pupil) -> Pupil:
    """Train from scratch on the baseline's data with another seed, for as many steps as an arm has had in all."""
    folder = chain.round_directory(chain.config.rounds, arm.name)
    steps = chain.config.train_steps + chain.config.rounds * chain.config.retrain_steps
    return train(chain, baseline, folder / "train", arm.name, steps=steps, warm_start=False)
