"""The metrics of a running program, where its configuration asks for them."""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from openclaw_channel_octo.config.model import MetricsConfig
from openclaw_channel_octo.errors import ConfigError
from openclaw_channel_octo.runtime.channel import ChannelStatus

if TYPE_CHECKING:
    from openclaw_channel_octo.control.prometheus import PrometheusMeter

__all__ = ["meter_for", "metrics_served"]

_log = logging.getLogger(__name__)


def meter_for(config: MetricsConfig | None) -> "PrometheusMeter | None":
    """Return the metrics backend, or ``None`` where none is configured.

    Raises:
        ConfigError: the library for it is not installed.
    """
    if config is None:
        return None
    try:
        from openclaw_channel_octo.control.prometheus import PrometheusMeter  # noqa: PLC0415  # an extra
    except ImportError:
        raise ConfigError(
            "metrics: needs a library, first: pip install 'openclaw-channel-octo[metrics]'"
        ) from None
    return PrometheusMeter()


@asynccontextmanager
async def metrics_served(
    config: MetricsConfig | None, meter: "PrometheusMeter | None", status: Callable[[], ChannelStatus]
) -> AsyncIterator[None]:
    """Serve the metrics meanwhile; the bots run without them where their address cannot be had."""
    if config is None or meter is None:
        yield
        return
    meter.watch(status)
    try:
        server = await meter.serve(config.host, config.port, config.hosts)
    except OSError as error:
        _log.error("no metrics: %s cannot be listened on (%s)", config.listen, error.strerror)
        yield
        return
    _log.info("metrics at http://%s:%d/metrics", config.host, server.port)
    try:
        yield
    finally:
        await server.close()
