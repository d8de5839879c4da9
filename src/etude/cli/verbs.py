"""The commands there are: where each is, what it does, and how the overview tells it."""

from collections.abc import Sequence
from dataclasses import dataclass

from etude.core import ConfigError, UnknownNameError


@dataclass(frozen=True)
class Verb:
    """A command.

    Attributes:
        module: Where its `Options` and `run` are.
        summary: What it does, in a few words.
        example: A command line that works.
        resumable: Whether it takes `--resume`.
    """

    module: str
    summary: str
    example: str
    resumable: bool = False


_POLICIES = "A policy is a checkpoint folder, `expert`, `random`, replay:DATASET, planted:FILE or ws://HOST:PORT."

GROUPS = {
    "data": "read, write, check and edit datasets",
    "policy": "look into policies",
}
"""First word of the commands that have two -> what they are about."""

VERBS = {
    "tasks": Verb("etude.cli.tasks", "list the tasks, or show what can vary in one", "etude tasks show franka-stack"),
    "collect": Verb(
        "etude.cli.collect",
        "make demonstrations with a task's expert",
        "etude collect franka-stack --episodes 50 --out data/first",
        resumable=True,
    ),
    "annotate": Verb(
        "etude.cli.annotate",
        "demonstrations made into sources for new ones",
        "etude annotate data/first --auto --out data/sources",
        resumable=True,
    ),
    "generate": Verb(
        "etude.cli.generate",
        "make new demonstrations from annotated ones",
        "etude generate --source data/sources --task franka-stack --accepted 200 --out data/generated",
        resumable=True,
    ),
    "train": Verb(
        "etude.cli.train",
        "fit a policy to one or more datasets",
        "etude train --dataset data/first --policy flow --out runs/first",
        resumable=True,
    ),
    "eval": Verb(
        "etude.cli.evaluate",
        "measure a policy's success, with its interval",
        "etude eval franka-stack --policy runs/first --episodes 50 --out results/first",
        resumable=True,
    ),
    "search": Verb(
        "etude.cli.search",
        "find where a policy fails, and freeze suites that measure it",
        "etude search franka-stack --policy runs/first --budget 400 --out search/first",
        resumable=True,
    ),
    "compare": Verb(
        "etude.cli.compare",
        "which of two policies is better, on the same cases",
        "etude compare franka-stack runs/first runs/second --suite search/first/exam.json --out results/compared",
        resumable=True,
    ),
    "diagnose": Verb(
        "etude.cli.diagnose",
        "why a policy fails: rules, proved by rolling out again",
        "etude diagnose search/first --out diagnosis/first",
        resumable=True,
    ),
    "score": Verb(
        "etude.cli.score",
        "which demonstrations a policy would learn most from",
        "etude score data/more --policy runs/first --out scores/more",
        resumable=True,
    ),
    "estimate": Verb(
        "etude.cli.estimate",
        "how many demonstrations each pocket takes",
        "etude estimate search/first --dataset data/first --out needs/first",
        resumable=True,
    ),
    "lockstep": Verb(
        "etude.cli.lockstep",
        "a demonstration and a policy side by side from one state",
        "etude lockstep data/first --episode 0 --policy runs/first --out lockstep/first",
    ),
    "serve": Verb(
        "etude.cli.serve",
        "a trained policy as a server, by openpi's protocol",
        "etude serve runs/first --port 8000",
    ),
    "watch": Verb(
        "etude.cli.watch",
        "see a policy at work, in a window or as a video",
        "etude watch franka-stack --policy runs/first",
    ),
    "view": Verb("etude.cli.view", "make a video of a recorded episode", "etude view data/first --episode 0"),
    "loop": Verb(
        "etude.cli.loop",
        "all of it: baseline, search, practice, exam, report",
        "etude loop franka-stack --preset demo --run demo --seed 0",
        resumable=True,
    ),
    "study": Verb(
        "etude.cli.study",
        "the fair comparison: arms against uniform over whole replicates",
        "etude study franka-stack --arms targeted --replicates 5 --out studies/first",
        resumable=True,
    ),
    "report": Verb("etude.cli.report", "write the page of a run, or of a command's folder", "etude report runs/demo"),
    "data inspect": Verb(
        "etude.cli.data.inspect",
        "what is in an HDF5 file or a dataset",
        "etude data inspect demo.hdf5",
    ),
    "data import": Verb(
        "etude.cli.data.importing",
        "HDF5 of robomimic, Isaac Lab or ACT/ALOHA to a LeRobot dataset",
        "etude data import demo.hdf5 --out data/demo",
        resumable=True,
    ),
    "data export": Verb(
        "etude.cli.data.export",
        "a dataset as HDF5, or for GR00T",
        "etude data export data/demo --layout robomimic --out demo.hdf5",
    ),
    "data convert": Verb(
        "etude.cli.data.convert",
        "any LeRobot dataset to LeRobot v3, files written once more",
        "etude data convert data/old --out data/new",
    ),
    "data check": Verb(
        "etude.cli.data.check",
        "find what is broken in a dataset, and repair it in a copy",
        "etude data check data/demo",
    ),
    "data recover": Verb(
        "etude.cli.data.recover",
        "make a loadable dataset of what a crash left",
        "etude data recover data/crashed --out data/rescued",
    ),
    "data delete": Verb(
        "etude.cli.data.delete",
        "a dataset without some of its episodes",
        "etude data delete data/demo --episodes 3 7-9 --out data/kept",
    ),
    "data merge": Verb(
        "etude.cli.data.merge",
        "several datasets as one",
        "etude data merge data/a data/b --out data/ab",
    ),
    "data split": Verb(
        "etude.cli.data.split",
        "one dataset as several",
        "etude data split data/demo --parts train=0.9 eval=0.1 --out data/parts",
    ),
    "data trim": Verb(
        "etude.cli.data.trim",
        "without idle heads and tails, ended at success",
        "etude data trim data/demo --out data/trimmed",
    ),
    "data cut": Verb(
        "etude.cli.data.cut",
        "episodes cut into sub-skills at their sub-task marks",
        "etude data cut data/demo --out data/skills",
    ),
    "data cache": Verb(
        "etude.cli.data.cache",
        "what decoded frames take, and removing them",
        "etude data cache",
    ),
    "policy list": Verb(
        "etude.cli.policy_list",
        "policies and backbones with parameters, memory and speed",
        "etude policy list",
    ),
    "policy features": Verb(
        "etude.cli.policy_features",
        "draw what a policy's network looks at",
        "etude policy features runs/first data/first --out pictures/first",
    ),
}


def find_verb(arguments: Sequence[str]) -> tuple[str, list[str]]:
    """The command that a command line begins with, and what follows it.

    Raises:
        ConfigError: It begins with an option.
        UnknownNameError: There is no such command.
    """
    first, *rest = arguments
    if first.startswith("-"):
        raise ConfigError(f"the command comes first: etude VERB [options], with VERB one of {_first_words()}.")
    if first in GROUPS:
        return _second(first, rest)
    if first not in VERBS:
        raise UnknownNameError("command", first, [name for name in VERBS if " " not in name] + list(GROUPS))
    return first, rest


def _second(group: str, rest: Sequence[str]) -> tuple[str, list[str]]:
    names = [name.removeprefix(f"{group} ") for name in VERBS if name.startswith(f"{group} ")]
    if not rest or rest[0] not in names:
        raise UnknownNameError(f"command of `etude {group}`", rest[0] if rest else "", names)
    return f"{group} {rest[0]}", list(rest[1:])


def overview(group: str = "") -> str:
    """What `etude --help` prints, or `etude GROUP --help`."""
    verbs = {name: verb for name, verb in VERBS.items() if name.startswith(f"{group} " if group else "")}
    shown = {name: verb for name, verb in verbs.items() if group or " " not in name}
    told = {name.removeprefix(f"{group} "): verb.summary for name, verb in shown.items()}
    told |= {} if group else {name: f"{about}: `etude {name} --help`" for name, about in GROUPS.items()}
    width = max(len(name) for name in told)
    return "\n".join(
        [
            f"usage: etude {f'{group} ' if group else ''}VERB [THING] [--options]",
            "",
            GROUPS.get(group, "make robot policies practise what they fail at, and prove that it helped").capitalize()
            + ".",
            "",
            "commands:",
            *(f"  {name:<{width}} {summary}" for name, summary in told.items()),
            "",
            "examples:",
            *(f"  {verb.example}" for verb in shown.values()),
            "",
            *([] if group else [_POLICIES]),
            f"`etude {f'{group} ' if group else ''}VERB --help` explains a command's options.",
        ]
    )


def _first_words() -> str:
    return ", ".join(dict.fromkeys(name.partition(" ")[0] for name in VERBS))
