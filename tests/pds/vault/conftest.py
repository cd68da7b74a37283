"""A vault to begin with."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pds.vault.keyslots import Argon2Params
from pds.vault.service import Vault


@dataclass(frozen=True)
class Place:
    """A vault's folder and the words that open it, which costs no key derivation."""

    folder: Path
    kit: str

    def open(self) -> Vault:
        return Vault.open(self.folder, kit=self.kit)

    @property
    def attachments(self) -> Path:
        return self.folder / "attachments"

    def files(self) -> list[str]:
        """What lies in the folder of the attachments."""
        return (
            sorted(p.name for p in self.attachments.iterdir()) if self.attachments.exists() else []
        )


@pytest.fixture(scope="session")
def empty_place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Never changed, only copied."""
    folder = tmp_path_factory.mktemp("empty") / "vault"
    kit = Vault.create(
        folder, passphrase="four unrelated words", sandbox=True, params=Argon2Params(65_536, 3, 4)
    )
    return Place(folder, kit)


@pytest.fixture
def new_place(empty_place: Place, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Place]:
    """Makes places of vaults, each a copy of the empty one."""

    def make() -> Place:
        folder = tmp_path_factory.mktemp("place") / "vault"
        shutil.copytree(empty_place.folder, folder)
        return Place(folder, empty_place.kit)

    return make


@pytest.fixture
def place(new_place: Callable[[], Place]) -> Place:
    return new_place()


@pytest.fixture
def vault(place: Place) -> Iterator[Vault]:
    with place.open() as vault:
        yield vault
