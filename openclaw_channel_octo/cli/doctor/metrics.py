"""The metrics port: whether the bots answer there, or another program does."""

import errno
import os
import socket

from openclaw_channel_octo.cli.doctor.findings import Finding, fine, skipped, warning
from openclaw_channel_octo.cli.doctor.running import Running
from openclaw_channel_octo.config.model import MetricsConfig
from openclaw_channel_octo.rest.network import open_session, reason_of, timeout

__all__ = ["check_metrics"]

ANSWER_WITHIN_S = 5.0
SUBJECT = "metrics"
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # where one is asked that listens everywhere


async def check_metrics(config: MetricsConfig | None, running: Running) -> list[Finding]:
    """Return what is found about the metrics port, nothing where none is configured.

    Args:
        config: the port.
        running: the process that runs the bots.
    """
    if config is None:
        return []
    if config.port == 0:
        return [skipped(SUBJECT, "port 0 takes any free port: the log of the bots names it")]
    return [await _answers(config, running) if running.told else _is_free(config)]


async def _answers(config: MetricsConfig, running: Running) -> Finding:
    """Return whether running bots answer there."""
    import aiohttp  # noqa: PLC0415  # see rest.network

    host = _ANYWHERE.get(config.host, config.host)
    url = f"http://{f'[{host}]' if ':' in host else host}:{config.port}/metrics"
    advice = f"the log of process {running.holder} says why at its start; free the port and start it anew"
    try:
        async with (
            open_session(limit=1) as session,
            session.get(url, timeout=timeout(total=ANSWER_WITHIN_S), allow_redirects=False) as answer,
        ):
            body = await answer.text()
    except (aiohttp.ClientError, OSError, ValueError) as problem:
        words = (
            f"{url} does not answer, although process {running.holder} runs the bots: {reason_of(problem)}"
        )
        return warning(SUBJECT, words, advice)
    if "octo_" in body:
        return fine(SUBJECT, f"{url} answers")
    return warning(SUBJECT, f"another program answers at {url}", advice)


def _is_free(config: MetricsConfig) -> Finding:
    """Return whether bots could listen there."""
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    with socket.socket(family) as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as a listener does
        try:
            tried.bind((config.host, config.port))
        except OSError as problem:
            taken = problem.errno == errno.EADDRINUSE
            why = "another program listens there" if taken else os.strerror(problem.errno or errno.EINVAL)
            advice = "the bots run without metrics: free the port, or change metrics.listen"
            return warning(SUBJECT, f"{config.listen} cannot be listened on: {why}", advice)
    return fine(SUBJECT, f"{config.listen} is free for the bots")
