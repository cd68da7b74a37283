"""Attacks on files beside the database, by somebody who can write in the vault's folder."""

import io
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pds.vault.attachments import AttachmentError
from pds.vault.keyslots import Argon2Params
from pds.vault.service import Vault

HEADER, CHUNK = 24, 65_536 + 17
DATA = os.urandom(3 * 65_536)

Change = Callable[[bytes, list[bytes], bytes], bytes]
CHANGES: dict[str, Change] = {
    "dropped": lambda head, c, _: head + c[0] + c[2],
    "dropped, and one twice": lambda head, c, _: head + c[0] + c[2] + c[2],
    "the last one dropped": lambda head, c, _: head + c[0] + c[1],
    "the last one dropped, and one twice": lambda head, c, _: head + c[0] + c[1] + c[1],
    "reordered": lambda head, c, _: head + c[1] + c[0] + c[2],
    "added": lambda head, c, _: head + b"".join(c) + c[2],
    "of another file": lambda head, c, other: head + c[0] + other[HEADER + CHUNK :][:CHUNK] + c[2],
    "another file": lambda _head, _c, other: other,
}


@pytest.mark.parametrize("change", CHANGES)
def test_attack_62_a_dropped_or_reordered_chunk(tmp_path: Path, change: str) -> None:
    """No file is read to an end that is not its own, whatever was done to its chunks."""
    folder = tmp_path / "vault"
    kit = Vault.create(folder, passphrase="four unrelated words", params=Argon2Params(65_536, 3, 4))
    with Vault.open(folder, kit=kit) as vault:
        item = vault.add("note", {"text": "x"}).id
        kept = vault.attach(item, io.BytesIO(DATA))
        (file,) = (folder / "attachments").iterdir()
        vault.attach(item, io.BytesIO(DATA[::-1]))
        (other,) = set((folder / "attachments").iterdir()) - {file}
        raw = file.read_bytes()
        chunks = [raw[at : at + CHUNK] for at in range(HEADER, len(raw), CHUNK)]
        assert len(chunks) == 3
        file.write_bytes(CHANGES[change](raw[:HEADER], chunks, other.read_bytes()))
        with pytest.raises(AttachmentError) as refused:
            vault.save_attachment(kept.id, tmp_path / "out")
        assert refused.value.code == "attachment.damaged"
        assert [p.name for p in tmp_path.iterdir()] == ["vault"]
