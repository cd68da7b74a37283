"""The one error of the way out, and how what the layers beneath raise becomes it.

A ``NetError`` repeats nothing of the input: no address, no header, no body.
"""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from pds.errors import PdsError


class NetError(PdsError):
    """Nothing usable came back, or nothing was sent.

    Codes: ``net.url``, ``net.address_refused``, ``net.tls``, ``net.redirect``, ``net.status``,
    ``net.too_large``, ``net.encoding``; and, with exit code 4 because trying again may help,
    ``net.unreachable``, ``net.timeout`` and ``net.status`` of a server in trouble (5xx).
    """

    default_code = "net.unreachable"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        hint: str = "",
        exit_code: int | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(message, code=code, hint=hint, exit_code=exit_code)
        self.status = status


@contextmanager
def as_net_errors() -> Iterator[None]:
    """Turn what the layers beneath raise into our errors, which hold nothing of the input."""
    from http.client import HTTPException

    from urllib3 import exceptions as theirs

    try:
        yield
    except theirs.NewConnectionError as error:  # theirs is a timeout too, by inheritance
        raise _unreachable() from error
    except (TimeoutError, theirs.TimeoutError) as error:
        raise NetError(
            "the server took too long",
            code="net.timeout",
            hint="Try again later.",
            exit_code=4,
        ) from error
    except (ssl.SSLError, theirs.SSLError) as error:
        raise NetError(
            "the server could not prove that it is who it should be",
            code="net.tls",
            hint="Its certificate is not valid for this name, or the connection was tampered with.",
        ) from error
    except (OSError, HTTPException, theirs.HTTPError, ValueError) as error:
        raise _unreachable() from error


def _unreachable() -> NetError:
    return NetError(
        "the server could not be reached, or broke off",
        hint="Is it running, and is this machine online? Try again later.",
        exit_code=4,
    )
