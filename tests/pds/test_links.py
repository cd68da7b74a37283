"""Request links and what they open."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from did.multikey import b64url_encode
from pds.links import LinkError, RequestLink, open_request, seal_request
from pds.sealing import SealingError
from pds.wire import WireError, new_id

RELAY = "https://relay.example"
ID = "AAECAwQFBgcICQoLDA0ODw"
SECRET = bytes(range(32))
TEXT = f"{RELAY}/r/{ID}#{b64url_encode(SECRET)}"


def test_a_link_reads_and_writes_itself() -> None:
    """Relay, id and secret; white space around a pasted link does not matter."""
    link = RequestLink.parse(f"  {TEXT}\n")
    assert link == RequestLink(RELAY, ID, SECRET)
    assert str(link) == TEXT


def test_a_link_does_not_show_its_secret_by_accident() -> None:
    """A log line with the link's repr opens nothing."""
    assert b64url_encode(SECRET) not in repr(RequestLink.parse(TEXT))
    assert repr(SECRET) not in repr(RequestLink.parse(TEXT))


@given(st.binary(min_size=16, max_size=16), st.binary(min_size=32, max_size=32))
@settings(deadline=None, max_examples=50)
def test_every_new_link_can_be_read(raw: bytes, secret: bytes) -> None:
    """parse undoes str."""
    link = RequestLink.new(RELAY, {16: raw, 32: secret}.__getitem__)
    assert RequestLink.parse(str(link)) == link
    assert link.secret == secret


@pytest.mark.parametrize(
    "bad",
    [
        "",
        RELAY,
        TEXT.partition("#")[0],
        TEXT[:-1],
        TEXT + "A",
        TEXT + "=",
        TEXT + "#x",
        TEXT + "?x=1",
        TEXT.replace("/r/", "/x/"),
        TEXT.replace("/r/", "//r/"),
        TEXT.replace(ID, ID[:-1]),
        TEXT.replace(ID, f"../{ID}"),
        TEXT.replace("https", "http"),
        TEXT.replace("https", "ftp"),
        TEXT.replace("relay.example", "Relay.example"),
        TEXT.replace("relay.example", "relay.example:443"),
        TEXT.replace("relay.example", "user@relay.example"),
        TEXT + " " * 500,
    ],
)
def test_what_is_not_a_whole_link_is_refused(bad: str) -> None:
    """With a hint, and without repeating it."""
    with pytest.raises(LinkError) as caught:
        RequestLink.parse(bad)
    assert caught.value.code == "links.format"
    assert caught.value.hint
    assert bad in ("", RELAY) or bad not in str(caught.value) + caught.value.hint


def test_randomness_that_runs_short_makes_no_link() -> None:
    """A secret has 32 bytes."""
    with pytest.raises(LinkError):
        RequestLink.new(RELAY, lambda n: bytes(min(n, 16)))


def test_a_request_opens_with_its_link_alone() -> None:
    """Secret and id must both be right, and no byte changed."""
    request = {"type": "AccessRequest", "b": 1, "a": 2}
    locked = seal_request(request, secret=SECRET, request_id=ID)
    assert open_request(locked, secret=SECRET, request_id=ID) == (
        b'{"a":2,"b":1,"type":"AccessRequest"}'
    )
    wrong = [
        (locked, bytes(32), ID),
        (locked, SECRET, new_id()),
        (locked[:-1] + bytes([locked[-1] ^ 1]), SECRET, ID),
        (b"", SECRET, ID),
    ]
    for changed, secret, request_id in wrong:
        with pytest.raises(SealingError) as caught:
            open_request(changed, secret=secret, request_id=request_id)
        assert caught.value.code == "sealing.cannot_open"


def test_bytes_are_locked_as_they_are() -> None:
    """What was signed is what arrives; its length is hidden."""
    one, two = (seal_request(b"x" * n, secret=SECRET, request_id=ID) for n in (1, 900))
    assert len(one) == len(two)
    assert open_request(one, secret=SECRET, request_id=ID) == b"x"


def test_an_id_that_is_none_is_refused() -> None:
    """The id is part of what the lock is bound to."""
    with pytest.raises(WireError):
        seal_request(b"x", secret=SECRET, request_id="x")
