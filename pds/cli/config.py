"""``config.toml`` in the platform's folder for configuration: where the vault and the company are.

    vault = "/home/ilona/vault"
    company = "/srv/shop"

A flag comes before the environment, the environment before this file. It holds no secrets.
"""

import tomllib
from pathlib import Path

import click

_KNOWN = frozenset({"vault", "company"})
_MAX = 65_536


def folder(name: str) -> Path | None:
    """The folder that the file names for ``vault`` or ``company``; ``None`` when it says nothing.

    A file that cannot be understood is an error, not a silent default: with it a command might
    work on another vault than the one that was meant.
    """
    from platformdirs import user_config_path

    file = user_config_path("personal-data-store") / "config.toml"
    try:
        with file.open("rb") as source:
            settings = tomllib.loads(source.read(_MAX).decode())
    except FileNotFoundError:
        return None
    except (OSError, ValueError):  # tomllib's own error is a ValueError
        raise click.UsageError("The configuration file (config.toml) cannot be read.") from None
    if set(settings) - _KNOWN:
        raise click.UsageError("The configuration file (config.toml) knows vault and company only.")
    value = settings.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not Path(value).expanduser().is_absolute():
        raise click.UsageError("The configuration file (config.toml) needs whole paths, in quotes.")
    return Path(value).expanduser()
