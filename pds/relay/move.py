"""Moving a relay from a file to a PostgreSQL, or back, without losing a row; and backups.

Of a move the source keeps all but one word: that it has moved, so that it can never be started
again beside its successor and count what that one counts. A backup is a relay's folder, whichever
engine it came from.
"""

import secrets
import shutil
from pathlib import Path

from did.errors import DidError
from did.keys import SigningKey, VerifyKey
from pds.db import Sql, sync_folder
from pds.log.checkpoint import open_checkpoint
from pds.log.errors import LogError
from pds.log.tree import Tree
from pds.relay.errors import RelayError
from pds.relay.folder import DATABASE, LOG_KEY, MOVED, check_not_moved, log_key, write_once
from pds.relay.store import log, transfer
from pds.relay.store.engines import Engine, open_engine

_ALSO = "registration-token"


def move(data: Path, *, source: str | None, target: str | None) -> dict[str, int]:
    """Carry the relay in the folder ``data`` over; how many rows there were, by table.

    ``source`` and ``target`` are the conninfo of a PostgreSQL, or None for ``relay.db`` in the
    folder; the log key stays where it is. The relay must not be running. All rows arrive, or none:
    they are compared before they count. Called again after it was interrupted, it finishes.

    Raises ``RelayError`` (``relay.no_data``, ``relay.moved``, ``relay.log_key``,
    ``relay.target_in_use``, ``relay.incomplete``) and ``DbError``.
    """
    if source == target:
        raise RelayError("Source and target are the same.", code="relay.settings")
    if source is None and not (data / DATABASE).exists():
        raise RelayError("There is no relay in this folder.", code="relay.no_data")
    old = open_engine(data / DATABASE, source)
    try:
        new = open_engine(data / DATABASE, target)
        try:
            return _move(old, new, data)
        finally:
            new.close()
    finally:
        old.close()


def back_up(data: Path, folder: Path, *, database: str | None = None) -> dict[str, int]:
    """Copy the relay in ``data`` into a new folder, while it runs; how many rows, by table.

    What was committed when this began is in it, and it is compared and checked like a move. The
    folder appears whole or not at all. It holds the key of the log: keep it as safe as that.

    To use it, put it in the place of ``data`` and call ``mark_restored``: a relay that went back in
    time must not go on as if it knew all that it has released.

    Raises ``RelayError`` (``relay.no_data``, ``relay.moved``, ``relay.log_key``,
    ``relay.target_in_use``, ``relay.incomplete``) and ``DbError`` (``db.outdated``: it is one of an
    earlier release that may be running, and to change its tables would stop it).
    """
    if database is None and not (data / DATABASE).exists():
        raise RelayError("There is no relay in this folder.", code="relay.no_data")
    if folder.exists():
        raise RelayError(
            "The folder for the backup is there already.",
            code="relay.target_in_use",
            hint="Name one that does not exist yet.",
        )
    making = folder.with_name(f".{folder.name}-{secrets.token_hex(4)}")
    making.mkdir(parents=True, mode=0o700)
    try:
        counts = _copy_into(making, data, database)
        if (data / _ALSO).exists():
            write_once(making / _ALSO, (data / _ALSO).read_bytes())
        making.rename(folder)
        sync_folder(folder.parent)
    except BaseException:
        shutil.rmtree(making, ignore_errors=True)
        raise
    return counts


def _copy_into(folder: Path, data: Path, database: str | None) -> dict[str, int]:
    engine = open_engine(data / DATABASE, database, upgrade=False)  # it may be running
    try:
        copy = open_engine(folder / DATABASE, None)
        try:
            with engine.read() as source:
                if transfer.is_empty(source):
                    raise RelayError("There is no relay in this database.", code="relay.no_data")
                check_not_moved(source)
                # The key that this view of the database names: it may change meanwhile.
                key = log_key(data, source)
                write_once(folder / LOG_KEY, key.unsafe_export_seed())
                return _copy(source, copy, key)
        finally:
            copy.close()
    finally:
        engine.close()


def _move(old: Engine, new: Engine, data: Path) -> dict[str, int]:
    try:
        with old.translate():
            source = old.begin()
            if log.fact(source, "url") is None:
                raise RelayError("There is no relay in this database.", code="relay.no_data")
            if log.fact(source, MOVED) is not None:
                raise RelayError("This relay has moved already.", code="relay.moved")
            counts = _copy(source, new, log_key(data, source))
            log.set_fact(source, MOVED, new.name.encode())
            old.commit()
    finally:
        old.rollback()
    return counts


def _copy(source: Sql, new: Engine, key: SigningKey) -> dict[str, int]:
    try:
        with new.translate():
            target = new.begin()
            if transfer.is_empty(target):
                counts = transfer.carry_over(source, target, new)
            elif _is_copy(source, target):
                counts = {}
            else:
                raise RelayError(
                    "Another relay is in the target database.",
                    code="relay.target_in_use",
                    hint="Nothing was changed. Give this one a database of its own; one that it"
                    " left once, relay.db or a PostgreSQL's, must be put away first.",
                )
            wrong = transfer.differences(source, target)
            if wrong or not _is_whole(target, key.verify_key):
                raise RelayError(
                    "Not everything arrived; nothing was changed.",
                    code="relay.incomplete",
                    hint="Check the source first: is its disk in order?",
                )
            new.commit()
    finally:
        new.rollback()
    return counts


def _is_copy(source: Sql, target: Sql) -> bool:
    """Whether the target is what an earlier attempt left, that was stopped before its last word."""
    names = ("url", "log-key", "challenge-key")
    return (
        all(log.fact(source, name) == log.fact(target, name) for name in names)
        and log.current(source) == log.current(target)
        and log.fact(target, MOVED) is None
    )


def _is_whole(conn: Sql, key: VerifyKey) -> bool:
    """Whether the nodes of the log lead to the root that was signed last."""
    current = log.current(conn)
    try:
        signed = open_checkpoint(current.checkpoint, origin=current.origin, key=key)
        tree = Tree(log.SqlNodes(conn, current.number), current.size)
    except (LogError, DidError, LookupError):
        return False
    return (signed.size, signed.root) == (tree.size, tree.root())
