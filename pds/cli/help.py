"""``pds help``: what ``--help`` says, for those who type it the other way round."""

import click


@click.command("help")
@click.argument("command", nargs=-1)
@click.pass_context
def help_(ctx: click.Context, *, command: tuple[str, ...]) -> None:
    """Show the help of a COMMAND, or of pds itself, as --help does."""
    shown = ctx.find_root()
    for name in command:
        group = shown.command
        found = group.get_command(shown, name) if isinstance(group, click.Group) else None
        if found is None:
            raise click.exceptions.NoSuchCommand(
                name,
                possibilities=group.list_commands(shown) if isinstance(group, click.Group) else (),
                ctx=shown,
            )
        shown = click.Context(found, info_name=name, parent=shown)
    click.echo(shown.get_help())
