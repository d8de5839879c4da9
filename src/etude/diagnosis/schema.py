"""The JSON schema of a diagnosis, made from the records themselves, so that the two cannot differ.

docs/diagnosis.schema.json is what `python -m etude.diagnosis.schema` prints.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from inspect import cleandoc
from typing import Any, Literal, TypeAliasType, get_args, get_origin, get_type_hints

from etude.core import Diagnosis, Rate

_PLAIN: Mapping[Any, str] = {str: "string", int: "integer", float: "number", bool: "boolean"}
_RATE: dict[str, Any] = {
    "type": "object",
    "description": "k of n.",
    "properties": {"k": {"type": "integer", "minimum": 0}, "n": {"type": "integer", "minimum": 0}},
    "required": ["k", "n"],
    "additionalProperties": False,
}


def diagnosis_schema() -> dict[str, Any]:
    """The schema of diagnosis.json (JSON Schema 2020-12), as plain JSON values."""
    definitions: dict[str, Any] = {}
    root = _record(Diagnosis, definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Diagnosis",
        **root,
        "$defs": definitions,
    }


def _record(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    """The schema of a record: its fields with what its docstring says of them."""
    hints, said = get_type_hints(kind), _attributes(kind)
    properties = {
        f.name: {**_type(hints[f.name], definitions), "description": said.get(f.name, "")} for f in fields(kind)
    }
    return {
        "type": "object",
        "description": cleandoc(kind.__doc__ or "").partition("\n")[0],
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _type(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    """The schema of a type's values."""
    if isinstance(kind, TypeAliasType):
        return _type(kind.__value__, definitions)
    if kind is float:
        return {"type": ["number", "null"]}  # NaN, where there is no number, is written as null
    if kind in _PLAIN:
        return {"type": _PLAIN[kind]}
    if is_dataclass(kind):
        name = str(getattr(kind, "__name__", ""))
        if name not in definitions:
            definitions[name] = _RATE  # of Rate only what is counted is written
            if name != Rate.__name__:
                definitions[name] = _record(kind, definitions)
        return {"$ref": f"#/$defs/{name}"}
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin is tuple and arguments[-1] is Ellipsis:
        return {"type": "array", "items": _type(arguments[0], definitions)}
    if origin is tuple:
        each, count = [_type(one, definitions) for one in arguments], len(arguments)
        return {"type": "array", "prefixItems": each, "items": False, "minItems": count}
    if origin is not None and issubclass(origin, Mapping):
        return {"type": "object", "additionalProperties": _type(arguments[1], definitions)}
    return {"anyOf": [{"type": "null"} if one is type(None) else _type(one, definitions) for one in arguments]}


def _attributes(kind: Any) -> dict[str, str]:
    """What a record's docstring says of its fields."""
    _, _, told = cleandoc(kind.__doc__ or "").partition("Attributes:\n")
    entries = re.findall(r"^    (\w+): (.*(?:\n        .*)*)", told, re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in entries}


def main() -> None:
    """Print the schema."""
    print(json.dumps(diagnosis_schema(), indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
