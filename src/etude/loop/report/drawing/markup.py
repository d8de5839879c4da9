"""HTML and SVG as text that escapes itself: a plain string inside a tag is always escaped, an Html never."""

from collections.abc import Iterable
from html import escape

_VOID = frozenset({"meta", "img", "br", "input", "col"})


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


def tag(name: str, /, *content: str, **attributes: str | float | None) -> Html:
    """Write an element.

    Args:
        name: Of the element.
        content: Children; those that are not Html are escaped.
        attributes: `class_` becomes class, other underscores become hyphens; None leaves the attribute out.
    """
    pairs = [f' {_attribute(key)}="{_value(value)}"' for key, value in attributes.items() if value is not None]
    opening = f"<{name}{''.join(pairs)}>"
    return Html(opening if name in _VOID else f"{opening}{join(content)}</{name}>")


def join(parts: Iterable[str], separator: str = "") -> Html:
    """Concatenate, escaping what is not Html."""
    return Html(separator.join(part if isinstance(part, Html) else escape(part) for part in parts))


def number(value: float) -> str:
    """Coordinates with at most two decimals, so that pictures stay small and equal between machines."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _attribute(key: str) -> str:
    return key.rstrip("_").replace("_", "-")


def _value(value: str | float) -> str:
    return escape(value) if isinstance(value, str) else number(value)
