"""Who runs the turns: the program, the endpoint or the gateway."""

import os
import shutil
from http import HTTPStatus

import aiohttp

from openclaw_channel_octo.cli.doctor.findings import Finding, error, fine, warning
from openclaw_channel_octo.cli.gateway import look
from openclaw_channel_octo.config.model import (
    CommandAgentConfig,
    GatewayHostConfig,
    OctoConfig,
    OpenAIAgentConfig,
)
from openclaw_channel_octo.errors import HostError

__all__ = ["check_host"]

ENDPOINT_WITHIN_S = 10.0
SUBJECT = "agent"


async def check_host(config: OctoConfig) -> list[Finding]:
    """Return what is found about the host; asks it nothing that costs a turn."""
    if isinstance(config.host, GatewayHostConfig):
        return await _gateway(config, config.host)
    match config.host.agent:
        case CommandAgentConfig() as agent:
            return [_command(agent)]
        case OpenAIAgentConfig() as agent:
            return [await _endpoint(agent)]
        case _:
            return [
                warning(SUBJECT, "the echo agent repeats what it is told", "set host.agent to a real one")
            ]


def _command(agent: CommandAgentConfig) -> Finding:
    program = agent.command[0]
    path = {**os.environ, **agent.env}.get("PATH")
    if agent.cwd is not None and not agent.cwd.is_dir():
        return error(SUBJECT, f"its folder {agent.cwd} is not there", "make it, or change host.agent.cwd")
    if shutil.which(program, path=path):
        return fine(SUBJECT, f"{program} is there")
    if shutil.which(program, mode=os.F_OK, path=path):
        return error(SUBJECT, f"{program} must not be run by this user", "make it executable: chmod +x")
    return error(
        SUBJECT, f"{program} is not there", "install it, or give its whole path in host.agent.command"
    )


async def _endpoint(agent: OpenAIAgentConfig) -> Finding:
    headers = {"Authorization": f"Bearer {agent.api_key.get_secret_value()}"} if agent.api_key else {}
    timeout = aiohttp.ClientTimeout(total=ENDPOINT_WITHIN_S)
    where = agent.base_url.partition("?")[0]
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(f"{agent.base_url}/models", headers=headers, allow_redirects=False) as answer,
        ):
            status = answer.status
            told = await answer.json(content_type=None) if status == HTTPStatus.OK else None
    except (aiohttp.ClientError, OSError, TimeoutError) as problem:
        return error(
            SUBJECT, f"{where} does not answer: {type(problem).__name__}", "check host.agent.baseUrl"
        )
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
    models = told.get("data") if isinstance(told, dict) else None
    names = (
        {str(one.get("id")) for one in models if isinstance(one, dict)} if isinstance(models, list) else set()
    )
    if names and agent.model not in names:
        some = ", ".join(sorted(names)[:5])
        return error(
            SUBJECT, f"{where} has no model {agent.model}", f"set host.agent.model to one it has: {some}"
        )
    return fine(SUBJECT, f"{where} answers and has the model {agent.model}")


async def _gateway(config: OctoConfig, settings: GatewayHostConfig) -> list[Finding]:
    subject = "gateway"
    try:
        found = await look(config, settings)
    except HostError as problem:
        return [error(subject, str(problem), "openclaw-octo gateway check tells more")]
    return [
        *(error(subject, problem, "openclaw-octo gateway check tells more") for problem in found.problems),
        fine(subject, f"{found.url}, release {found.release}, {len(found.sessions)} sessions"),
    ]
