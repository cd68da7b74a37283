"""Flags before the environment, the environment before ``config.toml``."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """A home with a configuration folder of ours."""
    (tmp_path / "config" / "personal-data-store").mkdir(parents=True)
    return {"XDG_CONFIG_HOME": str(tmp_path / "config"), "XDG_DATA_HOME": str(tmp_path / "data")}


def _write(home: dict[str, str], text: str) -> None:
    (Path(home["XDG_CONFIG_HOME"]) / "personal-data-store" / "config.toml").write_text(text)


def test_the_order_of_settings(
    home: dict[str, str], cli: Any, tmp_path: Path, pds: Callable[..., Any]
) -> None:
    """The file names the vault; the environment and the flag name others."""
    _write(home, f'vault = "{cli.vault}"\n')
    secrets = {"PDS_KIT": cli.kit} | home
    assert pds("--kit", "status", **secrets).code == 0
    other = str(tmp_path / "other")
    ran = pds("--json", "--kit", "status", **secrets, PDS_VAULT=other)
    assert ran.error["code"] == "vault.missing"
    assert pds("--kit", "--vault", str(cli.vault), "status", **secrets, PDS_VAULT=other).code == 0


def test_the_company_of_the_file(
    home: dict[str, str], tmp_path: Path, pds: Callable[..., Any]
) -> None:
    """``pds company`` without --data looks there too."""
    _write(home, f'company = "{tmp_path / "shop"}"\n')
    ran = pds("--json", "company", "requests", **home)
    assert (ran.code, ran.error["code"]) == (1, "company.missing")


@pytest.mark.parametrize(
    "text", ["vault = ", "vault = 7\n", 'vault = "relative/path"\n', 'passphrase = "Canary"\n',
             "\udcff"]
)  # fmt: skip
def test_a_file_that_cannot_be_understood(
    text: str, home: dict[str, str], pds: Callable[..., Any]
) -> None:
    """No silent default: a command might work on another vault than was meant."""
    file = Path(home["XDG_CONFIG_HOME"]) / "personal-data-store" / "config.toml"
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    ran = pds("status", **home, PDS_PASSPHRASE="x")
    assert ran.code == 2
    assert "config.toml" in ran.err
    assert "Canary" not in ran.err
