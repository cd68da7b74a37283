"""Whether a relay takes this company: asked before anything depends on it."""

from did.keys import SigningKey
from pds.company.errors import CompanyError
from pds.mailbox import RelayClient, RelayError
from pds.wire import Random, new_id


def check_relay(client: RelayClient, token: str | None, *, random: Random) -> str:
    """Ask a relay what it is, and where it wants a token, make a mailbox and end it again.

    Returns its registration, ``open`` or ``token``. Raises ``CompanyError`` (``relay.token``),
    ``RelayUnreachable``, ``RelayNonsense`` for what is no relay, and other ``RelayError``.
    """
    registration = client.info().registration
    if registration == "token":
        mailbox = client.owner(new_id(random), SigningKey.generate(random), 0)
        try:
            mailbox.create(token)
        except RelayError as error:
            if error.code != "relay.token":
                raise
            raise CompanyError(
                "the relay wants a registration token"
                + (", and none was given" if token is None else " other than this one"),
                code="relay.token",
                hint="Its operator has it (DATA/registration-token at the relay). Give it to init "
                "by --relay-token-file FILE; later: pds company relay --token-file FILE",
            ) from error
        mailbox.delete()
    return registration
