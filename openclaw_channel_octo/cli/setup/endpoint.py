"""A model endpoint: whether it answers, and which models it has."""

from http import HTTPStatus

from msgspec import Struct
from pydantic import SecretStr

from openclaw_channel_octo.cli.setup.console import Unusable
from openclaw_channel_octo.rest.network import reason_of

__all__ = ["Models", "models_at"]

ANSWER_WITHIN_S = 10.0


class Models(Struct, frozen=True):
    """What an endpoint offers.

    Attributes:
        base_url: the address that answered, which may be the given one with ``/v1``.
        names: its models, sorted; empty where it lists none.
    """

    base_url: str
    names: tuple[str, ...]


async def models_at(base_url: str, key: SecretStr | None) -> Models:
    """Return the models of an OpenAI-compatible endpoint; asking for them costs nothing.

    Args:
        base_url: up to its version; where that is missing and nothing is found, ``/v1`` is tried too.
        key: sent as the bearer key, ``None`` for none.

    Raises:
        Unusable: it cannot be reached, or refuses the key.
    """
    for address in (base_url, *(() if base_url.endswith("/v1") else (f"{base_url}/v1",))):
        names = await _asked(address, key)
        if names is not None:
            return Models(address, tuple(sorted(names)))
    return Models(base_url, ())


async def _asked(address: str, key: SecretStr | None) -> list[str] | None:
    """Return the models listed at an address, ``None`` where there is no list. Raises `Unusable`."""
    import aiohttp  # noqa: PLC0415  # see rest.network

    headers = {"Authorization": f"Bearer {key.get_secret_value()}"} if key else {}
    try:
        async with (
            aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=ANSWER_WITHIN_S), trust_env=True
            ) as session,  # proxies, as for the agent
            session.get(f"{address}/models", headers=headers, allow_redirects=False) as answer,
        ):
            if answer.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
                raise Unusable(f"{address} refuses the key (HTTP {answer.status})", about_secret=True)
            told = await answer.json(content_type=None) if answer.status == HTTPStatus.OK else None
    except (aiohttp.ClientError, OSError, TimeoutError) as problem:
        raise Unusable(f"{address} does not answer: {reason_of(problem)}") from None
    except ValueError:
        return None
    rows = told.get("data") if isinstance(told, dict) else None
    if not isinstance(rows, list):
        return None
    names = [str(row["id"]) for row in rows if isinstance(row, dict) and "id" in row]
    return [name for name in names if name.isprintable()]
