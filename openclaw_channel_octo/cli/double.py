"""`openclaw-octo double`: the stand-in for an Octo server, for the tests of programs in any language."""

import asyncio
from typing import Any

import click

from openclaw_channel_octo.cli.options import port_option
from openclaw_channel_octo.cli.output import NOT_TRIED, fail, stop_event

__all__ = ["double"]


@click.command()
@port_option(8090)
@click.option("--token", default="bf_double", show_default=True, help="The bot's token.")
@click.option("--bot", "uid", default="helper_bot", show_default=True, help="The bot's uid.")
def double(port: int, token: str, uid: str) -> None:
    """Serve a stand-in for an Octo server on this machine, until it is stopped.

    It speaks the bot API and WuKongIM's socket as version 2.2.4 does. In it are a bot, two people, a group, a thread.
    Its page lets people talk and things go wrong; a script does the same with POST /_double/do/NAME, and what can be
    done stands in GET /_double/actions. Nothing is kept when it ends.

    Exit codes: 0 stopped, 2 the port is taken.
    """
    try:
        asyncio.run(_serve(port, token, uid))
    except OSError as error:
        fail(NOT_TRIED, f"cannot listen on port {port}: {error.strerror or error}")


async def _serve(port: int, token: str, uid: str) -> None:
    from openclaw_channel_octo.clock import SystemClock  # noqa: PLC0415  # a whole server: only here
    from openclaw_channel_octo.testing.octo.double import FOR_PROGRAMS, OctoDouble  # noqa: PLC0415  # as above
    from openclaw_channel_octo.testing.octo.remote import PREFIX, Remote  # noqa: PLC0415  # as above

    clock = SystemClock()

    def controls(octo: OctoDouble, app: Any) -> None:
        Remote(octo, clock).add_to(app)

    stopped = stop_event()
    async with OctoDouble(clock, port=port, also=controls, bounds=FOR_PROGRAMS) as octo:
        octo.add_person("ann", "Ann")
        octo.add_person("ben", "Ben")
        octo.add_bot(uid, token, name="Helper", owner="ann")
        group = octo.add_group("g1", ["ann", "ben", uid], name="Group")
        octo.add_thread(group.id, "2039626171074744320")
        click.echo(f"apiUrl     {octo.api_url}")
        click.echo(f"socket     {octo.ws_url}")
        click.echo(f"botToken   {token} ({uid}, in the group {group.id} with ann and ben)")
        click.echo(f"page       {octo.api_url}{PREFIX}")
        said = f'{{"from":"ann","channel":"{group.id}","text":"hello","mention":["{uid}"]}}'
        click.echo(
            f"script     curl -H 'Content-Type: application/json' -d '{said}' {octo.api_url}{PREFIX}/do/say"
        )
        click.echo("Ctrl-C ends it.")
        await stopped.wait()
