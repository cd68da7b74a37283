"""Giving everything back: an open archive that people can read without this software.

write       everything in the vault into one ZIP
archive     the ZIP itself: whole or not at all
jsonld      records with all versions and provenance, and back
tables      CSV
vcard, calendar, lines
pages       pages for people
decisions   what was signed
read        our own archive again, which anybody may have written
take        what it holds into a vault
"""

from .read import ExportArchive, open_export
from .take import TakenIn, take_in
from .write import Exported, write_export

__all__ = ["ExportArchive", "Exported", "TakenIn", "open_export", "take_in", "write_export"]
