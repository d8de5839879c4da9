"""How a folder was made: what the command that wrote it left in `settings.json`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from etude.core import EtudeError, Rate, Task
from etude.core.files import read_json
from etude.loop.report.drawing.layout import section
from etude.loop.report.drawing.markup import Html, join, tag
from etude.loop.report.results import Plain
from etude.loop.report.sections.trees import tree

SETTINGS, HERE = "settings.json", "THIS-FOLDER"  # not its name: equal folders have equal pages
_DEPTH = 4  # folders between a stage and its run


@dataclass(frozen=True, kw_only=True)
class Source:
    """What is known of a folder's making.

    Attributes:
        folder: The folder.
        command: Verb that wrote it, "" where unknown.
        settings: What decided its contents.
        options: The command's options.
    """

    folder: Path
    command: str
    settings: Mapping[str, Any]
    options: Mapping[str, Any]

    @staticmethod
    def of(folder: Path) -> "Source":
        """Read it; of a stage of a run the run's task, and nothing where the command left nothing."""
        path = folder / SETTINGS
        record: dict[str, Any] = read_json(path) if path.exists() else _of_run(folder)
        known = {"command", "options", "settings"} & set(record)
        settings = record.get("settings", {} if known else record)
        return Source(
            folder=folder, command=record.get("command", ""), settings=settings, options=record.get("options", {})
        )

    def __getitem__(self, name: str) -> str:
        """A setting as words; "" where it was not said."""
        value = self.settings.get(name, self.options.get(name))
        return "" if value is None else f"{value}"

    def make_task(self) -> Task | None:
        """The task; None where it cannot be made here, as with an environment that is not installed."""
        from etude.sim import make_task

        try:
            return make_task(self["task"])
        except (EtudeError, ImportError):
            return None


def _of_run(folder: Path) -> dict[str, Any]:
    """What a run says of its stages."""
    runs = [parent / "run.json" for parent in list(folder.resolve().parents)[:_DEPTH]]
    record = next((read_json(path) for path in runs if path.exists()), None)
    return {"settings": {"task": record["config"]["task"]}} if record else {}


def repeat_section(source: Source, files: tuple[str, ...]) -> Html:
    """The command that does it again, its settings, and links to the files behind the page."""
    parts: list[Html] = []
    if source.command:
        command = f"etude {source.command} --config {HERE}/{SETTINGS} --out ANOTHER-FOLDER"
        parts += [tag("h3", "Command"), tag("pre", tag("code", command))]
    links = [tag("li", tag("a", name, href=name)) for name in files if (source.folder / name).exists()]
    parts += [tag("h3", "Data"), tag("ul", *links, class_="files")]
    settings: Mapping[str, Plain] = source.settings
    if settings:
        parts += [tag("h3", "Settings"), tree(settings)]
    return section(
        "repeat", "How to repeat it", "Everything on this page is read from the files beside it.", join(parts)
    )


def rate_of(record: Mapping[str, Any]) -> Rate:
    """A rate as commands write it, {"k", "n", …}."""
    return Rate(int(record["k"]), int(record["n"]))
