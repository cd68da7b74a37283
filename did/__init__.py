"""Identifiers and keys; pure: no network, database or web framework.

Nothing is imported here, so that a program pays only for the rooms it enters:

>>> from did.keys import SigningKey
>>> from did.resolve import OFFLINE
>>> from did.time import parse_time
>>> key = SigningKey.from_seed(bytes(32))
>>> key.did
'did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp'
>>> document = OFFLINE.resolve(key.did)
>>> method = document.method_for(
...     key.verification_method,
...     relationship="assertionMethod",
...     now=parse_time("2026-01-31T09:30:00Z"),
... )
>>> method.ed25519().verify(key.sign(b"hello"), b"hello")
"""
