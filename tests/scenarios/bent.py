"""A way to the relay with a hand in it: what goes and comes can be watched, changed, lost."""

from collections.abc import Callable, Mapping

from pds.net import Response
from pds.vault.service import Vault

Send = Callable[[], Response]
Hook = Callable[[str, str, Send], Response]


class Bent:
    """The way to a relay that does with each call what ``hook`` says."""

    def __init__(self, inner: object, hook: Hook) -> None:
        self.inner, self.hook = inner, hook

    def request(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Response:
        send = self.inner.request  # type: ignore[attr-defined]
        return self.hook(method, url, lambda: send(method, url, headers=headers or {}, body=body))

    def fetch(self, url: str) -> bytes:
        return self.inner.fetch(url)  # type: ignore[attr-defined,no-any-return]

    def close(self) -> None:
        self.inner.close()  # type: ignore[attr-defined]


def bend(vault: Vault, hook: Hook) -> None:
    vault._ctx.transport = Bent(vault._ctx.transport, hook)  # type: ignore[assignment]
