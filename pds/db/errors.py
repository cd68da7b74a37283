"""Errors of the database file.

    DbError            something is wrong with the file, the key or the disk
    ├── DbBusy         another process holds the lock: try again (exit code 4)
    └── DbDamaged      the file is not what was written: restore a backup

This package imports nothing of ours, so the base is ``Exception``; the attributes and the
constructor are those of every error of the product. A message never names a row, a value or a
path.
"""

from typing import ClassVar


class DbError(Exception):
    """The database cannot do what was asked; ``code`` says why, ``hint`` how to mend it."""

    default_code: ClassVar[str] = "db.error"
    exit_code: int = 1

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        hint: str = "",
        exit_code: int | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code or self.default_code
        self.hint = hint
        if exit_code is not None:
            self.exit_code = exit_code


class DbBusy(DbError):
    """Another connection held its lock for longer than we wait. Nothing was written."""

    default_code = "db.busy"
    exit_code = 4


class DbDamaged(DbError):
    """The file is empty, truncated or altered."""

    default_code = "db.damaged"
