"""Ways to break a bot: the doctor's first line names each one, and the second says what to do.

Each row makes a real broken set-up around the double.
"""

import asyncio
import json
import os
import socket
import sqlite3
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from msgspec import Struct, field

from openclaw_channel_octo.clock import SystemClock
from openclaw_channel_octo.testing.gateway.server import FakeGateway
from openclaw_channel_octo.testing.octo.double import OctoDouble
from openclaw_channel_octo.testing.octo.faults import ErrorAnswer, Hang, ProxyPage, RateLimit
from openclaw_channel_octo.wire.packets import ReasonCode
from tests.cli.asking import command, controlled
from tests.cli.examining import AGENT, KEY, NOBODY, examined, impatient, nowhere_for_a_socket
from tests.programs import PROGRAM, write
from tests.runtime.rig import ANN, BEN, HELPER, MovedClock, Rig, python_agent
from tests.serving import serving
from tests.tls import self_signed
from tests.until import until

pytestmark = pytest.mark.usefixtures("quick", "unknown_names")

ANYTHING = "/{path:.*}"


class Site(Struct):
    """What a row breaks.

    Attributes:
        rig: the deployment.
        config: its configuration, as it will be written.
        stack: ends what a row has started.
        text: what stands in the file in place of the configuration.
        env: variables of the doctor; with them it runs in a process of its own.
        file: the name of the file that the doctor reads, where it is not the one that is written.
    """

    rig: Rig
    config: dict[str, Any]
    stack: AsyncExitStack
    text: str | None = None
    env: dict[str, str] = field(default_factory=dict)
    file: str = ""

    @property
    def channel(self) -> dict[str, Any]:
        """The channel's block."""
        block: dict[str, Any] = self.config["channels"]["octo"]
        return block

    @property
    def folder(self) -> Path:
        """Where the configuration lies."""
        return self.rig.state_dir.parent


Break = Callable[[Site], Awaitable[None] | None]


def channel(**settings: Any) -> Break:
    return lambda site: site.channel.update(settings)


def account(**settings: Any) -> Break:
    return channel(accounts={"helper": settings})


def host(**settings: Any) -> Break:
    return lambda site: site.config["host"].update(settings)


def fails(call: str, fault: Any) -> Break:
    return lambda site: site.rig.octo.fail_next(call, fault, times=None)


def raw(text: str) -> Break:
    def change(site: Site) -> None:
        site.text = text

    return change


def in_state(name: str, content: bytes | str) -> Break:
    def change(site: Site) -> None:
        file = site.rig.state_dir / name
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())

    return change


def session(**entry: Any) -> Break:
    text = json.dumps({"agent:main:octo:group:g1": {"sessionId": "s1", **entry}})
    return in_state("agents/main/sessions/sessions.json", text)


def journal_version(number: int) -> Break:
    def change(site: Site) -> None:
        with closing(sqlite3.connect(site.rig.state_dir / "octo.sqlite")) as db, db:
            db.execute("PRAGMA application_id = 1329812559")
            db.execute(f"PRAGMA user_version = {number}")
            db.execute("CREATE TABLE inbound (id INTEGER)")

    return change


def no_file(site: Site) -> None:
    site.file = "nowhere.json"


async def another_octo(site: Site) -> None:
    site.channel["apiUrl"] = (await site.stack.enter_async_context(OctoDouble())).api_url


def at_a_server(path: str = "", **answer: Any) -> Break:
    """Let ``apiUrl`` lead to a server that answers everything in one way."""

    async def answered(_: web.Request) -> web.Response:
        return web.Response(**answer)

    async def change(site: Site) -> None:
        url = await site.stack.enter_async_context(serving(ANYTHING, answered))
        site.channel["apiUrl"] = f"{url}{path}"

    return change


def over_tls(*, trusted: bool, scheme: str = "https", **certificate: Any) -> Break:
    """Let ``apiUrl`` lead to a server with a certificate of its own."""

    async def answered(_: web.Request) -> web.Response:
        return web.json_response({"msg": "no token"}, status=401)

    async def change(site: Site) -> None:
        tls = self_signed(site.folder, **certificate)
        url = await site.stack.enter_async_context(serving(ANYTHING, answered, tls))
        site.channel["apiUrl"] = url.replace("https", scheme)
        if trusted:
            site.env = {"SSL_CERT_FILE": str(site.folder / "server.pem")}

    return change


def https_for_http(site: Site) -> None:
    site.channel["apiUrl"] = site.rig.octo.api_url.replace("http", "https")


def wrong_path(site: Site) -> None:
    site.channel["apiUrl"] = f"{site.rig.octo.api_url}/wrong"


def silent_server(site: Site) -> None:
    site.rig.octo.fail_next("groups", Hang(), times=None)
    site.stack.callback(site.rig.octo.release)


def refused_login(site: Site) -> None:
    site.rig.octo.login_refusal = ReasonCode.BANNED


def page_for_a_socket(site: Site) -> None:
    site.rig.octo.ws_url_override = f"ws{site.rig.octo.api_url.removeprefix('http')}/v1/ping"


def frozen(site: Site) -> None:
    site.rig.octo.freeze()
    site.stack.callback(site.rig.octo.thaw)


async def mute_socket(site: Site) -> None:
    async def silent(request: web.Request) -> web.WebSocketResponse:
        answer = web.WebSocketResponse()
        await answer.prepare(request)
        async for _ in answer:
            pass
        return answer

    url = await site.stack.enter_async_context(serving("/ws", silent))
    site.rig.octo.ws_url_override = f"ws{url.removeprefix('http')}/ws"


async def running(site: Site) -> None:
    """Let a process run the bots, as the configuration is now."""
    await site.rig.start(site.config)
    await site.stack.enter_async_context(controlled(site.rig))


async def kicked(site: Site) -> None:
    await running(site)
    site.rig.octo.kick(HELPER, "12")
    status = site.rig.channel.status
    await until(lambda: status().bots["helper"].state == "kicked", "the bot's state")


async def another_bot_running(site: Site) -> None:
    await running(site)
    site.channel["accounts"] = {"second": {"botToken": "bf_fedcba9876543210"}}


async def held_folder(site: Site) -> None:
    program = (
        "import sys; from pathlib import Path; from openclaw_channel_octo.host.locks import OwnerLock;"
        "OwnerLock(Path(sys.argv[1]) / 'host.lock').acquire(); print('held', flush=True); sys.stdin.read()"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program, str(site.rig.state_dir)), stdin=PIPE, stdout=PIPE
    )
    site.stack.push_async_callback(process.communicate, b"")
    assert process.stdout is not None
    assert await process.stdout.readline() == b"held\n"


async def locked_journal(site: Site) -> None:
    await site.rig.start(site.config)
    await site.rig.stop()
    db = site.stack.enter_context(closing(sqlite3.connect(site.rig.state_dir / "octo.sqlite")))
    db.execute("PRAGMA locking_mode = EXCLUSIVE")
    db.execute("CREATE TABLE held (id INTEGER)")
    db.commit()


def not_executable(site: Site) -> None:
    program = site.folder / "agent"
    program.write_text("#!/bin/sh\n")
    host(agent={"kind": "command", "command": [str(program)]})(site)


def after_a_turn(source: str, state: str = "notified") -> Break:
    """Let the bot have taken a turn with a program for its agent."""

    async def change(site: Site) -> None:
        host(agent=python_agent(source), timeoutSeconds=1 if "sleep" in source else 60)(site)
        await site.rig.start(site.config)
        await site.rig.mentioned("well?", state)
        await site.rig.stop()

    return change


def endpoint(**answers: tuple[int, Any] | None) -> Break:
    """Let the agent be a model behind an endpoint that answers so; ``None`` for not at all."""
    released = asyncio.Event

    async def change(site: Site) -> None:
        free = released()

        async def answered(request: web.Request) -> web.Response:
            found = answers.get(request.path.rpartition("/")[2])
            if found is None:
                await free.wait()
                return web.Response()
            return web.json_response(found[1], status=found[0])

        url = await site.stack.enter_async_context(serving(ANYTHING, answered))
        site.stack.callback(free.set)
        model(f"{url}/v1")(site)
        if "completions" in answers:
            await site.rig.start(site.config)
            await site.rig.mentioned("well?", "notified")
            await site.rig.stop()

    return change


def model(url: str) -> Break:
    return host(agent={"kind": "openai", "baseUrl": url, "model": "mine", "apiKey": KEY})


def gateway(*, token: str = "", url: str = "", **settings: Any) -> Break:
    async def change(site: Site) -> None:
        fake = await site.stack.enter_async_context(FakeGateway(**settings))
        where = {"url": url or fake.url, "token": token or fake.token}
        site.config["host"] = {"kind": "gateway", "stateDir": str(site.rig.state_dir), **where}

    return change


def heard(*texts: str, **settings: Any) -> Break:
    """Let people have spoken in the group of the running bot, to whoever they like; an ``@`` calls the bot."""

    async def change(site: Site) -> None:
        site.channel.update(settings)
        await site.rig.start(site.config)
        octo = site.rig.octo
        for text in texts:
            await octo.say(BEN, site.rig.group, text, mention=[HELPER] if "@" in text else [])
        await until(lambda: site.rig.sql("SELECT 1 FROM inbound"), "a message in the journal")
        await site.rig.stop()

    return change


async def taken_port(site: Site) -> None:
    listener = site.stack.enter_context(closing(socket.socket()))
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    site.config["metrics"] = {"listen": f"127.0.0.1:{listener.getsockname()[1]}"}


async def running_without_metrics(site: Site) -> None:
    await running(site)
    site.config["metrics"] = {"listen": f"127.0.0.1:{NOBODY}"}


async def running_beside_another_server(site: Site) -> None:
    await running(site)
    site.config["metrics"] = {"listen": site.rig.octo.api_url.removeprefix("http://")}


def open_file(site: Site) -> None:
    (site.folder / "octo.json").touch(mode=0o644)
    (site.folder / "octo.json").chmod(0o644)


def open_secret(site: Site) -> None:
    (site.folder / "token").write_text("bf_0123456789abcdef")
    (site.folder / "token").chmod(0o644)
    account(botToken={"source": "file", "id": "token"})(site)


def link_to_nowhere(site: Site) -> None:
    link = site.folder / "link"
    link.symlink_to("nowhere")
    site.config["host"]["stateDir"] = str(link)


def below_a_file(site: Site) -> None:
    (site.folder / "file").write_text("")
    site.config["host"]["stateDir"] = str(site.folder / "file" / "state")


def given_away(site: Site) -> None:
    os.chown(site.rig.state_dir, 65_534, 65_534)


def read_only(site: Site) -> None:
    site.rig.state_dir.chmod(0o500)
    site.stack.callback(site.rig.state_dir.chmod, 0o700)


AT = f"http://127.0.0.1:{NOBODY}"


def unset_key(site: Site) -> None:
    agent = {"kind": "openai", "baseUrl": f"{AT}/v1", "model": "mine", "apiKey": "${UNSET_OCTO_KEY}"}
    host(agent=agent)(site)


ROOT = os.geteuid() == 0
TURN = "✗ helper: turns: the last turn gave no answer, the latest … ago: …"
SERVER, TOKEN, SOCKET, LOGIN = (f"✗ helper: {part}: …" for part in ("server", "token", "socket", "login"))
MODELS = {"models": (200, {"data": [{"id": "mine"}]})}

CONFIGURATION: list[tuple[str, Break, str]] = [
    ("no configuration", no_file, "✗ configuration: cannot be read: "),
    ("bad JSON", raw("{"), "✗ configuration: is not JSON"),
    (
        "an unknown key",
        channel(requireMentions=True),
        "✗ configuration: channels.octo.requireMentions: unknown",
    ),
    (
        "a wrong type",
        channel(maxTurns="five"),
        "✗ configuration: channels.octo.maxTurns: must be a whole number",
    ),
    ("no token", account(), "✗ configuration: channels.octo.accounts.helper.botToken: missing"),
    ("a user's key", account(botToken="uk_0123456789abcdef"), "✗ configuration: … is a user's API key"),
    ("everything switched off", channel(enabled=False), "✗ configuration: no account is on"),
    (
        "an impossible host",
        channel(apiUrl="https://octo..x"),
        "✗ configuration: channels.octo.apiUrl: must be a URL",
    ),
    (
        "an unset variable",
        channel(apiUrl="${UNSET_OCTO}"),
        "✗ configuration: … variable UNSET_OCTO is not set",
    ),
    (
        "a token that is not set",
        account(botToken={"source": "env", "id": "UNSET_OCTO"}),
        f"{TOKEN} variable UNSET_OCTO is not set",
    ),
    (
        "a token whose file is not there",
        account(botToken={"source": "file", "id": "nowhere"}),
        f"{TOKEN} the file named there cannot be read",
    ),
    (
        "a token everybody can read",
        open_file,
        "! configuration: other users of this machine can read the token",
    ),
    ("a secret file everybody can read", open_secret, "! configuration: … other users can read … chmod 600"),
    ("a NUL in the state folder", host(stateDir="/tmp/\0"), "✗ configuration: host.stateDir: "),
    (
        "a variable no program can have",
        host(agent={**AGENT, "env": {"MODE=fast": "1"}}),
        "✗ configuration: host.agent.env",
    ),
    (
        "an argument no program can have",
        host(agent={"kind": "command", "command": ["/bin/echo", "\0"]}),
        "✗ configuration: host.agent.command.1",
    ),
]

SERVERS: list[tuple[str, Break, str]] = [
    (
        "a revoked token",
        lambda site: site.rig.octo.change_token(HELPER, "bf_new0123456789ab"),
        f"{TOKEN} refuses it",
    ),
    ("a token that was never right", account(botToken="bf_neverright0123456789"), f"{TOKEN} refuses it"),
    ("the token of another server", another_octo, f"{TOKEN} is an Octo server and refuses it (HTTP 401)"),
    (
        "a bot switched off",
        fails("groups", ErrorAnswer(status=403, code="bot_unavailable")),
        f"{TOKEN} (HTTP 403",
    ),
    ("a host nobody knows", channel(apiUrl="http://no-such-host.invalid/api"), f"{SERVER} is not known here"),
    ("a port nobody listens on", channel(apiUrl=AT), f"{SERVER} does not answer: Connection refused"),
    ("a wrong path", wrong_path, f"{SERVER} is no Octo API: it answers with something else (HTTP 404)"),
    (
        "a web page",
        at_a_server(text="<html>", content_type="text/html"),
        f"{SERVER} is no Octo API: it answers with a web page (HTTP 200)",
    ),
    (
        "another service that refuses tokens",
        at_a_server(text='{"error": "unauthorized"}', status=401),
        f"{SERVER} is no Octo API: it answers with something else (HTTP 401)",
    ),
    (
        "a redirect",
        at_a_server(status=301, headers={"Location": "https://x/"}),
        f"{SERVER} redirects elsewhere",
    ),
    ("a server that hangs", silent_server, f"{SERVER} does not answer within"),
    ("a proxy's error page", fails("groups", ProxyPage(502)), f"{SERVER} the Octo server behind it is away"),
    ("a server that is broken", fails("groups", ErrorAnswer(status=500)), f"{SERVER} fails (HTTP 500): "),
    ("a rate limit", fails("groups", RateLimit(retry_after=60)), f"{SERVER} too many requests"),
    (
        "https in place of http",
        https_for_http,
        f"{SERVER} no TLS connection can be made (wrong version number)",
    ),
    ("http in place of https", over_tls(trusted=False, scheme="http"), f"{SERVER} takes HTTPS only"),
    (
        "a self-signed certificate",
        over_tls(trusted=False),
        f"{SERVER} its certificate is not trusted here (self",
    ),
    ("an expired certificate", over_tls(trusted=True, days=-1), f"{SERVER} certificate has expired"),
    (
        "another's certificate",
        over_tls(trusted=True, address="10.0.0.1"),
        f"{SERVER} not trusted here (IP address mis",
    ),
    ("registration fails", fails("register", ErrorAnswer(status=500)), "✗ helper: registration: register:"),
    ("registration refused", fails("register", ErrorAnswer(status=401)), f"{TOKEN} refuses it (HTTP 401)"),
    (
        "registration forbidden",
        fails("register", ErrorAnswer(status=403)),
        "✗ helper: registration: register:",
    ),
    (
        "a socket that leads nowhere",
        lambda site: nowhere_for_a_socket(site.rig),
        f"{SOCKET} cannot open a WebSocket",
    ),
    (
        "a configured one",
        channel(wsUrl=f"ws://127.0.0.1:{NOBODY}/?key={KEY}"),
        f"{SOCKET} cannot open a WebSocket",
    ),
    (
        "a socket's name nobody knows",
        channel(wsUrl="ws://no-such-host.invalid"),
        f"{SOCKET} cannot open a WebSocket … the server's name is not known here",
    ),
    ("a page instead of a socket", page_for_a_socket, f"{SOCKET} cannot open a WebSocket"),
    ("a socket server that stands still", frozen, f"{SOCKET} no answer within"),
    ("a socket that says nothing", mute_socket, f"{LOGIN} no answer within"),
    ("a login that is refused", refused_login, f"{LOGIN} the IM server refuses the bot: reason 19, banned"),
    ("a kicked bot", kicked, "✗ helper: connection: … is kicked with it … reason 12, kicked"),
    (
        "a bot that the process does not run",
        another_bot_running,
        "✗ second: connection: … does not run this bot",
    ),
]

STATE: list[tuple[str, Break, str]] = [
    ("a folder that is a link to nowhere", link_to_nowhere, "✗ state folder: … is no folder"),
    ("a folder that is a device", host(stateDir="/dev/null"), "✗ state folder: /dev/null is no folder"),
    ("a folder below a file", below_a_file, "✗ state folder: … is no folder"),
    (
        "a folder open to others",
        lambda site: site.rig.state_dir.chmod(0o755),
        "! state folder: … is open to other",
    ),
    (
        "a folder another process holds",
        held_folder,
        "! state folder: process … works with … but: nothing answers",
    ),
    (
        "a session file that is no JSON",
        in_state("agents/main/sessions/sessions.json", "{broken"),
        "✗ sessions: sessions.json cannot be read",
    ),
    (
        "a session file that is a folder",
        in_state("agents/main/sessions/sessions.json/x", ""),
        "✗ sessions: sessions.json cannot be read: Is a directory",
    ),
    (
        "a file in place of the agents",
        in_state("agents", ""),
        "✗ sessions: sessions.json cannot be read: Not a dir",
    ),
    (
        "a failed session",
        session(status="failed", lastRunError="the model is away"),
        "! sessions: agent:main:octo:group:g1 is failed (the model is away)",
    ),
    (
        "a stuck session",
        session(status="running", startedAt=1_000),
        "! sessions: agent:main:octo:group:g1 is running",
    ),
    (
        "a damaged journal",
        in_state("octo.sqlite", b"this is no database" * 100),
        "✗ journal: … is not a database",
    ),
    ("a locked journal", locked_journal, "✗ journal: … database is locked"),
    ("a journal of a later version", journal_version(9999), "✗ journal: … another version"),
    ("a journal of an earlier version", journal_version(1), "! journal: … another version"),
    ("a metrics port that is taken", taken_port, "! metrics: … another program listens there"),
    (
        "no metrics of running bots",
        running_without_metrics,
        "! metrics: … does not answer, although process ",
    ),
    ("another server there", running_beside_another_server, "! metrics: another program answers at "),
]
if ROOT:
    STATE.append(
        ("a folder of another user", given_away, "✗ state folder: … belongs to another user (uid 65534)")
    )
else:
    STATE.append(("a folder nobody may write to", read_only, "✗ state folder: … cannot be written to"))

AGENTS: list[tuple[str, Break, str]] = [
    (
        "a program not there",
        host(agent={"kind": "command", "command": ["/no/agent"]}),
        "✗ agent: /no/agent is not",
    ),
    ("a program that must not be run", not_executable, "✗ agent: … must not be run by this user"),
    (
        "a folder not there",
        host(agent={**AGENT, "cwd": "/no/such"}),
        "✗ agent: its folder /no/such is not there",
    ),
    (
        "a folder that is a program",
        host(agent={**AGENT, "cwd": "/bin/sh"}),
        "✗ agent: its folder /bin/sh is not",
    ),
    ("the echo agent", host(agent={"kind": "echo"}), "! agent: the echo agent repeats what it is told"),
    (
        "a program that fails",
        after_a_turn("sys.exit('no model')"),
        f"{TURN} ended with exit code 1: no model",
    ),
    ("a program that hangs", after_a_turn("time.sleep(60)"), f"{TURN} longer than its budget of 1 s"),
    ("a program that says nothing", after_a_turn("pass"), f"{TURN}the answer was empty"),
    ("an endpoint that is away", model(f"{AT}/v1"), "✗ agent: … does not answer: Connection refused"),
    (
        "an endpoint nobody knows",
        model("http://no-such-host.invalid/v1"),
        "✗ agent: … does not answer: the server's name is not known here",
    ),
    ("an endpoint that is slow", endpoint(), "✗ agent: … does not answer: no answer in time"),
    ("an endpoint that refuses the key", endpoint(models=(401, {})), "✗ agent: … refuses the key (HTTP 401)"),
    ("a model nobody has", endpoint(models=(200, {"data": []})), "✗ agent: … has no model mine"),
    (
        "a key that is refused once it counts",
        endpoint(**MODELS, completions=(401, {"error": {"message": "bad key"}})),
        f"{TURN}the model endpoint refuses the API key (HTTP 401)",
    ),
    (
        "an endpoint whose key is not set",
        unset_key,
        "✗ agent: host.agent.apiKey: … is not set",
    ),
    ("a gateway that is away", gateway(url=f"ws://127.0.0.1:{NOBODY}"), "✗ gateway: … Connect"),
    ("a gateway that refuses the token", gateway(token="wrong-0123456789"), "✗ gateway: … token"),
    ("a gateway without a scope", gateway(scopes=("operator.read",)), "✗ gateway: … operator.write"),
    (
        "no group",
        lambda site: site.rig.octo.remove_member("g1", HELPER),
        "! helper: groups: the bot is in no group",
    ),
    (
        "nobody who mentions it",
        heard("hello?", "anybody?"),
        "! helper: messages: none … was for it: 2 context (no men",
    ),
    (
        "nobody who may talk to it",
        heard("@Helper hello?", groupPolicy="disabled"),
        "! helper: messages: none of the last day was for it: 1 refused (",
    ),
    (
        "lists that let nobody in",
        channel(groupPolicy="allowlist"),
        "! configuration: channels.octo.accounts.helper.groupAllowFrom: is empty while groupPolicy is",
    ),
    (
        "somebody allowed who is blocked",
        channel(dmPolicy="allowlist", allowFrom=[ANN], blockFrom=[ANN]),
        '! configuration: channels.octo.accounts.helper.blockFrom: blocks "ann"',
    ),
]


WAYS = [*CONFIGURATION, *SERVERS, *STATE, *AGENTS]
IMPATIENT = {silent_server, frozen, mute_socket, locked_journal}


@asynccontextmanager
async def site_of(rig: Rig) -> AsyncIterator[Site]:
    async with AsyncExitStack() as stack:
        rig.state_dir.mkdir(mode=0o700)
        yield Site(rig, rig.config(agent=AGENT), stack)


async def first_lines(site: Site, code: int) -> list[str]:
    """Return the finding that the doctor names first, and its advice."""
    if site.file:
        result = await command("doctor", "--config", site.folder / site.file, code=code)
        return result.stdout.splitlines()[:2]
    if not site.env:
        config = site.config if site.text is None else site.text
        return (await examined(site.rig, config, code=code)).stdout.splitlines()[:2]
    file = write(site.folder, site.config)
    process = await asyncio.create_subprocess_exec(
        *(PROGRAM, "doctor", "--config", file), stdout=PIPE, env={**os.environ, **site.env}
    )
    out, _ = await process.communicate()
    assert process.returncode == code
    return out.decode().splitlines()[:2]


def matches(line: str, wanted: str) -> bool:
    """Return whether a line begins as it should, and has after that what stands between the dots, in order."""
    begin, *more = wanted.split("…")
    place = len(begin)
    for part in more:
        place = line.find(part.strip(), place)
        if place < 0:
            return False
    return line.startswith(begin)


@pytest.mark.parametrize(("broken", "first"), [way[1:] for way in WAYS], ids=[way[0] for way in WAYS])
async def test_what_is_broken_is_named_first_with_what_to_do(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, broken: Break, first: str
) -> None:
    async with site_of(rig) as site:
        if (done := broken(site)) is not None:
            await done
        if broken in IMPATIENT or "gateway:" in first or "in time" in first:
            impatient(monkeypatch)
        line, advice = await first_lines(site, {"✗": 2, "!": 1}[first[0]])

    assert matches(line, first), line
    assert advice.startswith("    → ")


async def test_a_clock_that_is_an_hour_off_is_named(tmp_path: Path) -> None:
    async with (
        OctoDouble(MovedClock(-3_600)) as octo,
        site_of(Rig(octo, tmp_path / "s", SystemClock())) as site,
    ):
        line, _ = await first_lines(site, 1)
    assert matches(line, "! helper: clock: -3… s from the server's")
