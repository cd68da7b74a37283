"""The short way to canonical RDF: the same bytes as the general way, or no answer.

``PDS_EXAMPLES=20000`` runs the comparison over so many documents; it takes minutes.
"""

import copy
import json
import os

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from credentials.compiled import canonicalize_known
from credentials.contexts import CREDENTIALS_V2, DATA_INTEGRITY_V2, PDS_V1
from credentials.errors import CredentialError
from credentials.grant import issue_grant
from credentials.proof import add_proof, sign_object
from credentials.rdfc import MAX_BYTES, canonicalize_any, canonicalize_jsonld
from credentials.scopes import COMPILED_CONTEXTS, EMPTY, Scope, Term, UnknownShapeError, scope_of
from credentials.shapes import MAX_BLANK_NODES, MAX_LEVELS, MAX_LINES, MAX_NODES, plan_of
from credentials.status import BitString, issue_status_list
from credentials.suites import eddsa_rdfc
from did.multikey import multihash_sha256

EXAMPLES = int(os.environ.get("PDS_EXAMPLES", "300"))
CONTEXTS = [
    [CREDENTIALS_V2, PDS_V1],
    [CREDENTIALS_V2],
    CREDENTIALS_V2,
    [CREDENTIALS_V2, DATA_INTEGRITY_V2],
    [DATA_INTEGRITY_V2, CREDENTIALS_V2, PDS_V1],
    DATA_INTEGRITY_V2,
]


def known(document, *, max_bytes=MAX_BYTES, hash_name="sha256"):
    return canonicalize_known(document, hash_name=hash_name, max_bytes=max_bytes)


def compare(document) -> bool:
    """Whether there was an answer; it must be that of the general way, which must have one."""
    found = known(document)
    if found is None:
        return False
    assert found == canonicalize_any(document)
    return True


@pytest.fixture(scope="session")
def issued(terms, key, entry, ticket, now):
    """One of each that we issue, without its proof; and the proofs, as they are hashed."""
    from dataclasses import replace

    grant = issue_grant(terms, key=key, status=entry, now=now)
    signed = {
        "grant": grant,
        "sandbox": issue_grant(replace(terms, sandbox=True), key=key, status=entry, now=now),
        "ticket": ticket,
        "status": issue_status_list(
            key=key,
            url=entry.list_url,
            bits=BitString.empty().with_bit(5),
            sequence=7,
            now=now,
        ),
        "presentation": sign_object(
            {
                "@context": grant["@context"],
                "id": "urn:uuid:8f1c6d0e-3f0c-4c5e-9d2b-6a5b8f5a2c11",
                "type": ["VerifiablePresentation", "Redemption"],
                "holder": key.did,
                "grantDigest": multihash_sha256(b""),
                "verifiableCredential": [grant_without(ticket, "proof")],
            },
            key,
            created=now,
            purpose="authentication",
            challenge='a "challenge"\n',
            domain="https://relay.example",
        ),
    }
    documents = {name: grant_without(value, "proof") for name, value in signed.items()}
    proofs = {
        f"{name}.proof": grant_without(value["proof"], "proofValue")
        for name, value in signed.items()
    }
    return documents | proofs


def grant_without(value, name):
    return {key: inner for key, inner in value.items() if key != name}


def test_what_we_issue_goes_the_short_way(issued):
    """It never steps aside for a document of ours, nor for its proof."""
    assert len(issued) == 10
    for name, document in issued.items():
        assert compare(document), name
        assert known(document, hash_name="sha384") == canonicalize_any(
            document, hash_name="sha384"
        ), name


def test_a_credential_inside_brings_its_own_proof(grant, key, now):
    """Graphs inside graphs: blank nodes are subjects, objects and names of graphs."""
    inner = add_proof(
        {**grant, "proof": grant_without(grant["proof"], "@context")},
        key,
        created=now,
        cryptosuite="eddsa-rdfc-2022",
    )
    for proof in (inner["proof"], inner["proof"][0]):
        assert compare(
            {
                "@context": grant["@context"],
                "type": "VerifiablePresentation",
                "verifiableCredential": [{**inner, "proof": proof}],
            }
        )
    document = grant_without(inner, "proof")
    assert compare({**document, "proof": inner["proof"]})


def test_the_short_way_is_taken_by_the_suite(issued, monkeypatch):
    """Both hashes of a proof over RDF are made without the general way."""
    monkeypatch.setattr("credentials.rdfc.canonicalize_any", None)
    assert eddsa_rdfc.hash_document(issued["grant"])
    assert eddsa_rdfc.hash_configuration(issued["grant.proof"])
    with pytest.raises(TypeError):
        canonicalize_jsonld(issued["grant"], contexts=lambda _url: b"{}")


def test_every_term_of_the_pinned_contexts_is_read():
    """None but the JSON literals is left to the general way."""
    left = set()

    def look(terms):
        for name, term in terms.items():
            if term is None:
                left.add(name)
            elif term.local is not None:
                look(term.local.terms)

    for url in sorted(COMPILED_CONTEXTS):
        look(scope_of((url,)).terms)
    assert left == {"_sd", "jsonSchema", "jwk"}


# Documents of all shapes: guided by what the contexts say, so that most are answered.

ALL_TERMS = {}


def _collect(terms):
    for name, term in terms.items():
        if term is not None:
            ALL_TERMS.setdefault(name, term)
            if term.local is not None:
                _collect(term.local.terms)


for _url in sorted(COMPILED_CONTEXTS):
    _collect(scope_of((_url,)).terms)

TYPES = {
    "VerifiableCredential",
    "VerifiablePresentation",
    "AccessGrant",
    "RedemptionTicket",
    "BitstringStatusListCredential",
    "BitstringStatusList",
    "BitstringStatusListEntry",
    "DataIntegrityProof",
    "JsonSchema",
}
texts = st.one_of(
    st.text("ab", max_size=3),
    st.sampled_from(
        [
            *('"', "\\", "\n", "\r\t\b\f", "\x00", "\x7f", "\x85", "\u2028", "\ufffe\uffff"),
            *("é", "日本", "😀", "e\u0301", "\u202e", "%s %d %%", "_:a", "_:z", "@id", "</script>"),
            *("a .\n<urn:a> <urn:b> <urn:c>", "2026-01-31T09:30:00Z", "assertionMethod"),
        ]
    ),
    st.text(max_size=4),
)
iris = st.one_of(
    st.sampled_from(
        ["urn:a", "urn:%s", "did:web:shop.example", "https://a.example/%20?q#f", PDS_V1, "mailto:a"]
    ),
    st.from_regex(r"\Aurn:[a-c]{1,2}\Z"),
)
odd_iris = st.sampled_from(
    [
        *("", "a", "#a", "/a", "//a.example/", "_:a", "_:b", "@id", "@none", "a b:c", "urn:a b"),
        *("urn:é", "https://é.example/\u00a0", "urn:\u2003", "x:a>", "urn:a\n", "1:a", "a,b:c"),
        *("relative-reference:a", "id:a", "type:a", "name:a", "http:a", "URN:A", "a:" + "b" * 600),
        *("name", "id", "VerifiableCredential", "https://a.example/../b/./c", "a+-.:b", ":a"),
    ]
)
odd = st.one_of(
    st.none(),
    st.floats(allow_nan=False),
    st.integers(),
    st.booleans(),
    odd_iris,
    texts,
    st.just([]),
    st.just({}),
    st.just([["a"]]),
    st.just({"@value": "a"}),
    st.just({"@value": "a", "@language": "en"}),
    st.just({"@id": "urn:a"}),
    st.just({"@list": ["a"]}),
    st.just({"@set": ["a"]}),
    st.just({"@type": "@json", "@value": {}}),
    st.just({"id": "urn:a"}),
    st.just({"id": "a"}),
    st.just({"type": "AccessGrant"}),
    st.just({"type": []}),
    st.just({"type": {"VerifiableCredential": 1}}),
    st.just({"@context": CREDENTIALS_V2, "type": "VerifiableCredential"}),
    st.just({"@context": {CREDENTIALS_V2: 1}, "id": "urn:a", "name": "a"}),
    st.just("\ud800"),
    st.just(2**53),
    st.just(True),
)


@st.composite
def nodes(draw, scope: Scope, room: int = 3):
    """A node with properties that fit its place, for the most part."""
    types = draw(st.lists(st.sampled_from([*sorted(TYPES & scope.terms.keys()), "urn:x:T"])))[:3]
    try:
        typed = scope.typed(types)
    except UnknownShapeError:
        types, typed = [], scope
    node = {"id": draw(iris)} if draw(st.integers(0, 3)) else {}
    if types:
        node["type"] = types[0] if len(types) == 1 else types
    names = [name for name, term in typed.terms.items() if term and term.iri[0] != "@"]
    for name in draw(st.lists(st.sampled_from(names), min_size=1, max_size=5, unique=True)):
        node[name] = draw(values(typed.terms[name], scope.entered(typed.terms[name]), room))
    return {name: node[name] for name in draw(st.permutations(list(node)))}


@st.composite
def values(draw, term: Term, scope: Scope, room: int):
    reference = st.builds(lambda iri: {"id": iri}, iris) if scope.terms else st.nothing()
    if not scope.terms:
        context = draw(st.sampled_from(CONTEXTS[:3]))
        below = whole(context, room - 1) if room else whole(context, 0)
    else:
        below = nodes(scope, room - 1) | reference if room else reference
    if term.graph:
        one = below
    elif term.coercion == "@id":
        one = iris | below
    elif term.coercion == "@vocab":
        one = st.sampled_from(["assertionMethod", "authentication"]) | iris
    else:
        one = texts | st.integers(-3, 2**53 - 1) | st.booleans() | texts
        one |= below
    return draw(one | st.lists(one, min_size=1, max_size=3))


def whole(context, room: int = 3):
    urls = (context,) if isinstance(context, str) else tuple(context)
    return nodes(scope_of(urls), room).map(lambda node: {"@context": context, **node})


documents = st.sampled_from(CONTEXTS).flatmap(whole)


def _paths(value, path=()):
    yield path
    items = value.items() if isinstance(value, dict) else ()
    items = enumerate(value) if isinstance(value, list) else items
    for key, inner in items:
        yield from _paths(inner, (*path, key))


@st.composite
def spoiled(draw, source):
    """A document with up to three things changed."""
    document = copy.deepcopy(draw(source))
    for _ in range(draw(st.integers(1, 3))):
        paths = [path for path in _paths(document) if path]
        if not paths:
            break
        path = draw(st.sampled_from(paths))
        holder = document
        for step in path[:-1]:
            holder = holder[step]
        act = draw(st.sampled_from(["replace", "remove", "repeat", "wrap", "add", "rename"]))
        if act == "replace":
            holder[path[-1]] = copy.deepcopy(draw(odd))
        elif act == "remove":
            del holder[path[-1]]
        elif act == "wrap":
            holder[path[-1]] = [holder[path[-1]]]
        elif act == "repeat":
            one = holder[path[-1]]
            holder[path[-1]] = [*one, *one] if isinstance(one, list) else [one, copy.deepcopy(one)]
        elif isinstance(holder, dict):
            name = draw(st.sampled_from([*ALL_TERMS, "unknown", "@id", "@type", "urn:p", "_:p"]))
            other = draw(odd) if act == "add" else holder.pop(path[-1])
            holder[name] = copy.deepcopy(other)
    return document


CHECKS = settings(
    deadline=None,
    max_examples=EXAMPLES,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


@given(documents)
@CHECKS
@example(
    {
        "@context": CREDENTIALS_V2,
        "type": "VerifiableCredential",
        "evidence": [{"type": "urn:a"}, {"type": "urn:b", "name": ["x", "x"]}],
    }
)
def test_the_answer_is_that_of_the_general_way(document):
    """Byte for byte, wherever there is one; and then the general way refuses nothing."""
    compare(document)


@given(documents.filter(lambda document: known(document) is not None), st.data())
@CHECKS
def test_so_it_is_for_documents_with_something_changed(document, data):
    compare(data.draw(spoiled(st.just(document))))


@given(st.data())
@CHECKS
def test_so_it_is_for_our_own_with_something_changed(issued, data):
    name = data.draw(st.sampled_from(sorted(issued)))
    compare(data.draw(spoiled(st.just(issued[name]))))


@given(
    st.fixed_dictionaries(
        {
            "@context": st.sampled_from(CONTEXTS),
            "type": st.sampled_from(["DataIntegrityProof", ["DataIntegrityProof"]]),
            "cryptosuite": texts,
            "created": texts,
            "verificationMethod": iris | odd_iris,
            "proofPurpose": st.sampled_from(["assertionMethod", "authentication", "urn:a", "a"]),
        },
        optional={"expires": texts, "domain": texts},
    )
)
@CHECKS
def test_so_it_is_for_proofs(configuration):
    """Which are one template, as long as nothing in them is out of the ordinary."""
    compare(configuration)


@given(documents, st.randoms(use_true_random=False))
@settings(CHECKS, max_examples=max(EXAMPLES // 4, 1))
def test_order_says_nothing(document, random):
    """Neither that of keys nor that of the values of a list, at any depth."""
    found = known(document)
    assume(found is not None)

    def shuffled(value):
        if isinstance(value, dict):
            items = list(value.items())
            random.shuffle(items)
            return {name: inner if name == "@context" else shuffled(inner) for name, inner in items}
        if isinstance(value, list):
            return [shuffled(inner) for inner in random.sample(value, len(value))]
        return value

    assert known(shuffled(document)) == found


@pytest.mark.parametrize(
    "claims",
    [
        {"unknown": "a"},
        {"name": None},
        {"name": 1.5},
        {"name": 2**53},
        {"name": "\ud800"},
        {"name": []},
        {"name": [["a"]]},
        {"name": {}},
        {"name": {"@value": "a"}},
        {"id": "a"},
        {"id": "_:a"},
        {"id": 7},
        {"id": "relative-reference:a"},
        {"id": "urn:é"},
        {"id": "urn:a b"},
        {"id": ["urn:a"]},
        {"issuer": True},
        {"issuer": 7},
        # What a type brings is for its own properties, and not for nodes below.
        {"credentialSubject": {"validFrom": "2026-01-31T09:30:00Z"}},
        {"type": "Unknown"},
        {"type": "id"},
        {"type": []},
        {"type": [["VerifiableCredential"]]},
        {"type": {"VerifiableCredential": 1}},
        {"@id": "urn:a"},
        {"urn:a": "b"},
        {"evidence": {"@context": CREDENTIALS_V2, "name": "a"}},
        {"credentialSchema": {"type": "JsonSchema", "jsonSchema": {}}},
        {"proof": "urn:a"},
        {"proof": {"id": "urn:a"}},
        {"proof": ["urn:a"]},
        # Two blank nodes of which only their neighbours can tell which is which.
        {"evidence": [{"name": "a"}, {"name": "a"}]},
        {"evidence": [{"evidence": {"id": "urn:a"}, "name": "a"}] * 2},
        # What is said twice is one statement, and would be hashed as two.
        {"evidence": [{"name": ["a", "a"]}, {"name": "b"}]},
        {"@context": []},
        {"@context": {CREDENTIALS_V2: 1}},
        {"@context": [{"unknown": "urn:a"}]},
        {"@context": "https://example.org/v1"},
        {"@context": None},
        {"@context": [CREDENTIALS_V2] * 4},
    ],
)
def test_it_steps_aside(claims):
    """For what it does not know, for what is refused, and for what takes more than one look."""
    document = {"@context": CREDENTIALS_V2, "type": "VerifiableCredential", "name": "n"}
    assert known(document) is not None
    assert known(document | claims) is None


def test_it_steps_aside_without_a_context_or_a_statement():
    assert known({"name": "a"}) is None
    assert known({"@context": CREDENTIALS_V2}) is None
    assert known({"@context": CREDENTIALS_V2, "id": "urn:a"}) is None


def _many(count, **claims):
    return {
        "@context": CREDENTIALS_V2,
        "type": ["VerifiableCredential", "VerifiablePresentation", "urn:a", "urn:b"],
        "evidence": [{"id": f"urn:x:{i}", "name": str(i), **claims} for i in range(count)],
    }


def test_it_has_limits_of_its_own():
    """All of them below those of the general way, which still answers where each is reached."""
    deep = inner = {}
    for level in range(MAX_LEVELS - 1):
        inner["evidence"] = {"id": f"urn:{level}", "type": "VerifiableCredential"}
        inner = inner["evidence"]
    deep |= {"@context": CREDENTIALS_V2, "type": "VerifiableCredential"}
    wide = {"@context": CREDENTIALS_V2, "name": [str(i) for i in range(MAX_LINES)]}
    cases = [
        (deep, lambda: inner.update(evidence={"type": "VerifiableCredential"})),
        (wide, lambda: wide["name"].append("more")),
        (
            two := {"@context": CREDENTIALS_V2, "name": wide["name"][1:], "mediaType": "m"},
            lambda: two.update(description="more"),
        ),
        (few := _many(MAX_NODES - 1), lambda: few.update(relatedResource={"id": "urn:a"})),
        (full := _many(MAX_NODES - 1), lambda: full["evidence"].append({"name": "more"})),
        (
            typed := _many(1),
            lambda: typed["type"].append("urn:c"),
        ),
    ]
    for document, more in cases:
        assert compare(document)
        more()
        assert known(document) is None
        canonicalize_any(document)
    blanks = {
        "@context": CREDENTIALS_V2,
        "type": "VerifiableCredential",
        "proof": [{"id": f"urn:{i}", "name": str(i)} for i in range(MAX_BLANK_NODES // 2)],
    }
    assert compare(blanks)
    # A graph and a node each, beside the document itself.
    unnamed = [{"name": str(i)} for i in range((MAX_BLANK_NODES - 1) // 2)]
    assert compare(blanks | {"proof": unnamed})
    assert known(blanks | {"proof": [*unnamed, {"name": "more"}]}) is None


def test_at_its_limits_the_general_way_still_answers():
    """The most contexts that can be applied by a document that is answered, ours not seen yet."""
    every = ["VerifiableCredential", "BitstringStatusListEntry", "JsonSchema", "urn:a"]
    document = _many(MAX_NODES - 1, type=every, statusMessage="m")
    document["type"] = every
    assert compare(document)


def test_the_size_of_a_document_is_not_underestimated(issued):
    """Where the general way says that it is too large, so does this one."""
    for document in issued.values():
        size = len(json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode())
        for text in ("", "é" * 300, '"' * 300):
            changed = {**document, "name": text}
            length = size + len(json.dumps({"name": text}, ensure_ascii=False).encode())
            if known(changed) is not None:
                assert known(changed, max_bytes=length) is None


def test_what_a_proof_says_is_looked_at(issued):
    """Nothing gets into the template that the general way would not take."""
    proof = issued["grant.proof"]
    assert known(proof, max_bytes=4_096) is not None
    for changes in (
        {"verificationMethod": "a"},
        {"verificationMethod": "urn:a> ."},
        {"verificationMethod": 7},
        {"verificationMethod": "urn:" + "a" * 600},
        {"created": "\U0001f600" * 1_200},
        {"cryptosuite": "\U0001f600" * 1_200},
        {"created": "\ud800"},
        {"created": "a" * 2_000},
        {"@context": PDS_V1},
        {"proofPurpose": True},
        {"proofPurpose": ["assertionMethod"]},
    ):
        assert known(proof | changes, max_bytes=4_096) is None, changes
    for changes in ({"created": 7}, {"cryptosuite": ["a"]}, {"proofPurpose": ["urn:a"]}):
        found = known(proof | changes)
        assert found in (None, canonicalize_any(proof | changes)), changes


def test_a_percent_sign_is_itself():
    assert compare({"@context": CREDENTIALS_V2, "type": "urn:%s%d%", "id": "urn:%s", "name": "%s"})


def test_a_reference_needs_a_name_for_ids():
    """Our own context alone has none, so there it says nothing."""
    assert known({"@context": PDS_V1, "basis": "urn:a"}) is not None
    assert known({"@context": PDS_V1, "basis": {"id": "urn:a"}}) is None


def test_scopes_are_few():
    """However often documents of all shapes come, the same scopes are used again."""
    scope = scope_of((CREDENTIALS_V2, PDS_V1))
    assert scope_of((CREDENTIALS_V2, PDS_V1, PDS_V1)) is scope
    shown = scope.terms["textShown"]
    assert scope.entered(shown).entered(shown) is scope.entered(shown)
    assert scope.typed(("AccessGrant",)) is scope
    assert scope.typed(["VerifiableCredential"] * 2) is scope.typed(["VerifiableCredential"])
    presentation = scope.typed(["VerifiablePresentation"])
    assert presentation.entered(presentation.terms["verifiableCredential"]) is EMPTY


def test_plans_are_few_and_of_known_shapes():
    """Documents of strangers do not fill the memory: what has no plan leaves nothing behind."""
    size = plan_of.cache_info().maxsize
    for count in range(1, size + 10):
        named = {"@context": CREDENTIALS_V2, "name": ["n"] * count}
        assert known(named) is not None
        before = plan_of.cache_info().currsize
        assert before <= size
        assert known(named | {"unknown": "a"}) is None
        assert plan_of.cache_info().currsize == before
    assert known({"@context": CREDENTIALS_V2, "name": ["n"] * (MAX_LINES + 1)}) is None


def test_the_same_list_may_stand_in_two_places():
    """A document need not come from bytes: what is looked at is where a value is, not which."""
    shared = ["VerifiableCredential"]
    assert compare({"@context": CREDENTIALS_V2, "type": shared, "name": shared, "id": "urn:a"})
    urls = [CREDENTIALS_V2, PDS_V1]
    assert compare({"@context": urls, "name": urls})


def test_values_of_one_shape_do_not_mix():
    """A plan is used again for other values, and only for documents that have its shape."""
    document = {"@context": CREDENTIALS_V2, "type": "VerifiableCredential", "id": "urn:a"}
    for claims in (
        {"name": "a"},
        {"name": 1},
        {"name": True},
        {"name": 'a "b"\n'},
        {"name": "\x010\x01"},
        {"name": ["a", "\x010\x01"], "evidence": [{"name": "\x011\x01"}, {"name": "_:z"}]},
        {"name": ["a", "b"], "evidence": [{"name": "c"}, {"name": "d"}]},
        {"type": ["VerifiableCredential", "urn:b"], "name": "a"},
        {"type": "VerifiablePresentation", "name": "a"},
        {"description": "a"},
    ):
        for _ in range(2):
            assert compare(document | claims), claims


def test_any_value_is_answered_or_not():
    """No error comes out, whatever is in the dict."""
    for value in (object(), b"a", ("a",), {1: 2}, {"a"}, float("nan"), 10**400):
        for document in (
            {"@context": CREDENTIALS_V2, "name": value},
            {"@context": CREDENTIALS_V2, "name": [value]},
            {"@context": CREDENTIALS_V2, "type": value},
            {"@context": CREDENTIALS_V2, "type": [value]},
            {"@context": CREDENTIALS_V2, "id": value, "name": "a"},
            {"@context": value, "name": "a"},
            {"@context": [value], "name": "a"},
            {"@context": CREDENTIALS_V2, value if isinstance(value, bytes) else 5: "a"},
        ):
            assert known(document) is None
    with pytest.raises(CredentialError):
        canonicalize_jsonld({"@context": CREDENTIALS_V2, "name": 10**400})
