"""The base of every error that the product raises.

    PdsError                  one subclass per room, one class per decision a caller can take
    ├── pds.db.DbError        the database file
    ├── pds.log.LogError      receipts, proofs, checkpoints
    ├── pds.net.NetError      fetching foreign documents
    ├── pds.sealing.SealingError
    ├── pds.serve.ServeError
    ├── pds.wire.WireError    HTTP signatures, manifests
    └── …

Every error has a stable ``code`` (``area.reason``), a sentence that says what happened, and a
``hint`` that says what to do. Neither ever repeats personal data or the input that was refused.
"""

from typing import ClassVar


class PdsError(Exception):
    """Something that a person or a program can act on.

    ``code`` is stable across releases; ``hint`` may be empty; ``exit_code`` is what the command
    line ends with: 1 refused or invalid, 2 usage or could not check, 3 locked, 4 try again later.
    """

    default_code: ClassVar[str] = "pds.error"
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
