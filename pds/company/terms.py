"""The company's own terms: what is wrong with them, in words that name purpose and item, and what
is allowed but looks like a slip.

They were written here, so an error may name what stands in them; a stranger's request never is.
"""

import re
from difflib import get_close_matches
from importlib import resources

from did.json import JsonObject
from pds.messages.errors import MessageError
from pds.messages.fields import PATH, PURPOSE_ID
from pds.messages.request import AccessRequest


# The published categories and their fields. A vault may have others, so a path that is not here
# is worth a word, not a refusal.
def _published() -> frozenset[str]:
    lines = (resources.files(__package__) / "paths.txt").read_text(encoding="utf-8").split("\n")
    named = [(name, fields.split()) for name, _, fields in (line.partition(":") for line in lines)]
    return frozenset(
        path for name, fields in named if name for path in (name, *(f"{name}.{f}" for f in fields))
    )


PATHS = _published()


def read_request(document: JsonObject) -> AccessRequest:
    """Parse a request that is made of the company's terms.

    Raises ``MessageError`` as a holder's vault would, saying which purpose and which item of it.
    """
    try:
        return AccessRequest.parse(document, own=True)
    except MessageError as error:
        place, within = _place(document, error.where)
        if not place:
            raise
        what = str(error).removeprefix(error.where).strip()
        raise type(error)(
            f"{place}: {within} {what}" if within else f"{place} {what}",
            code=error.code,
            hint=error.hint or "Compare it with docs/examples/terms.json.",
            where=error.where,
        ) from None


def warnings(request: AccessRequest) -> tuple[str, ...]:
    """A sentence for each path that no published category has; most vaults would find nothing."""
    found = []
    for purpose in request.purposes:
        for path in sorted(purpose.paths - PATHS):
            near = get_close_matches(path, PATHS, n=1, cutoff=0.8)
            found.append(
                f'purpose "{purpose.id}" asks for {path}, which is in no published category'
                + (f"; is it {near[0]}?" if near else "")
            )
    return tuple(found)


def _place(document: JsonObject, where: str) -> tuple[str, str]:
    """``/purposes/0/items/1/path`` as 'purpose "delivery", item contact.email' and ``path``."""
    parts = where.split("/")[1:]
    purpose, parts = _step(document, parts, "purposes")
    if purpose is None:
        return "", ""
    words = f'purpose "{_short(purpose, "id", PURPOSE_ID)}"'
    item, rest = _step(purpose, parts, "items")
    if item is not None:
        words, parts = f"{words}, item {_short(item, 'path', PATH)}", rest
    return words, "/".join(parts)


def _step(value: JsonObject, parts: list[str], name: str) -> tuple[JsonObject | None, list[str]]:
    """The member of the list ``name`` that ``parts`` leads to, and the parts behind it."""
    members = value.get(name)
    if len(parts) > 1 and parts[0] == name and isinstance(members, list):
        found = members[int(parts[1])]
        if isinstance(found, dict):
            return found, parts[2:]
    return None, parts


def _short(value: JsonObject, name: str, form: re.Pattern[str]) -> str:
    text = value.get(name)
    return text if isinstance(text, str) and form.fullmatch(text) else "?"
