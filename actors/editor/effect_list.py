"""Effects as people write them on a command line. Pure.

`mirror,zoom:end_scale=1.2,shake:beats_us=1000000;1500000`: names by commas, settings by colons, lists by semicolons.
"""

from __future__ import annotations

from typing import Final, cast, get_args

import msgspec

from contracts.errors import Reject
from contracts.plan import Effect

__all__ = ["EFFECT_NAMES", "parse_effects"]

EFFECT_NAMES: Final = tuple(str(kind.__struct_config__.tag) for kind in get_args(Effect))
_NONE: Final = "none"


def parse_effects(text: str) -> tuple[Effect, ...]:
    """Return the effects of a list; `none` and an empty text are no effects. Raises: Reject, naming the entry."""
    entries = [entry.strip() for entry in text.split(",") if entry.strip()]
    if entries == [_NONE]:
        return ()
    return tuple(_effect(entry) for entry in entries)


def _effect(entry: str) -> Effect:
    name, *settings = entry.split(":")
    if name not in EFFECT_NAMES:
        raise Reject(f"there is no effect '{name}'", mend=f"known: {', '.join(EFFECT_NAMES)}")
    fields: dict[str, object] = {"effect": name}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise Reject(f"effect '{entry}': '{setting}' has no value", mend=f"write it as {name}:{setting}=VALUE")
        fields[key.strip()] = _value(value.strip())
    known = {field.name for kind in get_args(Effect) if kind.__struct_config__.tag == name for field in _fields(kind)}
    if unknown := sorted(fields.keys() - known - {"effect"}):
        raise Reject(f"effect '{name}' has no setting '{unknown[0]}'", mend=f"known: {', '.join(sorted(known))}")
    try:
        return cast(Effect, msgspec.convert(fields, type=Effect, strict=False))
    except msgspec.ValidationError as error:
        raise Reject(f"effect '{entry}': {error}", mend="see docs/effects.md") from error


def _fields(kind: type[msgspec.Struct]) -> tuple[msgspec.structs.FieldInfo, ...]:
    return msgspec.structs.fields(kind)


def _value(text: str) -> object:
    """Return a list of numbers for `1;2;3`, the text itself for all else."""
    return [part.strip() for part in text.split(";") if part.strip()] if ";" in text else text
