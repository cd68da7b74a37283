"""The pages of an export, for people: read in any browser, without scripts or the network.

Every value of the vault is text and goes through ``_e``; nothing of it becomes an address, a
class or a style. A policy in each page forbids whatever a browser might still run or fetch.
"""

import base64
import hashlib
import html
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from urllib.parse import quote

from did.json import Json, JsonObject, parse_object
from pds.vault.schemas import Category
from pds.vault.store.records import Row

PAGE_ROWS = 500

_STYLE = """
:root { color-scheme: light dark; --line: #8886; --soft: #8881; }
* { box-sizing: border-box; }
html { background: Canvas; color: CanvasText; }
body { font: 1rem/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 72rem; padding: 1rem; }
h1 { font-size: 1.6rem; line-height: 1.2; }
h2 { font-size: 1.2rem; margin-top: 2rem; }
a { padding: .25rem 0; display: inline-block; }
p a, td a, li a { overflow-wrap: anywhere; }
ul { padding-left: 1.2rem; }
nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; list-style: none; padding: 0; }
/* A shade at the right edge for as long as there is more behind it. */
.scroll { overflow-x: auto; border: 1px solid var(--line); background:
  linear-gradient(to left, Canvas 1.5rem, transparent) right / 3rem 100% no-repeat local,
  linear-gradient(to left, #8889, transparent) right / 1rem 100% no-repeat scroll; }
.scroll:focus-visible, a:focus-visible { outline: 3px solid; outline-offset: 2px; }
table { border-collapse: collapse; width: 100%; }
caption { text-align: left; padding: .5rem; }
th, td { border-bottom: 1px solid var(--line); padding: .4rem .6rem; text-align: left;
  vertical-align: baseline; overflow-wrap: break-word; white-space: pre-line; }
.scroll th, .scroll td { min-width: 8rem; max-width: 28rem; }
thead th { background: var(--soft); }
tbody th { font-weight: 600; }
/* What is scrolled away stays recognisable by its row's name. */
.scroll tbody th { position: sticky; left: 0; background: Canvas;
  border-right: 1px solid var(--line); }
td a { margin-right: .75rem; }
.number { font-variant-numeric: tabular-nums; }
/* Where a table has no room each row is a card, every value under the name of its column. */
@media (max-width: 60rem) {
  .scroll { border: 0; overflow: visible; background: none; }
  .scroll table, .scroll caption, .scroll tbody { display: block; }
  .scroll thead { position: absolute; width: 1px; height: 1px; overflow: hidden;
    clip-path: inset(50%); }
  .scroll tr { display: grid; gap: .4rem 1.25rem; border: 1px solid var(--line);
    border-radius: .4rem; padding: .6rem; margin: 0 0 .75rem;
    grid-template-columns: repeat(auto-fill, minmax(min(100%, 13rem), 1fr)); }
  .scroll tbody th, .scroll td { display: block; position: static; border: 0; padding: 0;
    min-width: 0; max-width: none; overflow-wrap: anywhere; }
  .scroll tbody th { grid-column: 1 / -1; font-size: 1.1rem; }
  .scroll td:empty { display: none; }
  .scroll [data-label]::before { content: attr(data-label); display: block; font-size: .85rem;
    font-weight: 400; color: color-mix(in srgb, CanvasText 70%, Canvas); }
}
@media print { :root { color-scheme: light; } body { max-width: none; padding: 0; }
  nav { display: none; } tr { break-inside: avoid; } }
"""
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY = f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'"
_ABOUT = {"self": "you", "other": "someone else"}
_ASSURANCE = {
    "self-declared": "your own word",
    "attested": "attested by its issuer",
    "company": "as a company gave it",
    "inferred": "inferred",
}


@dataclass(frozen=True, slots=True)
class Listed:
    """A category on the first page."""

    name: str
    title: str
    count: int
    first: str
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table: its heading and the cell of each row."""

    heading: str
    cells: Sequence[str]


def _e(text: object) -> str:
    return html.escape(str(text), quote=True)


def _file(listed: Listed, path: str) -> str:
    """A link that says, to those who hear it alone, of which category the file is."""
    kind = _e(path.rpartition(".")[2].upper())
    return f'<a href="{_link(path)}" aria-label="{_e(listed.title)}, {kind}">{kind}</a>'


def _link(path: str) -> str:
    """A path within the archive as an address: nothing in a name is a query or a place."""
    return _e(quote(path))


def page(title: str, body: str, *, up: str = "") -> bytes:
    """A whole page. ``up`` is the way back to the first page, such as ``../index.html``."""
    back = (
        f'<nav aria-label="Archive"><ul><li><a href="{_link(up)}">All contents</a></li></ul></nav>'
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_e(_POLICY)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{_e(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"{back if up else ''}\n<main>\n<h1>{_e(title)}</h1>\n{body}\n</main>\n</body>\n</html>\n"
    ).encode()


def table(caption: str, columns: Sequence[Column]) -> str:
    """A table whose rows become cards on a narrow screen and on paper; a wide one is scrolled
    sideways, by touch and by keyboard. The first column heads each row.

    The roles say what a browser forgets of a table that is not laid out as one.
    """
    heads = "".join(
        f'<th scope="col" role="columnheader">{_e(column.heading)}</th>' for column in columns
    )
    headings = [_e(column.heading) for column in columns]
    rows = "".join(
        f'<tr role="row">{"".join(map(_cell, headings, cells, range(len(headings))))}</tr>\n'
        for cells in zip(*(column.cells for column in columns), strict=True)
    )
    label = _e(caption)
    return (
        f'<div class="scroll" role="region" aria-label="{label}" tabindex="0">\n'
        f'<table role="table">\n<caption>{label}</caption>\n<thead role="rowgroup">'
        f'<tr role="row">{heads}</tr></thead>\n<tbody role="rowgroup">\n{rows}</tbody>\n'
        "</table>\n</div>"
    )


def _cell(heading: str, text: str, place: int) -> str:
    if place == 0 and text:
        return f'<th scope="row" role="rowheader" dir="auto" data-label="{heading}">{_e(text)}</th>'
    return f'<td role="cell" dir="auto" data-label="{heading}">{_e(text)}</td>'


def category_pages(
    category: Category, rows: Iterable[Row], count: int
) -> Iterator[tuple[str, bytes]]:
    """The pages of one category as (path, bytes), ``PAGE_ROWS`` live records on each, in the order
    in which they come."""
    name = category.name
    fields = [(field.path.partition(".")[2], field.title) for field in category.fields]
    source = iter(rows)
    total = max(1, -(-count // PAGE_ROWS))
    for number in range(1, total + 1):
        chunk = [(row, parse_object(row.fields or "{}")) for row in islice(source, PAGE_ROWS)]
        # Only the columns that somebody filled in: nobody scrolls past twenty empty ones.
        shown = [
            Column(title, [cell(values.get(key)) for _, values in chunk])
            for key, title in fields
            if any(key in values for _, values in chunk)
        ]
        columns = [
            *shown,
            Column("About", [_ABOUT.get(row.about, row.about) for row, _ in chunk]),
            Column("From", [f"{row.source}, {row.collected[:10]}" for row, _ in chunk]),
            Column("Assurance", [_ASSURANCE.get(row.assurance, row.assurance) for row, _ in chunk]),
            Column("Version", [str(row.version) for row, _ in chunk]),
        ]
        caption = f"{category.title}: {len(chunk)} of {count}"
        if total > 1:
            first = (number - 1) * PAGE_ROWS + 1
            caption = f"{category.title}: {first} to {first + len(chunk) - 1} of {count}"
        # Two ways through the pages, told apart for those who hear them.
        above, below = (_links(name, number, total, side) for side in ("above", "below"))
        body = f"<p>{_e(category.description)}</p>\n{above}\n{table(caption, columns)}\n{below}"
        title = category.title if total == 1 else f"{category.title}, page {number} of {total}"
        yield page_path(name, number), page(title, body, up="../index.html")


def page_path(name: str, number: int) -> str:
    return f"pages/{name}-{number:05}.html"


def _links(name: str, number: int, total: int, side: str) -> str:
    if total == 1:
        return ""
    ways = {
        "First page": 1,
        "Previous page": max(1, number - 1),
        "Next page": min(total, number + 1),
        "Last page": total,
    }
    items = "".join(
        f'<li><a href="{_link(page_path(name, to).rpartition("/")[2])}">{label}</a></li>'
        for label, to in ways.items()
        if to != number
    )
    return f'<nav aria-label="Pages, {side} the table"><ul>{items}</ul></nav>'


def cell(value: Json) -> str:
    """A value as text: lists one below the other, groups part by part."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return "\n".join(cell(item) for item in value)
    if isinstance(value, dict):
        return ", ".join(cell(part) for part in value.values())
    return str(value)


def index_page(
    *,
    made: str,
    categories: Sequence[Listed],
    files: Sequence[tuple[str, str]],
    grants: Sequence[JsonObject],
    attachments: Sequence[tuple[str, str, int]],
) -> bytes:
    """The first page: what is in the archive and how to read it.

    ``files`` are (path, what it is), ``grants`` the rows of what was shared, ``attachments``
    (path, name, bytes).
    """
    parts = [
        f"<p>Everything here was in your personal data store on {_e(made[:10])}. These pages need "
        "no program but a browser; nothing on them reaches the internet.</p>",
        "<p><strong>This archive is not encrypted.</strong> Whoever has it can read it.</p>",
    ]
    if categories:
        parts.append("<h2>What is in it</h2>")
        rows = "".join(
            f'<tr><th scope="row"><a href="{_link(c.first)}">{_e(c.title)}</a></th>'
            f'<td class="number">{c.count}</td><td>'
            + " ".join(_file(c, path) for path in c.files)
            + "</td></tr>\n"
            for c in categories
        )
        parts.append(
            "<table><caption>Categories of data</caption><thead><tr>"
            '<th scope="col">Category</th><th scope="col" class="number">Items</th>'
            f'<th scope="col">Files</th></tr></thead><tbody>\n{rows}</tbody></table>'
        )
    if grants:
        parts.append("<h2>What you shared</h2>")
        heads = ("Company", "Purpose", "Until", "State")
        parts.append(table("Grants", [Column(h, [str(g[h]) for g in grants]) for h in heads]))
    if attachments:
        parts.append("<h2>Attachments</h2>\n<ul>")
        parts += [
            f'<li><a href="{_link(path)}"><bdi>{_e(name)}</bdi></a>, {size} bytes</li>'
            for path, name, size in attachments
        ]
        parts.append("</ul>")
    parts.append("<h2>Other files</h2>\n<ul>")
    parts += [
        f'<li><a href="{_link(path)}">{_e(path)}</a>: {_e(what)}</li>' for path, what in files
    ]
    parts.append("</ul>")
    return page("Your data", "\n".join(parts))
