"""What a server says of itself on standard error: lines of text, or of JSON for machines.

Messages name codes, routes and places in the program, and never who called, what was asked for or
what anything held: nothing here could take that out again.
"""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Final

_FIELDS: Final = "fields"
"""The attribute of a record that holds more members for its line."""


class JsonLines(logging.Formatter):
    """One JSON object for each record: time, level, logger, message, and the record's fields."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, _FIELDS, {}),
        }
        return json.dumps(line)


class _Lines(logging.Formatter):
    """The same as text; the fields after the message."""

    def format(self, record: logging.LogRecord) -> str:
        fields = getattr(record, _FIELDS, {})
        more = "".join(f" {name}={value}" for name, value in fields.items())
        return f"{record.levelname.lower()}: {record.getMessage()}{more}"


def begin_logging(*, as_json: bool) -> None:
    """Send what ``pds`` and its parts say to standard error, and nothing of other libraries, whose
    texts might repeat what they were given."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if as_json else _Lines())
    logger = logging.getLogger("pds")
    logger.handlers[:] = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False
    # Without a handler of its own, Python would print their warnings.
    logging.getLogger().addHandler(logging.NullHandler())
