"""DIDs and DID URLs."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from did.errors import DidSyntaxError
from did.identifier import Did, DidUrl

DIDS = st.from_regex(
    r"did:[a-z0-9]+:([A-Za-z0-9._-]*:){0,3}([A-Za-z0-9._-]|%[0-9A-F]{2})+", fullmatch=True
)


@settings(deadline=None, max_examples=100)
@given(DIDS)
def test_a_did_is_written_as_it_was_read(text: str) -> None:
    """Nothing is normalised."""
    did = Did.parse(text)
    assert str(did) == text
    assert Did(did.method, did.id) == did


@settings(deadline=None, max_examples=100)
@given(
    DIDS,
    st.sampled_from(["", "/", "/a/b%20c", "//"]),
    st.sampled_from(["", "?", "?a=b/c"]),
    st.sampled_from(["", "#", "#k-1/?"]),
)
def test_a_did_url_is_written_as_it_was_read(
    did: str, path: str, query: str, fragment: str
) -> None:
    """An empty query is not the same as none."""
    url = DidUrl.parse(did + path + query + fragment)
    assert str(url) == did + path + query + fragment
    assert str(url.did) == did
    assert url.path == path
    assert url.query == (query[1:] if query else None)
    assert url.fragment == (fragment[1:] if fragment else None)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "did:",
        "did:key",
        "did:key:",
        "did:key:a:",
        "did::a",
        "did:Key:a",
        "DID:key:a",
        "did:key:a b",
        "did:key:a\n",
        "did:key:%4",
        "did:key:%zz",
        "did:key:é",
        "did:key:a#b",
        "did:key:a/b",
        " did:key:a",
        "did:key:" + "a" * 2048,
    ],
)
def test_texts_that_are_no_did(text: str) -> None:
    """Everything outside the grammar is refused."""
    with pytest.raises(DidSyntaxError) as caught:
        Did.parse(text)
    assert caught.value.code == "did.syntax"


@pytest.mark.parametrize(
    "text",
    ["#key-1", "did:key:", "did:key:a#b#c", "did:key:a#b c", "did:key:a#\n", "did:key:a#%0", "a#b"],
)
def test_texts_that_are_no_did_url(text: str) -> None:
    """A relative reference is none, and everything outside the grammar is refused."""
    with pytest.raises(DidSyntaxError):
        DidUrl.parse(text)
