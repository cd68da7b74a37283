"""The page behind a request link, held against the command line that it names."""

import html
import re

import click
from relay_world import World

from pds.cli.main import COMMANDS, cli
from pds.wire import new_id


def test_the_page_names_a_command_that_there_is(world: World) -> None:
    """What it tells people to type is a command of the program, and takes the link as it is."""
    page = html.unescape(world.get(f"/r/{new_id()}").body.decode())
    (typed,) = re.findall(r"<pre>(.*?)</pre>", page)
    program, name, argument = typed.split(" ", 2)
    assert (program, name in COMMANDS) == ("pds", True)
    assert re.fullmatch(r"'[^']+'", argument), "single quotes: a shell reads nothing into it"
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    assert [p.nargs for p in command.params if isinstance(p, click.Argument)] == [1]


def test_the_page_sends_nobody_to_another_page(world: World) -> None:
    """The relay has no further pages: no link, and no promise of one."""
    page = world.get(f"/r/{new_id()}").body.decode()
    assert "href" not in page
    assert "page of your store" not in page
