"""A copy of a database's first page, for the day on which that page is damaged.

No page has as much to lose: with its salt every other page is authenticated, and where each table
begins is found through it. So a copy is kept in a file of its own, as it stands in the database,
encrypted; made again when tables come, go or move. What else is on it changes all the time: how
many pages there are, and which of them are free. That is put right when the copy is put back.

    copy = schema version (4 bytes) ‖ page (4,096 bytes)

For this the page has to be opened and sealed as SQLCipher 4 does it, with the settings that
``connect_keyed`` makes: AES-256-CBC and HMAC-SHA-256 over ciphertext, IV and page number, the key
of the HMAC by PBKDF2 from key and salt. SQLCipher itself then proves it, as every other page.
"""

import hashlib
import hmac
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from pds.db.connection import PAGE_SIZE, Connection, is_open_here, sync_folder, translate
from pds.db.errors import DbDamaged

_HEAD, _SALT, _IV, _MAC = 4, 16, 16, 32
_BODY = slice(_SALT, PAGE_SIZE - _IV - _MAC)
_SEALED = slice(_SALT, PAGE_SIZE - _MAC)
# Where the header of a database has these numbers (https://sqlite.org/fileformat2.html, 1.3).
_CHANGES, _PAGES, _FREE, _VALID_FOR = 24, 28, 32, 92


@dataclass(frozen=True, slots=True)
class FirstPage:
    """What tells one first page from another: the version of the schema, and the salt."""

    schema: int
    salt: bytes


def first_page(conn: Connection) -> FirstPage:
    """Of an open encrypted database."""
    with translate(conn.folder):
        schema = int(conn.execute("PRAGMA schema_version").fetchone()[0])
        salt = bytes.fromhex(conn.execute("PRAGMA cipher_salt").fetchone()[0])
    return FirstPage(schema, salt)


def is_kept(kept: Path, mark: FirstPage) -> bool:
    """Whether ``kept`` is a copy of this page."""
    with suppress(OSError), kept.open("rb") as stream:
        return stream.read(_HEAD + _SALT) == mark.schema.to_bytes(_HEAD, "big") + mark.salt
    return False


def keep_first_page(file: Path, kept: Path, key: bytes, mark: FirstPage) -> None:
    """Copy the first page of a closed database, which ``mark`` was taken of, durably.

    The caller sees to it that no program has it open. A page that still stands in the write-ahead
    log, or is not whole, is not kept. Raises OSError.
    """
    log = Path(f"{file}-wal")
    if is_open_here(file) or (log.exists() and log.stat().st_size):
        return
    with file.open("rb") as stream:
        page = stream.read(PAGE_SIZE)
    if page[:_SALT] != mark.salt or not _is_whole(page, key):
        return
    draft = kept.with_name(f".{kept.name}.{secrets.token_hex(8)}.tmp")
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        with os.fdopen(os.open(draft, flags, 0o600), "wb") as out:
            out.write(mark.schema.to_bytes(_HEAD, "big") + page)
            out.flush()
            os.fsync(out.fileno())
        draft.replace(kept)
    except BaseException:
        with suppress(OSError):
            draft.unlink()
        raise
    sync_folder(kept.parent)


def put_back(file: Path, kept: Path, key: bytes) -> None:
    """Write a kept first page over that of a database which no program has open, with the numbers
    that its size asks for. What tables were made or moved since it was kept is lost.

    Raises DbDamaged when the copy is not one, or of another key; OSError.
    """
    page = kept.read_bytes()[_HEAD:]
    if not _is_whole(page, key):
        raise DbDamaged("The copy of the first page is damaged.", hint="Restore a backup.")
    iv = page[PAGE_SIZE - _IV - _MAC : PAGE_SIZE - _MAC]
    opening = Cipher(algorithms.AES(key), modes.CBC(iv)).decryptor()
    plain = bytearray(bytes(_SALT) + opening.update(page[_BODY]) + opening.finalize())
    plain[_PAGES : _PAGES + 4] = (file.stat().st_size // PAGE_SIZE).to_bytes(4, "big")
    plain[_FREE : _FREE + 8] = bytes(8)
    plain[_VALID_FOR : _VALID_FOR + 4] = plain[_CHANGES : _CHANGES + 4]
    iv = os.urandom(_IV)
    sealing = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    sealed = sealing.update(bytes(plain[_SALT:])) + sealing.finalize() + iv
    with file.open("r+b") as out:
        out.write(page[:_SALT] + sealed + _mac(page[:_SALT], sealed, key))


def _is_whole(page: bytes, key: bytes) -> bool:
    return len(page) == PAGE_SIZE and hmac.compare_digest(
        _mac(page[:_SALT], page[_SEALED], key), page[PAGE_SIZE - _MAC :]
    )


def _mac(salt: bytes, sealed: bytes, key: bytes) -> bytes:
    masked = bytes(octet ^ 0x3A for octet in salt)
    mac_key = hashlib.pbkdf2_hmac("sha512", key, masked, 2, 32)
    return hmac.digest(mac_key, sealed + (1).to_bytes(4, "little"), "sha256")
