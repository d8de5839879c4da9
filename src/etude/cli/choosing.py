"""`--set key=value`: settings as a person types them."""

import json
from collections.abc import Sequence
from typing import Any

from etude.core import ConfigError


def parse_settings(texts: Sequence[str]) -> dict[str, Any]:
    """Read "key=value" settings: numbers, true, false, null, lists as "64,128", or else words.

    Raises:
        ConfigError: A setting of another form, or one given twice.
    """
    settings: dict[str, Any] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise ConfigError(f"--set {text}: expected key=value, e.g. horizon=32.")
        if key in settings:
            raise ConfigError(f"--set gives '{key}' twice.")
        settings[key] = _value(value)
    return settings


def require_kind_of(default: Any, key: str, value: Any) -> None:
    """Refuse a word where the default is a number, or yes or no.

    Raises:
        ConfigError: Such a setting.
    """
    if isinstance(value, str) and isinstance(default, bool | int | float):
        kind = "true or false" if isinstance(default, bool) else "a number"
        raise ConfigError(f"--set {key}={value}: expected {kind}, as its default {json.dumps(default)}.")


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        pass
    if text in ("True", "False", "None"):
        return {"True": True, "False": False, "None": None}[text]
    return tuple(_value(part) for part in text.split(",")) if "," in text else text
