"""Nested values as lists of definitions."""

from collections.abc import Mapping, Sequence

from etude.loop.report.drawing.markup import Html, join, tag
from etude.loop.report.results import Plain


def tree(content: Mapping[str, Plain]) -> Html:
    """A mapping as a list of definitions, mappings within as lists within."""
    parts: list[Html] = []
    for key, value in content.items():
        body = tree(value) if isinstance(value, Mapping) and value else tag("code", _plain(value))
        parts.append(join([tag("dt", key), tag("dd", body)]))
    return tag("dl", *parts)


def _plain(value: Plain) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, Sequence):
        return ", ".join(_plain(item) for item in value) or "none"
    if isinstance(value, Mapping):
        return "; ".join(f"{key}: {_plain(item)}" for key, item in value.items()) or "none"
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else f"{value}"
