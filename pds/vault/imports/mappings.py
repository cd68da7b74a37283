"""Saved mappings: what the columns of somebody's tables mean, known again by their header.

Kept among the settings of the vault, so a backup has them; the caller owns the transaction.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from did.json import JsonObject, canonicalize, parse_object

from .columns import fold
from .plan import ImportFailed

MAX_MAPPINGS = 200
MAX_NAME = 60
_SETTING = "mapping:"


class Settings(Protocol):
    """The rows in which mappings are kept."""

    def settings(self, prefix: str) -> dict[str, str]: ...
    def set_setting(self, name: str, value: str) -> None: ...
    def remove_setting(self, name: str) -> None: ...


@dataclass(frozen=True, slots=True, repr=False)
class SavedMapping:
    """``columns`` says which column is which field, as ``csv_reader`` takes it; ``header`` is the
    whole header of the file that it was made for."""

    name: str
    header: tuple[str, ...]
    columns: dict[str, str]

    def fits(self, header: Sequence[str]) -> bool:
        """Whether this is the same header, but for case, accents and order."""
        return sorted(map(fold, header)) == sorted(map(fold, self.header))


def saved_mappings(settings: Settings) -> tuple[SavedMapping, ...]:
    """All of them by name."""
    return tuple(
        _read(name.removeprefix(_SETTING), parse_object(value))
        for name, value in sorted(settings.settings(_SETTING).items())
    )


def save_mapping(
    settings: Settings, name: str, header: Sequence[str], columns: Mapping[str, str]
) -> SavedMapping:
    """Keep a mapping; one of the same name is replaced. Raises ImportFailed ``import.mapping``."""
    name = " ".join(name.split())
    if not 0 < len(name) <= MAX_NAME or not name.isprintable():
        raise ImportFailed(
            "The name of a mapping is a few words.",
            code="import.mapping",
            hint=f"At most {MAX_NAME} characters.",
        )
    known = settings.settings(_SETTING)
    if len(known) >= MAX_MAPPINGS and _SETTING + name not in known:
        raise ImportFailed(
            "There are too many saved mappings.",
            code="import.mapping",
            hint="Remove one with: pds data mapping remove NAME",
        )
    value: JsonObject = {"header": list(header), "columns": dict(columns)}
    settings.set_setting(_SETTING + name, canonicalize(value).decode())
    return SavedMapping(name, tuple(header), dict(columns))


def remove_mapping(settings: Settings, name: str) -> None:
    """Forget a mapping. Raises ImportFailed ``import.no_mapping``."""
    name = " ".join(name.split())
    if _SETTING + name not in settings.settings(_SETTING):
        raise ImportFailed(
            "There is no mapping of this name.",
            code="import.no_mapping",
            hint="See: pds data mapping list",
        )
    settings.remove_setting(_SETTING + name)


def _read(name: str, value: JsonObject) -> SavedMapping:
    header, columns = value.get("header"), value.get("columns")
    return SavedMapping(
        name,
        tuple(map(str, header if isinstance(header, list) else ())),
        {str(k): str(v) for k, v in (columns if isinstance(columns, dict) else {}).items()},
    )
