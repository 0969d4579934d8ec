"""The ``metrics`` block: where numbers about the bots can be read."""

from typing import Annotated

from pydantic import AfterValidator, Field

from openclaw_channel_octo.config.base import FrozenModel
from openclaw_channel_octo.config.urls import is_host

__all__ = ["MetricsConfig"]

_HIGHEST_PORT = 65_535


def _address(text: str) -> str:
    host, _, port = text.rpartition(":")
    named = host[1:-1] if host.startswith("[") and host.endswith("]") else "" if ":" in host else host
    if (
        not is_host(named)
        or not named.isprintable()
        or " " in named
        or not port.isdecimal()
        or not port.isascii()
    ):
        raise ValueError("must be an address and a port, such as 127.0.0.1:9464 or [::1]:9464")
    if int(port) > _HIGHEST_PORT:
        raise ValueError(f"must name a port of at most {_HIGHEST_PORT}")
    return text


class MetricsConfig(FrozenModel):
    """Numbers about the bots over HTTP, without any protection but the address (docs/operations.md).

    Attributes:
        listen: address and port; port 0 takes a free one.
        hosts: names by which this machine is asked for them, besides that address and ``localhost``.
    """

    listen: Annotated[str, AfterValidator(_address)]
    hosts: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=255)], ...], Field(strict=False)
    ] = ()

    @property
    def host(self) -> str:
        """The address alone."""
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The port alone."""
        return int(self.listen.rpartition(":")[2])
