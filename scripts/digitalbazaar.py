"""Digital Bazaar's implementation of Data Integrity, run by Node beside this process.

``scripts/setup.sh`` installs it (``setup_node``), at the versions of ``interop-node``; the program
that is talked to is ``interop-node/peer.mjs``. It is handed every context and document, fetches
nothing, and computes did:key.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from credentials.contexts import KNOWN_CONTEXTS, context_bytes
from did.ecdsa import EcdsaSigningKey
from did.json import JsonObject
from did.keys import SigningKey
from did.multikey import base58btc_encode
from did.time import format_time

FOLDER = Path(__file__).with_name("interop-node")

# Multicodec headers of secret keys: ed25519-priv, p256-priv, p384-priv, as varints.
_SECRET = {"Ed25519": b"\x80\x26", "P-256": b"\x86\x26", "P-384": b"\x87\x26"}


class NotSetUp(Exception):
    """Node, or the packages, are not there."""


class PeerError(Exception):
    """The peer could not do what it was asked; the words are its own."""


class DigitalBazaar:
    """One process of the peer. Use it with ``with``."""

    def __init__(self) -> None:
        """Raises ``NotSetUp``."""
        path = f"{sys.prefix}/bin{os.pathsep}{os.environ.get('PATH', '')}"
        node = shutil.which("node", path=path)
        if node is None or not (FOLDER / "node_modules").is_dir():
            raise NotSetUp("Digital Bazaar's packages are not set up: scripts/interop does that")
        # Nothing of the environment: it needs nothing of it.
        self._process = subprocess.Popen(
            [node, "peer.mjs"],
            cwd=FOLDER,
            env={},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        self.call("contexts", contexts={url: _read(url) for url in sorted(KNOWN_CONTEXTS)})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # It ends with its input.
        self._process.communicate(timeout=60)

    def call(self, command: str, **arguments: object) -> Any:
        """Raises ``PeerError`` with what the peer says."""
        request = {"command": command, **{k: v for k, v in arguments.items() if v is not None}}
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise PeerError("the peer has ended")
        reply = json.loads(line)
        if "error" in reply:
            raise PeerError(reply["error"])
        return reply["result"]

    def issue(
        self,
        document: JsonObject,
        key: SigningKey | EcdsaSigningKey,
        *,
        cryptosuite: str,
        now: datetime,
        mandatory_pointers: Sequence[str] | None = None,
        dated: bool = True,
    ) -> JsonObject:
        """The document with a proof more, which says when it was made unless told not to."""
        return self.call(
            "issue",
            document=document,
            key=multikey(key),
            cryptosuite=cryptosuite,
            created=format_time(now) if dated else None,
            now=format_time(now),
            mandatoryPointers=mandatory_pointers,
        )

    def derive(self, document: JsonObject, pointers: Sequence[str]) -> JsonObject:
        """What a holder shows of a document with an ecdsa-sd-2023 base proof."""
        return self.call("derive", document=document, selectivePointers=pointers)

    def confirm(self, document: JsonObject, *, now: datetime) -> list[str]:
        """Why nothing can be derived from an ecdsa-sd-2023 base proof; empty when it can."""
        return _reasons(self.call("confirm", document=document, now=format_time(now)))

    def verify(
        self,
        document: JsonObject,
        *,
        now: datetime,
        documents: Mapping[str, JsonObject] | None = None,
    ) -> list[str]:
        """Why the credential does not verify; empty when it does."""
        return _reasons(
            self.call("verify", document=document, now=format_time(now), documents=documents)
        )

    def present(
        self,
        document: JsonObject,
        key: SigningKey | EcdsaSigningKey,
        *,
        cryptosuite: str,
        challenge: str,
        domain: str,
        now: datetime,
    ) -> JsonObject:
        """The presentation with a proof for this challenge and domain."""
        return self.call(
            "present",
            document=document,
            key=multikey(key),
            cryptosuite=cryptosuite,
            challenge=challenge,
            domain=domain,
            created=format_time(now),
        )

    def verify_presentation(
        self,
        document: JsonObject,
        *,
        challenge: str,
        domain: str,
        now: datetime,
        documents: Mapping[str, JsonObject] | None = None,
    ) -> list[str]:
        """Why the presentation, or a credential inside, does not verify; empty when all do."""
        return _reasons(
            self.call(
                "verifyPresentation",
                document=document,
                challenge=challenge,
                domain=domain,
                now=format_time(now),
                documents=documents,
            )
        )

    def status_list(
        self, url: str, *, issuer: str, set_bits: Sequence[int], purpose: str = "revocation"
    ) -> JsonObject:
        """An unsigned status list of 131,072 entries."""
        return self.call(
            "statusList",
            url=url,
            length=131_072,
            set=set_bits,
            issuer=issuer,
            statusPurpose=purpose,
        )


def multikey(key: SigningKey | EcdsaSigningKey) -> dict[str, str]:
    """A secret key as a Multikey (Controlled Identifiers 1.0 §2.2.2)."""
    if isinstance(key, SigningKey):
        secret = _SECRET["Ed25519"] + key.unsafe_export_seed()
    else:
        secret = _SECRET[key.verify_key.curve.crv] + key.unsafe_export_secret()
    return {
        "publicKeyMultibase": key.did.removeprefix("did:key:"),
        "secretKeyMultibase": "z" + base58btc_encode(secret),
    }


def _read(url: str) -> Any:
    return json.loads(context_bytes(url))


def _reasons(verdict: Any) -> list[str]:
    reasons = list(verdict["reasons"])
    return [] if verdict["verified"] else reasons or ["no reason given"]
