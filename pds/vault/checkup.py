"""Looking a vault over: every page, the history against its tree, the rows against the history.

SQLCipher authenticates every page and knows nothing of its age: an old page put back in place of
today's is genuine. The history knows what happened last to each item, grant and request, so a row
that is older than its last entry shows. Settings, the outbox and what relays said are not bound in
this way; nor does anything in a database show that *all* of it is old.
"""

from collections.abc import Iterator

from pds.db import check, transaction
from pds.vault.context import Context
from pds.vault.store.history import HistoryEntry, HistoryStore
from pds.vault.store.survey import Survey

_ALL = 2**62
_OLD = "an old page was put back"
_MISCOUNTED = "the numbers of items that are kept are not those of the items"
_MISINDEXED = "the search index does not fit the items"
DERIVED = frozenset({_MISCOUNTED, _MISINDEXED})
"""What can be made anew from the items, and so is mended and not lost."""


def checkup(ctx: Context) -> list[str]:
    """What is wrong, a sentence each; empty for a sound vault. No sentence holds a value.

    1. every page can be read, every index fits its table, the search its words (``pds.db.check``)
    2. the history is unbroken, each entry is the one that was logged, the tree is the tree of them
    3. each item, grant and request stands where the history left it
    4. the search knows the live items by their words, and no others
    5. each item's category is described
    """
    found = check(ctx.conn)
    if found:
        return found  # the rest would be met with errors
    survey = Survey(ctx.conn)
    with transaction(ctx.conn, immediate=False):  # one state, while other programs write
        found = ctx.history.problems()
        if not found:
            found = [sentence for _, sentence in older_than_history(ctx.history, survey)]
        if survey.miscounted():
            found.append(_MISCOUNTED)
        if not ctx.records.fits_index():
            found.append(_MISINDEXED)
        for name in survey.without_category():
            found.append(f"the description of the category {name} is lost: add it again")
    return found


def older_than_history(history: HistoryStore, survey: Survey) -> Iterator[tuple[str, str]]:
    """Whatever does not stand where the history left it: what it is, and a sentence.

    What was reported as ``lost`` is not looked for: see ``pds.vault.salvage``.
    """
    records, grants, requests = survey.records(), survey.grants(), survey.requests()
    relationships, given_up = survey.relationships(), survey.given_up()
    lost: set[str] = set()
    versions: dict[str, int] = {}
    for entry in history.entries(limit=_ALL):  # the newest first
        name, detail = entry.subject, entry.detail
        match entry.kind:
            case "lost":
                lost.add(name)
            case _ if name in lost:
                pass
            case "edited":
                versions.setdefault(name, _number(entry, "version"))
            case "added" if name not in records:
                yield name, f"item {name} is in the history and not in the vault"
            case "deleted" if not records.get(name, (0, True))[1]:
                yield name, f"item {name} was deleted and is back: {_OLD}"
            case "granted" | "reissued" if name not in grants:
                yield name, f"grant {name} is in the history and not in the vault"
            case "ended" if not grants.get(name, (True, 0))[0]:
                yield name, f"grant {name} was ended and is back: {_OLD}"
            case "restaged" if grants.get(name, (True, _ALL))[1] < _number(entry, "seq"):
                yield name, f"grant {name} is older than its history: {_OLD}"
            case "asked" if detail.get("request") not in requests:
                yield name, f"a request of {name} is in the history and not in the vault"
            case "relationship" if detail.get("did") not in relationships:
                yield name, f"a relationship with {name} is in the history and not in the vault"
            case "rotation begun" if detail.get("from") not in given_up:
                yield name, f"a DID towards {name} was given up and is back: {_OLD}"
            case "rotation done" if not given_up.get(str(detail.get("from")), True):
                yield name, f"the change of a DID towards {name} is back: {_OLD}"
            case _:
                pass
    for name, (version, deleted) in records.items():
        if version - deleted < versions.get(name, 1):
            yield name, f"item {name} is older than its history: {_OLD}"
    for name in survey.with_gaps():
        if name not in lost:
            yield name, f"earlier versions of item {name} are not as they were: {_OLD}"
    if relationships and survey.next_index() <= max(relationships.values()):
        yield "vault", f"the counter of relationships is older than they are: {_OLD}"


def _number(entry: HistoryEntry, name: str) -> int:
    value = entry.detail.get(name)
    return value if isinstance(value, int) else 0
