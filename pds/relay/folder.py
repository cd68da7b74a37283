"""The data folder: ``relay.db`` and ``log-key``, and what makes them one relay.

``log-key.next`` is there while the key changes: the database says which of the two counts.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from did.errors import DidError
from did.keys import SigningKey
from pds.db import Sql, sync_folder
from pds.log.checkpoint import Checkpoint, sign_checkpoint
from pds.log.tree import EMPTY_ROOT
from pds.relay.errors import RelayError
from pds.relay.ledger import Sealer
from pds.relay.store import Store, log
from pds.relay.store.engines import open_engine
from pds.serve.run import locked

DATABASE = "relay.db"
LOG_KEY = "log-key"
NEXT_KEY = "log-key.next"
MOVED = "moved"
"""The fact that this relay lives on in another database."""


def open_folder(
    data: Path, *, url: str, database: str | None = None, upgrade: bool = True
) -> tuple[Store, SigningKey]:
    """Open the folder of the relay at ``url``, or make a new one.

    ``database`` is the conninfo of a PostgreSQL that takes the place of ``relay.db``; the key of
    the log lies in the folder either way, and is the same for all who share the database.

    A relay is not begun anew where this folder has the key of one whose rows are elsewhere: it
    would count from nothing, under the same key. The key is written before the database knows of
    it and never replaced, so a crash in between leaves a folder that can be opened, if the database
    is its file. Without ``upgrade`` tables of an earlier release are refused.

    Raises ``RelayError`` (``relay.other_address``, ``relay.log_key``, ``relay.elsewhere``) and
    ``DbError``.
    """
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    has_key, has_file = (data / LOG_KEY).exists(), (data / DATABASE).exists()
    if database is None and has_key and not has_file:
        raise _elsewhere("Name the relay's PostgreSQL, or restore a backup.")
    store = Store(open_engine(data / DATABASE, database, upgrade=upgrade))
    try:
        with store.write() as conn:
            known = log.fact(conn, "url")
            if known is None and database is not None and (has_key or has_file):
                raise _elsewhere(
                    "Move relay.db there first: pds relay migrate --to."
                    if has_file
                    else "Is it the right one? If this relay was never in use, remove log-key."
                )
            if known is None:
                key = _new_key(data / LOG_KEY)
                log.set_fact(conn, "url", url.encode())
                log.set_fact(conn, "log-key", key.verify_key.bytes)
                log.set_fact(conn, "challenge-key", secrets.token_bytes(32))
                begin_log(conn, url=url, key=key)
            else:
                check_not_moved(conn)
                key = log_key(data, conn)
                if known != url.encode():
                    raise RelayError(
                        "This folder belongs to a relay with another address.",
                        code="relay.other_address",
                        hint="Tickets and receipts name the address: start it with the old one.",
                    )
    except BaseException:
        store.close()
        raise
    store.seal = Sealer(key)
    return store, key


@contextmanager
def stopped(data: Path, database: str | None) -> Iterator[Store]:
    """The store of the relay in this folder, while none serves it: the folder's lock is held.

    Raises ``RelayError`` (``relay.no_data``), ``ServeError`` (``serve.data_in_use``), ``DbError``.
    """
    if not data.exists() or (database is None and not (data / DATABASE).exists()):
        raise RelayError(
            "There is no relay in this folder.",
            code="relay.no_data",
            hint="If it comes from a backup, put relay.db and log-key back first.",
        )
    with locked(data):
        store = Store(open_engine(data / DATABASE, database))
        try:
            yield store
        finally:
            store.close()


@contextmanager
def act_on_relay(store: Store) -> Iterator[tuple[Sql, str]]:
    """One act on the relay that is there, and its address. Raises ``RelayError``
    (``relay.no_data``, ``relay.moved``) and ``DbError``."""
    with store.write() as conn:
        url = log.fact(conn, "url")
        if url is None:
            raise RelayError("There is no relay in this database.", code="relay.no_data")
        check_not_moved(conn)
        yield conn, url.decode()


def begin_log(conn: Sql, *, url: str, key: SigningKey) -> None:
    """A new, empty log with an origin that was never used before."""
    origin = f"{url.partition('://')[2]}/log/{secrets.token_hex(8)}"
    checkpoint = sign_checkpoint(Checkpoint(origin=origin, size=0, root=EMPTY_ROOT), key)
    log.begin(conn, origin=origin, checkpoint=checkpoint)


def log_key(data: Path, conn: Sql) -> SigningKey:
    """The key in the folder, which is the one that signs this log.

    A change of the key that was interrupted after the database knew of it is finished here; one
    that was interrupted before has not happened. Raises ``RelayError`` ``relay.log_key``.
    """
    key = read_key(data / LOG_KEY)
    if is_key_of(conn, key):
        return key
    if (data / NEXT_KEY).exists():
        key = read_key(data / NEXT_KEY)
        if is_key_of(conn, key):
            take_next_key(data)
            return key
    raise _wrong_key("The log key is not the one that belongs to this database.")


def is_key_of(conn: Sql, key: SigningKey) -> bool:
    """Whether this is the key that signs the log now: it may have changed since a process began."""
    return log.fact(conn, "log-key") == key.verify_key.bytes


def next_key(data: Path) -> SigningKey:
    """A new key beside the one in use; the one that an interrupted change has left, if any."""
    return _new_key(data / NEXT_KEY)


def take_next_key(data: Path) -> None:
    """Put the new key into the place of the old, which is gone then."""
    with suppress(FileNotFoundError):  # another process was quicker
        (data / NEXT_KEY).replace(data / LOG_KEY)
    sync_folder(data)


def check_not_moved(conn: Sql) -> None:
    """The relay lives here. Raises ``RelayError`` ``relay.moved``."""
    if log.fact(conn, MOVED) is not None:
        raise RelayError(
            "This relay has moved to another database.",
            code="relay.moved",
            hint="Start it with --database, or without if it moved back to its folder.",
        )


def read_key(path: Path) -> SigningKey:
    """The key whose 32-byte seed is in this file. Raises ``RelayError`` ``relay.log_key``."""
    try:
        return SigningKey.from_seed(path.read_bytes())
    except FileNotFoundError:
        raise _wrong_key("The log key is missing.") from None
    except DidError:
        raise _wrong_key("The log key is damaged.") from None


def challenge_key(store: Store) -> bytes:
    with store.read() as conn:
        key = log.fact(conn, "challenge-key")
    if key is None:
        raise RelayError("The database lacks a part.", hint="Restore a backup.")
    return key


def _new_key(path: Path) -> SigningKey:
    if not path.exists():
        write_once(path, SigningKey.generate().unsafe_export_seed())
    return read_key(path)


def write_once(path: Path, content: bytes) -> None:
    """A file that is there whole or not at all, and never overwrites one."""
    temporary = path.with_name(f".{path.name}-{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        temporary.unlink()
    sync_folder(path.parent)


def _elsewhere(hint: str) -> RelayError:
    return RelayError(
        "This folder belongs to a relay, and the database that is named has none.",
        code="relay.elsewhere",
        hint=hint,
    )


def _wrong_key(message: str) -> RelayError:
    return RelayError(
        message,
        code="relay.log_key",
        hint="Put back the file log-key that was beside this relay.db.",
    )
