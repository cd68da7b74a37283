"""``pds data list | search | timeline | show | tag | tags``, and ``pds relation show | rotate``."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from pds.cli.names import company as name_of_company
from pds.cli.names import names_of, whole
from pds.cli.output import Settings, count, pass_settings
from pds.cli.records import as_json, card, line
from pds.cli.sync import say_waiting
from pds.cli.vault import unlock

if TYPE_CHECKING:
    from datetime import datetime

    from pds.vault.records import Page, Query
    from pds.vault.service import Vault

DAY = click.DateTime(formats=["%Y-%m-%d"])
DAY_FORM = "YYYY-MM-DD"
_ID = 22
_LEAST = 4
_limit = click.option(
    "--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="At most so many."
)


def _filters(command: Callable[..., None]) -> Callable[..., None]:
    """The options that narrow down what is found, and those of pages."""
    options = (
        click.option(
            "--from",
            "start",
            type=DAY,
            metavar=DAY_FORM,
            help="What happened on this day or later.",
        ),
        click.option(
            "--to", "end", type=DAY, metavar=DAY_FORM, help="What happened on this day or earlier."
        ),
        click.option("--source", help="What came from there, such as import/csv."),
        click.option("--company", help="What names this company; a part of its name is enough."),
        click.option("--tag", help="What has this label of yours."),
        click.option("--about", type=click.Choice(["self", "other"]), help="Whom it is about."),
        _limit,
        click.option("--after", help="Go on where the page before ended, or after an item's id."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def _query(
    *,
    text: str | None = None,
    category: str | None = None,
    start: "datetime | None",
    end: "datetime | None",
    source: str | None,
    company: str | None,
    tag: str | None,
    about: str | None,
) -> "Query":
    from pds.vault.records import Query

    return Query(
        text=text,
        category=category,
        start=None if start is None else start.date(),
        end=None if end is None else end.date(),
        source=source,
        companies=() if company is None else (company,),
        tag=tag,
        about=about,
    )


def _show(settings: Settings, query: "Query", *, limit: int, after: str | None, none: str) -> None:
    with unlock(settings) as vault:
        page, words = _found(settings, vault, query, limit, after), vault.catalogue()
    settings.emit(
        [as_json(r) for r in page.records],
        lambda: "\n".join(line(r, words) for r in page.records) or none,
    )
    _say_more(settings, page)


def _found(
    settings: Settings, vault: "Vault", query: "Query", limit: int, after: str | None
) -> "Page":
    if query.companies:
        query = replace(query, companies=names_of(settings, vault, query.companies[0]))
    return vault.find(query, limit=limit, after=after)


def _say_more(settings: Settings, page: "Page", option: str = "--after") -> None:
    if page.next is not None:
        settings.say(f"There are more: {option} {page.next}")


def whole_id(vault: "Vault", item: str) -> str:
    """An item's id from its beginning; ids that are whole are not looked for."""
    return item if len(item) >= _ID or len(item) < _LEAST else whole(item, vault.ids(item))


@click.command("list")
@click.argument("category", required=False)
@_filters
@pass_settings
def list_(
    settings: Settings, /, *, category: str | None, limit: int, after: str | None, **filters: Any
) -> None:
    """List items, the newest first; all of them, or those of one CATEGORY, e.g.:
    pds data list purchases --company Tesco --from 2024-01-01

    The order is that of the days on which things happened, and for an item that names no day,
    of the day on which it came in.
    """
    _show(
        settings, _query(category=category, **filters), limit=limit, after=after, none="No items."
    )


@click.command()
@click.argument("text", nargs=-1, required=True)
@click.option("--category", help="Only items of this category.")
@_filters
@pass_settings
def search(
    settings: Settings,
    /,
    *,
    text: tuple[str, ...],
    category: str | None,
    limit: int,
    after: str | None,
    **filters: Any,
) -> None:
    """Find items that hold all these words or their beginnings, e.g.:
    pds data search kovacs ilona --tag family

    Accents and case do not matter. The newest come first.
    """
    query = _query(text=" ".join(text), category=category, **filters)
    _show(settings, query, limit=limit, after=after, none="Nothing found.")


@click.command()
@click.option("--category", help="Only items of this category.")
@_filters
@pass_settings
def timeline(
    settings: Settings, /, *, category: str | None, limit: int, after: str | None, **filters: Any
) -> None:
    """Everything by the day on which it happened, e.g.:
    pds data timeline --from 2024-03-01 --to 2024-03-31
    """
    from did.time import format_time

    with unlock(settings) as vault:
        page = _found(settings, vault, _query(category=category, **filters), limit, after)
        words = vault.catalogue()

    def text() -> str:
        lines: list[str] = []
        shown = ""
        for record in page.records:
            day = (record.happened or format_time(record.created))[:10]
            if day != shown:
                lines.append(day)
                shown = day
            lines.append("  " + line(record, words))
        return "\n".join(lines) or "Nothing happened."

    settings.emit([as_json(r) for r in page.records], text)
    _say_more(settings, page)


@click.command()
@click.argument("item")
@pass_settings
def show(settings: Settings, *, item: str) -> None:
    """Show one item with its schema, source and time, e.g.: pds data show 4kTz"""
    with unlock(settings) as vault:
        record, words = vault.record(whole_id(vault, item)), vault.catalogue()
    settings.emit(as_json(record), lambda: card(record, words))


@click.command()
@click.argument("item")
@click.argument("names", nargs=-1, required=True, metavar="TAG…")
@click.option("--remove", is_flag=True, help="Take these tags away.")
@pass_settings
def tag(settings: Settings, *, item: str, names: tuple[str, ...], remove: bool) -> None:
    """Give an item labels of your own, e.g.: pds data tag 4kTz "tax 2024" car

    They are found like words, and by --tag alone. No version is made.
    """
    with unlock(settings) as vault:
        item = whole_id(vault, item)
        record = vault.tag(item, **{"remove" if remove else "add": names})
        words = vault.catalogue()
    settings.emit(as_json(record), lambda: line(record, words))


@click.command()
@pass_settings
def tags(settings: Settings) -> None:
    """Your labels, and how many items have each, e.g.: pds data tags"""
    with unlock(settings) as vault:
        found = vault.tags()
    settings.emit(
        [{"tag": name, "items": number} for name, number in found],
        lambda: (
            "\n".join(f"{name}  {count(number, 'item')}" for name, number in found) or "No tags."
        ),
    )


class _Relation(click.Group):
    """``pds relation COMPANY`` shows one; whatever is no command is the company of ``show``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        known = {*self.commands, "--help", "-h"}
        return super().parse_args(ctx, args if args and args[0] in known else ["show", *args])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return super().get_command(ctx, cmd_name) or self.commands["show"]


@click.group(cls=_Relation)
def relation() -> None:
    """Everything with one company on one page, and new keys towards it, e.g.:
    pds relation shop.example

    The company is named by its name, host or DID. 'show' may be left out.
    """


@relation.command("show")
@click.argument("company")
@_limit
@click.option("--after", help="Go on with the dealings where the page before ended.")
@click.option("--records-after", help="Go on with the items where the page before ended.")
@pass_settings
def show_relation(
    settings: Settings, *, company: str, limit: int, after: str | None, records_after: str | None
) -> None:
    """Everything with one COMPANY, by its name, domain or DID; a part of the name is enough.

    Shown are the items that name the company, and what was asked, given, taken, said and attested.

    Example: pds relation shop.example
    """
    from did.time import format_time
    from pds.cli.dealings import Dealings

    with unlock(settings) as vault:
        company = name_of_company(settings, vault, company)
        found = vault.relation(company, limit=limit, after=after, records_after=records_after)
        words = vault.catalogue()
        dealt = Dealings.of(vault, found)
        hosts = [one.host for did in found.companies for one in vault.companies(did)]

    def text() -> str:
        dealings = [dealt.line(dealing) for dealing in found.dealings]
        items = [f"  {line(record, words)}" for record in found.records.records]
        return "\n".join(
            [
                *dealt.head(found, list(dict.fromkeys(hosts)), company),
                "",
                "What happened",
                *(dealings or ["  Nothing was asked or given."]),
                "",
                "Items that name it",
                *(items or ["  None."]),
            ]
        )

    settings.emit(
        {
            "companies": list(found.companies),
            "names": list(found.names),
            "dealings": [
                {"at": format_time(d.at), "kind": d.kind, "subject": d.subject, "detail": d.detail}
                for d in found.dealings
            ],
            "next": found.next,
            "records": [as_json(record) for record in found.records.records],
            "recordsNext": found.records.next,
        },
        text,
    )
    if found.next is not None:
        settings.say(f"There are more dealings: --after '{found.next}'")
    _say_more(settings, found.records, "--records-after")


@relation.command("rotate")
@click.argument("company")
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_settings
def rotate(settings: Settings, *, company: str, yes: bool) -> None:
    """Go on with one COMPANY under new keys, e.g.: pds relation rotate shop.example

    For when the old keys may be known to somebody, or have served for long enough. You get a new
    DID, mailbox and status list towards it; what is shared stays as it is, with the uses that are
    left. The company is told, in words that both keys signed. Exit code 4: begun here, but not
    everything is confirmed yet; 'pds sync' goes on with it.
    """
    settings.confirm("Give this company a new DID of yours?", yes=yes)
    with unlock(settings) as vault:
        company = name_of_company(settings, vault, company)
        rotation, report = vault.rotate_relationship(company)
    done = rotation.state == "done"
    settings.emit(
        {
            "company": rotation.company,
            "from": rotation.old,
            "to": rotation.new,
            "state": rotation.state,
            "grants": rotation.grants,
            "complete": done and report.complete,
        },
        f"{rotation.name} knows you by a new DID: {rotation.new}\n"
        f"{count(rotation.grants, 'grant')} went on under it. "
        "Nothing under the old one counts any more."
        if done
        else f"{rotation.name} will know you by a new DID: {rotation.new}\n"
        "It is pending: not everything is confirmed yet.",
    )
    say_waiting(settings, report)
    if not done:
        settings.say("Run 'pds sync' to go on with it.")
        raise click.exceptions.Exit(4)
