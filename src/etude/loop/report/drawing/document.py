"""An HTML document in the report's style, that needs nothing but the files beside it."""

from collections.abc import Mapping
from importlib import resources

from etude.loop.report.drawing.markup import Html, tag


def document(title: str, *body: Html) -> str:
    """A document with the style sheet, and the script of the videos where there are any."""
    script = [tag("script", Html(_asset("page.js")))] if any("<video" in part for part in body) else []
    return f"<!doctype html>\n{tag('html', _head(title), tag('body', *body, *script), lang='en')}\n"


def heading(title: str, facts: str, contents: Mapping[str, str], sections: str) -> Html:
    """The page's head: title, one line of facts, links to the sections that are there.

    Args:
        title: Of the page.
        facts: One line about it.
        contents: A section's name -> title of its link, in order.
        sections: The sections that were drawn.
    """
    links = [tag("a", text, href=f"#{name}") for name, text in contents.items() if f'id="{name}"' in sections]
    return tag("header", tag("h1", title), tag("p", facts, class_="facts-line"), tag("nav", *links))


def _head(title: str) -> Html:
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"{title} · Etude"),
        tag("style", Html(_asset("page.css"))),
    )


def _asset(name: str) -> str:
    return resources.files("etude.loop.report.drawing").joinpath(name).read_text(encoding="utf-8")
