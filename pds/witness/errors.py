"""Errors of the witness.

WitnessError           witness.no_data, witness.key, witness.name: of its folder; refusals of a
                       command: witness.exists, witness.other_key (of a log that is known)
└── Declined           what a submission is answered with, by its status
"""

from pds.errors import PdsError


class WitnessError(PdsError):
    """The witness's folder, key or list of logs is not what it must be, nor will be by itself."""

    default_code = "witness.no_data"
    exit_code = 2


class Declined(WitnessError):
    """A submission that is not cosigned; ``status`` and ``body`` are those of tlog-witness."""

    default_code = "witness.declined"
    exit_code = 1

    def __init__(self, message: str, *, status: int, size: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.size = size
        """The size last cosigned, in a 409."""
