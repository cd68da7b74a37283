"""Purposes of the Data Privacy Vocabulary: which is narrower than which, and their English names.

The hierarchy is DPV 2.3's own, bundled as data. A purpose that is not in it is the same as itself
and nothing else.
"""

import json
import os
from functools import cache, lru_cache
from typing import Final

DPV: Final = "https://w3id.org/dpv#"


@lru_cache(maxsize=4096)
def is_same_or_narrower(purpose: str, than: str) -> bool:
    """Whether ``purpose`` is ``than``, or DPV places it beneath ``than``.

    Both are full IRIs. ``DirectMarketing`` is narrower than ``Marketing``; never the reverse.
    """
    if purpose == than:
        return True
    parents = _hierarchy()
    waiting, seen = [purpose], {purpose}
    while waiting:
        for parent in parents.get(waiting.pop(), ("", ()))[1]:
            if parent == than:
                return True
            if parent not in seen:
                seen.add(parent)
                waiting.append(parent)
    return False


def label(purpose: str) -> str:
    """The English words for a purpose; of one that is not known, the end of its IRI."""
    found = _hierarchy().get(purpose)
    return found[0] if found is not None else purpose.rpartition("#")[2]


def is_known(purpose: str) -> bool:
    """Whether DPV 2.3 has this purpose."""
    return purpose in _hierarchy()


@cache
def _hierarchy() -> dict[str, tuple[str, tuple[str, ...]]]:
    """IRI → English label and the IRIs directly above."""
    # By its path: importlib.resources takes longer to load than a whole grant to verify.
    with open(os.path.join(os.path.dirname(__file__), "data", "purposes.json"), "rb") as source:
        data = json.load(source)
    return {
        DPV + term: (words, tuple(DPV + parent for parent in parents))
        for term, (words, parents) in data["purposes"].items()
    }
