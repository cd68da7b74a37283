"""What a credential refers to: related resources by their digest, and schemas for its claims.

Nothing is fetched here. Who wants these checks hands over a way to get the bytes of a URL, which
must bound size and time as any fetch of a verifier.

Sources: VCDM 2.0 §5.3 (integrity of related resources) and §4.11, Verifiable Credentials JSON
Schema 1.0 §3–4, Subresource Integrity §3.1.
"""

import base64
import hashlib
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeAlias

from credentials.credential import Credential
from credentials.errors import RelatedInvalid, StructureInvalid
from did.errors import EncodingError, JsonError
from did.json import Json, JsonObject, parse_object
from did.multikey import multibase_decode

Fetch: TypeAlias = Callable[[str], bytes]

_SRI: Final = {"sha256": 32, "sha384": 48, "sha512": 64}
# Multihash codes of the same: a varint each, then the length.
_MULTIHASH: Final = {
    b"\x12\x20": "sha256",
    b"\x20\x30": "sha384",
    b"\x13\x40": "sha512",
}
_MAX_SCHEMA_BYTES: Final = 262_144
# Steps while one credential is held against its schemas, each of about 10 µs: a use of a keyword
# or a schema, and all that grows with what is compared.
MAX_STEPS: Final = 100_000
_PER_STEP: Final = 2  # values that one step may look at
# What compares with whole values of the schema, and what compares the parts of a value with each
# other.
_COMPARING: Final = frozenset({"const", "enum"})
_COMPARING_EACH: Final = frozenset({"uniqueItems", "unevaluatedItems", "unevaluatedProperties"})
_REFERRING: Final = frozenset({"$ref", "$dynamicRef", "$recursiveRef"})
_DIALECTS: Final = {
    "https://json-schema.org/draft/2020-12/schema": "Draft202012Validator",
    "https://json-schema.org/draft/2019-09/schema": "Draft201909Validator",
    "http://json-schema.org/draft-07/schema": "Draft7Validator",
}


def check_resources(credential: Credential, fetch: Fetch) -> None:
    """Hold every related resource against its digests (VCDM 2.0 §5.3).

    Raises ``RelatedInvalid``: ``related.digest`` when one does not match, ``related.unavailable``
    when the resource could not be had, ``related.unsupported`` for a digest of a kind not known.
    """
    for position, resource in enumerate(credential.resources):
        pointer = f"/relatedResource/{position}"
        wanted = _digests(resource, pointer)
        _check_digests(_get(str(resource["id"]), fetch, pointer), wanted, pointer)


def check_schemas(credential: Credential, fetch: Fetch) -> None:
    """Validate a credential against every one of its JSON Schemas.

    Draft 2020-12, 2019-09 or 7, said by ``$schema``; references lead nowhere outside the schema.
    A schema inside a credential (``JsonSchemaCredential``) is not read: who trusts its issuer
    verifies that first, and hands over the schema in it.

    Raises ``RelatedInvalid``: ``schema.mismatch``, ``schema.invalid``, ``related.unavailable``,
    ``related.digest``, ``schema.unsupported`` for another type or dialect.
    """
    steps = _Steps()
    for position, reference in enumerate(credential.schemas):
        pointer = steps.pointer = f"/credentialSchema/{position}"
        kinds = reference["type"]
        if "JsonSchema" not in (kinds if isinstance(kinds, list) else [kinds]):
            raise RelatedInvalid(
                "the schema is of a kind that cannot be checked here",
                code="schema.unsupported",
                pointer=pointer,
            )
        found = _get(str(reference["id"]), fetch, pointer)
        if "digestSRI" in reference or "digestMultibase" in reference:
            _check_digests(found, _digests(reference, pointer), pointer)
        try:
            schema = parse_object(found, max_bytes=_MAX_SCHEMA_BYTES, allow_floats=True)
        except JsonError as error:
            raise RelatedInvalid(
                "the schema is not a JSON object", code="schema.invalid", pointer=pointer
            ) from error
        if _mentions(schema, "patternProperties"):
            # Other keywords match its patterns too, in the library's own way.
            raise RelatedInvalid(
                "the schema has a keyword that is not carried out here: patternProperties",
                code="schema.unsupported",
                pointer=pointer,
            )
        place = _mismatch(schema, credential.raw, steps)
        if place is not None:
            raise RelatedInvalid(
                "the credential does not follow its schema",
                code="schema.mismatch",
                pointer=place,
            )


class _Steps:
    """How many steps are left for all schemas of a credential."""

    def __init__(self) -> None:
        self.pointer = ""  # of the schema at hand
        self._left = MAX_STEPS

    def spend(self, values: int = 0) -> None:
        """Count one step, and those for looking at so many values. Raises ``RelatedInvalid``."""
        self._left -= 1 + values // _PER_STEP
        if self._left < 0:
            raise RelatedInvalid(
                "the schema takes too many steps", code="schema.invalid", pointer=self.pointer
            )


def _mismatch(schema: JsonObject, document: JsonObject, steps: _Steps) -> str | None:
    """Where a document does not follow a schema; ``None`` when it does."""
    import jsonschema.exceptions  # libraries of their own, loaded by who validates
    import re2
    import referencing.exceptions
    from jsonschema_specifications import REGISTRY

    pointer, dialect = steps.pointer, schema.get("$schema")
    name = _DIALECTS.get(dialect.rstrip("#")) if isinstance(dialect, str) else None
    if name is None:
        raise RelatedInvalid(
            "the schema must name its dialect: draft 2020-12, 2019-09 or 7",
            code="schema.unsupported",
            pointer=pointer,
        )
    kind: Any = getattr(jsonschema, name)
    try:
        # The schema is held against that of its dialect, and by then the document against it. With
        # no registry at all the library would fetch what a schema refers to.
        known = _bounded(kind, name, steps)(kind.META_SCHEMA, registry=REGISTRY)
        if next(known.iter_errors(schema), None) is not None:
            raise jsonschema.exceptions.SchemaError("invalid")
        given = _bounded(kind, name, steps, whole=_size(schema))
        error = next(given(schema, registry=referencing.Registry()).iter_errors(document), None)
    except (jsonschema.exceptions.SchemaError, referencing.exceptions.Unresolvable):
        raise RelatedInvalid(
            "the schema is not valid, or refers to another one",
            code="schema.invalid",
            pointer=pointer,
        ) from None
    except re2.error:
        raise RelatedInvalid(
            "the schema has a pattern that cannot be matched in linear time",
            code="schema.unsupported",
            pointer=pointer,
        ) from None
    except RecursionError:
        raise RelatedInvalid(
            "the schema refers to itself without end", code="schema.invalid", pointer=pointer
        ) from None
    except (AttributeError, LookupError, TypeError, ValueError):
        # What its dialect lets through, and the library does not see to: a malformed URL, or a
        # reference to what is no schema.
        raise RelatedInvalid(
            "the schema cannot be carried out", code="schema.invalid", pointer=pointer
        ) from None
    if error is None:
        return None
    # The library's own message repeats the value that was refused; its place does not.
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in error.path)


def _mentions(value: Json, name: str) -> bool:
    if isinstance(value, dict):
        return name in value or any(_mentions(inner, name) for inner in value.values())
    return isinstance(value, list) and any(_mentions(inner, name) for inner in value)


def _bounded(kind: Any, dialect: str, steps: _Steps, *, whole: int = 0) -> Any:
    """The validator of a dialect, with an end: whoever wrote the schema may want none.

    Every use of a keyword is counted, so that references that double themselves stop, and every
    schema that is entered; and patterns are matched in linear time. ``whole`` is how many values a
    schema has that nobody has searched for names before.
    """
    import re2
    from jsonschema.exceptions import ValidationError
    from jsonschema.validators import extend

    def counted(name: str, keyword: Any) -> Any:
        def check(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[Any]:
            steps.spend(_length(value) + _length(instance))
            if name in _COMPARING:
                steps.spend(_size(value) // 8)
            elif name in _COMPARING_EACH:
                steps.spend(_length(instance) * _size(instance) // 32)
            elif name in _REFERRING and not str(value).startswith("#/"):
                steps.spend(whole)  # the library looks for it everywhere, each time
            yield from keyword(validator, value, instance, schema) or ()

        return check

    def pattern(_validator: Any, value: str, instance: Any, _schema: Any) -> Iterator[Any]:
        if isinstance(instance, str) and re2.search(value, instance) is None:
            yield ValidationError("pattern")

    def evolve(self: Any, **changes: Any) -> Any:
        # The library would go on by a validator of its own where a schema names a dialect, as those
        # of the dialects do; and some keywords enter schemas without using a keyword of theirs.
        schema = changes.get("schema")
        steps.spend(_length(schema))
        named = schema.get("$schema") if isinstance(schema, dict) else None
        if named is not None and _DIALECTS.get(str(named).rstrip("#")) != dialect:
            raise RelatedInvalid(
                "a schema in the schema is of another dialect",
                code="schema.unsupported",
                pointer=steps.pointer,
            )
        for its in found.__attrs_attrs__:
            if its.init:
                changes.setdefault(its.alias, getattr(self, its.name))
        return found(**changes)

    keywords = {**kind.VALIDATORS, "pattern": pattern}
    found: Any = extend(  # type: ignore[no-untyped-call]
        kind, {name: counted(name, keyword) for name, keyword in keywords.items()}
    )
    found.evolve = evolve
    return found


def _length(value: Any) -> int:
    return len(value) if isinstance(value, dict | list) else 0


def _size(value: Any) -> int:
    """How many values there are in a value."""
    if isinstance(value, dict):
        return 1 + sum(map(_size, value.values()))
    return 1 + sum(map(_size, value)) if isinstance(value, list) else 1


def _get(url: str, fetch: Fetch, pointer: str) -> bytes:
    try:
        return fetch(url)
    except Exception as error:
        raise RelatedInvalid(
            "what the credential refers to could not be had",
            code="related.unavailable",
            hint="Try later.",
            pointer=pointer,
        ) from error


def _check_digests(found: bytes, wanted: list[tuple[str, bytes]], pointer: str) -> None:
    for name, digest in wanted:
        if hashlib.new(name, found).digest() != digest:
            raise RelatedInvalid(
                "what the credential refers to is not what it was when it was issued",
                code="related.digest",
                pointer=pointer,
            )


def _digests(value: JsonObject, pointer: str) -> list[tuple[str, bytes]]:
    """The digests of one reference: name of the hash, and its bytes; at least one."""
    found: list[tuple[str, bytes]] = []
    sri, multibase = value.get("digestSRI"), value.get("digestMultibase")
    if isinstance(sri, str):
        # Of several the strongest counts (SRI §3.3.4); all of one kind would do.
        options = [option.partition("?")[0].partition("-") for option in sri.split()]
        known = [(name, text) for name, _, text in options if name in _SRI]
        if known:
            strongest = max(_SRI[name] for name, _ in known)
            found += [(n, _base64(t, pointer)) for n, t in known if _SRI[n] == strongest][:1]
    if isinstance(multibase, str):
        try:
            data = multibase_decode(multibase)
        except EncodingError:
            data = b""
        name = _MULTIHASH.get(data[:2])
        if name is not None and len(data) == 2 + _SRI[name]:
            found.append((name, data[2:]))
    if not found or (multibase is not None and len(found) < 1 + (sri is not None)):
        raise RelatedInvalid(
            "a digest is of a kind that is not known here",
            code="related.unsupported",
            hint="Known are SHA-256, SHA-384 and SHA-512, as digestSRI or as a multihash.",
            pointer=pointer,
        )
    return found


def _base64(text: str, pointer: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:  # of which binascii.Error is one; letters beyond ASCII raise the other
        raise StructureInvalid(
            "digestSRI is not base64", code="credential.value", pointer=pointer
        ) from None
