"""The recovery kit as one page of HTML, to be printed: words in numbered columns, a QR code of the
same words, what it is and what to do.

One file with everything in it: no script, nothing fetched (its own policy forbids both), no colour
needed. It holds the secret in clear, so it is written for its owner alone, and is to be deleted
once it is on paper.

The QR code holds the words themselves, in capitals, and no link: any reader shows text that can be
typed or given to ``--kit-fd``, and a reader that opens links has nothing to open.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from html import escape
from pathlib import Path
from typing import IO

SHORT_ID = 6


@dataclass(frozen=True, slots=True)
class KitPage:
    """What is printed: ``sheets`` is the 24 words alone, or the three sheets of a divided kit, each
    as one line of words."""

    vault: str
    made: datetime
    sheets: Sequence[str]

    def html(self) -> str:
        """The whole document, one printed page (A4 or Letter) for each sheet."""
        total = len(self.sheets)
        pages = "".join(
            _page(self, number, total, words) for number, words in enumerate(self.sheets, start=1)
        )
        return (
            '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
            '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
            "style-src 'unsafe-inline'\">\n"
            '<meta name="referrer" content="no-referrer">\n'
            '<meta name="robots" content="noindex,noarchive">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f"<title>Recovery kit</title>\n<style>{_STYLE}</style></head>\n"
            f"<body>\n<main>\n{pages}</main>\n</body></html>\n"
        )


def _page(kit: KitPage, number: int, total: int, words: str) -> str:
    divided = total > 1
    title = f"Recovery kit, sheet {number} of {total}" if divided else "Recovery kit"
    items = "".join(f"<li>{escape(word)}</li>" for word in words.split())
    about, todo = (_ABOUT_SHEET, _TODO_SHEET) if divided else (_ABOUT, _TODO)
    date = kit.made.date().isoformat()
    steps = "".join(f"<li>{step}</li>" for step in todo)
    return (
        f'<section aria-label="{title}">\n<h1>{title}</h1>\n'
        f"<p>Of a personal data store.</p>\n"
        f"<dl><dt>Vault</dt><dd><code>{escape(kit.vault[:SHORT_ID])}</code></dd>"
        f"<dt>Made</dt><dd>{date}</dd><dt>Words</dt><dd>{len(words.split())}</dd></dl>\n"
        f"<p>{about}</p>\n<ol class=words>{items}</ol>\n<p>{_program()}</p>\n"
        f'<div class=foot><div class=qr role=img aria-label="QR code of the same words">'
        f"{_qr(words)}</div>\n<div><h2>What to do</h2><ul>{steps}</ul></div></div>\n</section>\n"
    )


def _program() -> str:
    """What to look for when nobody remembers any more what this paper belongs to.

    It names no place to download from: a name that somebody else may take one day would have a
    person type these words into a stranger's program.
    """
    from importlib.metadata import version

    made_by = escape(version("personal-data-store"))
    return (
        f"<strong>The program</strong> is personal-data-store, version {made_by} or later; its "
        "command is <code>pds</code>, and it needs Python 3.11 or newer. Keep a copy of it with "
        "your backups. To install it from its folder: <code>pip install ./personal-data-store"
        "</code>. It opens the vault's folder and files written by <code>pds backup</code>."
    )


def _qr(words: str) -> str:
    import segno

    code = segno.make_qr(words.upper(), error="m")
    drawn: str = code.svg_inline(border=4, svgclass=None, lineclass=None, omitsize=True)
    return drawn


@contextmanager
def page_place(path: Path) -> Iterator[IO[str]]:
    """A new file for its owner alone, for a kit: taken before the kit is made, on the disk at the
    end, and gone again if anything failed. Raises FileExistsError: it never writes over one."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as out:
            os.fchmod(out.fileno(), 0o600)  # whatever the umask says
            yield out
            out.flush()
            os.fsync(out.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise


_ABOUT = (
    "These 24 words, in this order, open the vault and every backup of its time. "
    "<strong>Whoever has them has everything in it.</strong> Without them a forgotten passphrase "
    "cannot be replaced, by anyone."
)
_ABOUT_SHEET = (
    "Any two of the three sheets open the vault and every backup of its time; one alone opens "
    "nothing and says nothing. <strong>Whoever has two has everything in it.</strong>"
)
_COMMON = (
    "When the passphrase is forgotten: <code>pds --kit passphrase</code>. When the machine is "
    "lost: <code>pds --kit restore BACKUP</code>. To try it now: "
    "<code>pds restore --rehearse BACKUP</code>. It asks for the words.",
    "Scan the code with a device of your own only: what scans it knows the words, and may keep "
    "or send them.",
    "When somebody may have seen it, or after a new kit was made: <code>pds kit</code> makes "
    "another; this paper then opens old backups only. Destroy both.",
    "Delete the file that this was printed from, and empty the printer's memory if it keeps one.",
)
_TODO = ("Keep it where you keep a passport, and not beside the machine.", *_COMMON)
_TODO_SHEET = (
    "Keep the three sheets in three places, or give them to people who do not know of each other.",
    "Type the words of two sheets, one sheet after the other.",
    *_COMMON,
)
_STYLE = """
@page { size: A4; margin: 16mm }
* { box-sizing: border-box }
body { margin: 0; font: 11pt/1.4 system-ui, sans-serif; color: #000; background: #fff }
section { max-width: 178mm; margin: 0 auto; padding: 8mm 4mm; break-inside: avoid }
section + section { break-before: page }
h1 { font-size: 20pt; margin: 0 }
h2 { font-size: 12pt; margin: 0 0 1mm }
p { margin: 2mm 0 }
dl { display: flex; flex-wrap: wrap; gap: 1mm 8mm; margin: 3mm 0 }
dt { font-weight: 600 } dt::after { content: ":" } dd { margin: 0 0 0 -6mm }
code { font-family: ui-monospace, monospace; font-size: .95em; white-space: nowrap }
.words { columns: 3; column-gap: 6mm; margin: 4mm 0; padding: 4mm 4mm 4mm 14mm;
  border: .4mm solid #000; font: 600 13pt/1.6 ui-monospace, monospace }
.words li::marker { font-weight: 400; font-size: 10pt }
.words li { break-inside: avoid; padding-left: 1mm }
.foot { display: flex; flex-wrap: wrap; gap: 6mm; align-items: flex-start }
.foot > div:last-child { flex: 1 1 70mm }
.qr svg { width: 48mm; height: 48mm; display: block }
ul { margin: 0; padding-left: 5mm }
li { margin: 0 }
ul li { margin-bottom: 1mm }
@media (max-width: 30em) { .words { columns: 2 } }
@media (max-width: 20em) { code { white-space: normal } }
@media print { section { max-width: none; padding: 0 } }
"""
