"""Who runs the turns: the program, the endpoint or the gateway."""

from collections.abc import Iterable
from http import HTTPStatus

from pydantic import SecretStr

from openclaw_channel_octo.cli.doctor.findings import Finding, Level, error, fine, skipped, warning
from openclaw_channel_octo.cli.gateway.check import look
from openclaw_channel_octo.cli.gateway.state import plugin_notes, plugin_problems
from openclaw_channel_octo.cli.run.start import program_trouble
from openclaw_channel_octo.clock import SystemClock, within
from openclaw_channel_octo.config.model import (
    CommandAgentConfig,
    EmbeddedHostConfig,
    GatewayHostConfig,
    OctoConfig,
    OpenAIAgentConfig,
)
from openclaw_channel_octo.errors import HostError
from openclaw_channel_octo.host.configure import agent_from_config
from openclaw_channel_octo.host.embedded.agents import Agent, AgentError, Prompt, without_secrets
from openclaw_channel_octo.rest.network import reason_of

__all__ = ["check_host"]

ENDPOINT_WITHIN_S = 10.0
ANSWER_WITHIN_S = 60.0
SUBJECT, ANSWER = "agent", "agent's answer"
_SILENT = {
    "command": "it has to write its answer to standard output",
    "openai": "ask the endpoint by hand: is the model one that chats, and may its answer be long enough?",
    "echo": "set host.agent to a real one",
}
QUESTION = "This is a test of the connection. Please answer with one word."


async def check_host(config: OctoConfig, *, ask: bool, more: str) -> list[Finding]:
    """Return what is found about the host.

    Args:
        config: the configuration.
        ask: whether the agent is asked for a word, which is a turn; a gateway's never is.
        more: the command that tells more of a gateway.
    """
    if isinstance(config.host, GatewayHostConfig):
        return await _gateway(config, config.host, f"{more} tells more")
    match config.host.agent:
        case CommandAgentConfig() as agent:
            found = _command(agent)
        case OpenAIAgentConfig() as agent:
            found = await _endpoint(agent)
        case _:
            found = warning(SUBJECT, "the echo agent repeats what it is told", "set host.agent to a real one")
    if found.level is Level.ERROR:
        return [found]
    if not ask:
        return [found, skipped(ANSWER, "that is a turn, and may cost something: --ask-agent asks for a word")]
    return [found, await _answer(config.host, config.secrets())]


async def _answer(host: EmbeddedHostConfig, hidden: Iterable[SecretStr]) -> Finding:
    """Return what comes of asking the agent for a word."""
    within_s = min(host.timeout_seconds, ANSWER_WITHIN_S)
    agent = agent_from_config(host.agent, host.state_dir)
    asked = Prompt(
        text=QUESTION,
        session_key=f"agent:{host.agent_id}:doctor",
        session_id="doctor",
        run_id=SystemClock().new_id(),
    )
    began = SystemClock().now()
    try:
        said = await within(SystemClock(), within_s, _whole(agent, asked))
    except TimeoutError:
        advice = "people would be told that it took too long: host.timeoutSeconds"
        return error(ANSWER, f"none within {within_s:.0f} s", advice)
    except AgentError as problem:
        return error(ANSWER, without_secrets(str(problem), hidden), "try the agent by hand")
    if not said.strip():
        return error(ANSWER, "the agent says nothing", _SILENT[host.agent.kind])
    return fine(ANSWER, f"{len(said)} characters after {SystemClock().now() - began:.1f} s")


async def _whole(agent: Agent, prompt: Prompt) -> str:
    return "".join([piece async for piece in agent.reply(prompt)])


def _command(agent: CommandAgentConfig) -> Finding:
    words, advice = program_trouble(agent)
    return error(SUBJECT, words, advice) if words else fine(SUBJECT, f"{agent.command[0]} is there")


async def _endpoint(agent: OpenAIAgentConfig) -> Finding:
    import aiohttp  # noqa: PLC0415  # see rest.network

    headers = {"Authorization": f"Bearer {agent.api_key.get_secret_value()}"} if agent.api_key else {}
    headers |= {name: value.get_secret_value() for name, value in agent.headers.items()}
    timeout = aiohttp.ClientTimeout(total=ENDPOINT_WITHIN_S)
    where = agent.base_url.partition("?")[0]
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, trust_env=True) as session,  # proxies, as for the agent
            session.get(f"{agent.base_url}/models", headers=headers, allow_redirects=False) as answer,
        ):
            status = answer.status
            told = await answer.json(content_type=None) if status == HTTPStatus.OK else None
    except (aiohttp.ClientError, OSError, TimeoutError) as problem:
        return error(SUBJECT, f"{where} does not answer: {reason_of(problem)}", "check host.agent.baseUrl")
    except ValueError:
        return error(
            SUBJECT, f"{where} answers no JSON", "check host.agent.baseUrl: it usually ends with /v1"
        )
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return error(SUBJECT, f"{where} refuses the key (HTTP {status})", "check host.agent.apiKey")
    if told is None:
        return warning(
            SUBJECT, f"{where} lists no models (HTTP {status})", "not every endpoint does; try a message"
        )
    return _model(where, agent.model, told)


def _model(where: str, model: str, told: object) -> Finding:
    """Return whether a list of models has the one that is set."""
    models = told.get("data", "") if isinstance(told, dict) else ""
    if not isinstance(models, list | None):
        return warning(SUBJECT, f"{where} lists no models", "check host.agent.baseUrl; try a message")
    names = {str(one.get("id")) for one in models or () if isinstance(one, dict)}
    if names & {model, f"{model}:latest", f"models/{model}"}:  # as Ollama and Gemini list them
        return fine(SUBJECT, f"{where} answers and has the model {model}")
    some = ", ".join(sorted(names)[:5])
    advice = f"set host.agent.model to one it has: {some}" if names else "it has none: install one there"
    return error(SUBJECT, f"{where} has no model {model}", advice)


async def _gateway(config: OctoConfig, settings: GatewayHostConfig, advice: str) -> list[Finding]:
    subject = "gateway"
    try:
        found = await look(config, settings)
    except HostError as problem:
        return [error(subject, str(problem), advice), *_plugin(settings)]
    return [
        *(error(subject, problem, advice) for problem in found.problems),
        fine(subject, f"{found.url}, release {found.release}, {len(found.sessions)} sessions"),
        *_plugin(settings),
    ]


def _plugin(settings: GatewayHostConfig) -> list[Finding]:
    advice = "see docs/gateway-plugin.md; the gateway has to be restarted afterwards"
    wrong = [warning("gateway's plugin", words, advice) for words in plugin_problems(settings)]
    return wrong or [fine("gateway's plugin", words) for words in plugin_notes(settings)]
