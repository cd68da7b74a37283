"""Taking a document apart: pointers, parts, labels; and documents that have no parts."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from selective_world import CONTEXT_URL, contexts, document, places, texts

from credentials.errors import CredentialError, ProofInvalid, RdfcRefused
from credentials.nquads import STRING, Blank, Iri, Literal, Quad, parse, rename, write
from credentials.rdfc import canonical_labels, canonicalize_jsonld, canonicalize_quads
from credentials.selective import (
    MAX_POINTER,
    Statements,
    label_by_hmac,
    parse_pointer,
    select,
    skolemise,
)

LABEL = label_by_hmac(b"\1" * 32)
CONTEXT = [CONTEXT_URL]


def read(value: Any) -> Statements:
    return Statements.read(value, LABEL, contexts=contexts)


def refused(code: str, act: Any, *arguments: Any) -> None:
    with pytest.raises(CredentialError) as caught:
        act(*arguments)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("pointer", "path"),
    [
        ("/a", ("a",)),
        ("/a/0/b", ("a", "0", "b")),
        ("/a~1b/~0~1", ("a/b", "~/")),
        ("/~01", ("~1",)),
        ("/", ("",)),
        ("//", ("", "")),
    ],
)
def test_pointers_are_read(pointer, path):
    """RFC 6901 §3–4, escapes in their order."""
    assert parse_pointer(pointer) == path


@pytest.mark.parametrize("pointer", ["", "a", "a/b", "/~", "/~2", "/a~", "/" + "a" * MAX_POINTER])
def test_what_is_no_pointer_is_refused(pointer):
    """The whole document, what does not begin with a slash, wrong escapes, long ones."""
    refused("proof.pointer", parse_pointer, pointer)


@pytest.mark.parametrize(
    "pointer",
    [
        "/missing",
        "/@context",
        "/@context/0",
        "/issuer/deeper",
        "/issuer/0",
        "/name/3",
        "/name/-1",
        "/name/01",
        "/name/-",
        "/name/²",
        "/name/one",
        "/name/",
        "/subject/child/name",
        "/type/2",
        "/proof",
    ],
)
def test_a_pointer_that_leads_nowhere_is_refused(pointer):
    """Also beside one that leads somewhere."""
    refused("proof.pointer", select, document(), [pointer])
    refused("proof.pointer", select, document(), ["/issuer", pointer])
    refused("proof.pointer", read(document()).select, [pointer])


def test_a_part_keeps_ids_and_types_on_the_way():
    """And nothing else; places in one array stay in order."""
    part = select(document(), ["/subject/child/2/mate/note", "/subject/child/0/name", "/name/1"])
    assert part == {
        "@context": CONTEXT,
        "type": ["Thing", "Person"],
        "name": ["leaf-name-b"],
        "subject": {
            "id": "urn:node:subject",
            "type": "Person",
            "child": [
                {"type": "Person", "name": "leaf-child-a"},
                {"mate": {"type": "Thing", "note": "leaf-mate"}},
            ],
        },
    }
    assert select(document(), ["/type/0", "/subject/id"])["type"] == ["Thing", "Person"]
    assert select({**document(), "id": "_:b0"}, ["/issuer"]).keys() == {
        "@context",
        "type",
        "issuer",
    }


@settings(deadline=None, max_examples=60)
@given(st.lists(st.sampled_from(sorted(places(document()))), min_size=1, max_size=6))
def test_a_selection_is_the_union_of_its_places(pointers):
    """In any order, and with places in others; each text is there that was selected."""
    part = select(document(), pointers)
    assert part == select(document(), pointers[::-1])
    chosen = set().union(*(texts(places(document())[pointer]) for pointer in pointers))
    assert chosen <= texts(part)
    assert {text for text in texts(part) - chosen if text.startswith("leaf")} == set()
    statements = read(document())
    every = [statements.select([pointer]) for pointer in pointers]
    assert statements.select(pointers) == set().union(*every)


def test_a_part_is_a_copy():
    """What is done to a part is not done to the document."""
    whole = document()
    part = select(whole, ["/subject", "/type"])
    part["subject"]["name"] = part["type"][0] = part["@context"][0] = "changed"
    assert whole == document()


def test_statements_are_the_canonical_ones_under_other_labels():
    """Only the labels differ, and those follow from the key."""
    statements = read(document())
    labels = {Blank(label): name for name, label in statements.labels.items()}
    back = [rename(quad, lambda term: labels.get(term, term)) for quad in parse_lines(statements)]
    assert canonicalize_quads(back) == canonicalize_jsonld(document(), contexts=contexts)
    assert len(statements.labels) == 4
    assert all(len(label) == 44 and label[0] == "u" for label in statements.labels.values())
    other = Statements.read(document(), label_by_hmac(b"\2" * 32), contexts=contexts)
    assert set(other.labels.values()).isdisjoint(statements.labels.values())
    assert statements.indexes(statements.select([])) == ()
    root = statements.indexes(statements.select(["/issuer"]))
    assert [statements.lines[index].split()[2] for index in root] == [
        "<urn:term:Person>",
        "<urn:term:Thing>",
        '"leaf-issuer"',
    ]


def parse_lines(statements: Statements) -> set[Quad]:
    return parse("".join(statements.lines))


def test_the_order_of_keys_and_of_arrays_says_nothing():
    """Two writings of one document have the same statements and labels."""
    turned = json.loads(json.dumps(document(), sort_keys=True))
    turned["name"].reverse()
    assert read(turned).lines == read(document()).lines


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"list": ["a", "b"]}, "rdfc.compact"),
        ({"graph": {"name": "a"}}, "rdfc.keyword"),
        ({"id": "urn:bnid:0"}, "rdfc.compact"),
        ({"mate": {"id": "urn:bnid:1", "name": "a"}}, "rdfc.compact"),
        ({"unknown": "a"}, "rdfc.dropped"),
        ({"name": None}, "rdfc.null"),
        ({"mate": {"@graph": []}}, "rdfc.keyword"),
        ({"name": 0.1 + 0.2}, "rdfc.number"),
    ],
)
def test_documents_without_parts_are_refused(more, code):
    """Lists, graphs, ids of our own scheme, and all that RDF would not cover."""
    refused(code, read, {**document(), **more})


def test_documents_with_blank_ids_and_scoped_terms_have_parts():
    """Labels in the document are names like others; a term may mean another thing deeper in."""
    whole = {
        **document(),
        "id": "_:0",
        "mate": [{"id": "_:1", "name": "a"}, {"name": "b", "mate": {"id": "_:0"}}],
        "other": {"name": "c"},
        "hint": "d",
        "at": "2026-01-31T09:30:00Z",
        "json": {"a": [1, None, {"id": "x"}]},
    }
    statements = read(whole)
    lines = [statements.lines[i] for i in statements.indexes(statements.select(["/other/name"]))]
    assert sum('<urn:term:another-name> "c"' in line for line in lines) == 1
    for pointer in ("/json", "/hint", "/at", "/mate/1/mate"):
        assert statements.select([pointer])


def test_a_part_of_one_statement_is_refused():
    """A JSON literal is one statement, whatever is in it."""
    whole = {**document(), "json": {"a": [1, 2], "b": 3}}
    statements = read(whole)
    assert len(statements.indexes(statements.select(["/json"]))) == 3
    for pointer in ("/json/a", "/json/b", "/json/a/0"):
        refused("proof.pointer", statements.select, [pointer])


def test_every_node_is_named_once():
    """Nodes, not values, and each its own name; names in the document stay."""
    named = skolemise({**document(), "json": {"a": 1}}, contexts=contexts)
    ids = [value for place, value in places(named).items() if place.endswith("/id")]
    assert len(ids) == len(set(ids)) == 6
    assert {name for name in ids if not name.startswith("urn:bnid:")} == {
        "urn:node:subject",
        "urn:node:child",
    }
    assert named["json"] == {"a": 1}


TERMS = st.builds(Iri, st.sampled_from(["urn:a", "urn:é", "https://b.example/#c"]))
LITERALS = st.one_of(
    st.builds(Literal, st.text(), st.just(STRING), st.just("")),
    st.builds(Literal, st.text(), st.just("urn:type"), st.just("")),
    st.builds(
        Literal,
        st.text(),
        st.just("http://www.w3.org/1999/02/22-rdf-syntax-ns#langString"),
        st.just("en-GB"),
    ),
)


@settings(deadline=None)
@given(st.builds(Quad, TERMS, TERMS, st.one_of(TERMS, LITERALS), st.one_of(st.none(), TERMS)))
def test_a_line_is_the_canonical_one(quad):
    """As the canonicaliser writes it; and reading it again gives the quad."""
    assert write(quad) == canonicalize_quads([quad])
    assert parse(write(quad)) == {quad}


@settings(deadline=None, max_examples=50)
@given(st.sets(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=8))
def test_canonical_labels_are_those_of_the_canonical_form(edges):
    """Quads written under these labels are the canonical form, line for line."""
    quads = {Quad(Blank(f"x{a}"), Iri("urn:p"), Blank(f"x{b}"), Blank("g")) for a, b in edges}
    given = canonical_labels(quads)
    lines = sorted(write(rename(quad, lambda term: given[term])) for quad in quads)
    assert "".join(lines) == canonicalize_quads(quads)


def test_errors_repeat_nothing():
    """Neither pointers nor contents of a document come back."""
    for act, arguments in ((select, (document(), ["/leaf-x"])), (parse_pointer, ("leaf-x",))):
        with pytest.raises(ProofInvalid) as caught:
            act(*arguments)
        assert "leaf" not in str(caught.value) + caught.value.hint
    with pytest.raises(RdfcRefused) as refusal:
        read({**document(), "list": ["leaf-x"]})
    assert "leaf" not in str(refusal.value) + refusal.value.hint
