"""A second channel for the same hosts, a chat in the terminal: ``python examples/terminal_channel.py [AGENT ...]``."""

import asyncio
import sys
import tempfile
import uuid
from contextlib import suppress
from functools import partial
from threading import Thread

import pluggy

from openclaw_channel_octo import hookspecs
from openclaw_channel_octo.host.base import AgentHost, Block, Failed, Final, Sender, Skipped, Turn
from openclaw_channel_octo.session.status import RECOVERABLE


class Terminal:
    """Reads lines from standard input, prints answers to standard output."""

    id = "terminal"

    async def start(self, account_id: str, host: AgentHost) -> None:
        """Begin to read; the account is whoever sits there."""
        self._reading = asyncio.create_task(self._read(account_id, host))

    async def stop(self) -> None:
        """Return when everything that was typed is answered."""
        await self._reading

    def status(self) -> str:
        """Return whether it still reads."""
        return "ended" if self._reading.done() else "reading"

    async def _read(self, person: str, host: AgentHost) -> None:
        key, me, lines = f"agent:main:terminal:direct:{person}", Sender(uid=person), asyncio.Queue[str]()
        about = partial(Turn, agent_id="main", account_id=person, channel="terminal", conversation="direct")
        do, q = asyncio.get_running_loop().call_soon_threadsafe, lines.put_nowait  # read by a daemon:
        Thread(target=lambda: [do(q, t) for t in open(0, closefd=False)] + [do(q, "")], daemon=True).start()  # noqa: SIM115  # Ctrl-C need not wait for it
        while text := await lines.get():
            session, run = await host.describe(key), uuid.uuid4().hex
            if session is not None and session.status in RECOVERABLE:
                print("(the last run failed, starting again)")  # a failed session skips every turn until then
                await host.recover(session)
            turn = about(run_id=run, message_id=run, session_key=key, channel_id=person, sender=me, text=text)
            async for event in host.run(turn):
                match event:
                    case Block(text=answer) | Final(text=answer):
                        print(answer or "(nothing more to say)", flush=True)
                    case Failed(status=reason) | Skipped(reason=reason):
                        print(f"(no answer: {reason})", flush=True)


@hookspecs.hookimpl
def openclaw_register_channels(registry: hookspecs.ChannelRegistry) -> None:
    """Register the channel."""
    registry.register(hookspecs.ChannelSpec(id="terminal", label="Terminal", create=lambda _: Terminal()))


async def main(config: dict[str, object]) -> None:
    """Chat with the agent of the host that a configuration describes."""
    plugins, registry = pluggy.PluginManager(hookspecs.PROJECT), hookspecs.ChannelRegistry()
    plugins.add_hookspecs(hookspecs)
    plugins.load_setuptools_entrypoints(hookspecs.PROJECT)
    plugins.register(sys.modules[__name__])
    plugins.hook.openclaw_register_channels(registry=registry)
    host, channel = plugins.hook.openclaw_agent_host(config=config), registry["terminal"].create(config)
    await host.start()
    try:
        await channel.start("me", host)
        await channel.stop()
    finally:
        await host.stop()


if __name__ == "__main__":
    agent = {"kind": "command", "command": sys.argv[1:]} if sys.argv[1:] else {"kind": "echo"}
    with suppress(KeyboardInterrupt), tempfile.TemporaryDirectory() as folder:
        asyncio.run(main({"host": {"stateDir": folder, "agent": agent, "strict": True}}))
