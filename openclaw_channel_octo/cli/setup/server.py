"""The Octo server: whether it takes a token, without registering the bot, which would kick its connection."""

from urllib.parse import urlsplit

from pydantic import SecretStr

from openclaw_channel_octo.cli.setup.console import Unusable, http_address
from openclaw_channel_octo.clock import SystemClock, within
from openclaw_channel_octo.errors import (
    ApiError,
    AuthError,
    BadAnswer,
    BadRequest,
    NotFound,
    PermissionDenied,
)
from openclaw_channel_octo.rest.client import BotApi

__all__ = ["accepted", "addresses"]

ANSWER_WITHIN_S = 10.0
"""How long a server has to answer at one address."""

_API = "/api"
_EXAMPLE = "https://octo.example.com/api"


def addresses(given: str) -> list[str]:
    """Return where the bot API may be, if somebody says that the server is at ``given``.

    The address itself, with and without ``/api`` behind it, and the same at the server's root: all on one server,
    so that the token goes to no other. Without a scheme it is ``https``, on this machine ``http``.

    Raises:
        Unusable: that is no address.
    """
    base = http_address(given, _EXAMPLE)
    parts = urlsplit(base)
    root = f"{parts.scheme}://{parts.netloc}"
    other = base.removesuffix(_API) if base.endswith(_API) else base + _API
    return list(dict.fromkeys((base, other, root + _API, root)))


async def accepted(given: str, token: SecretStr) -> str:
    """Return the address of the bot API that takes a token, which may be another than the given one.

    The groups of the bot are asked for: that changes nothing, and kicks no connection (octo-bot-api §2.1).

    Args:
        given: the server's address, with or without the API's path.
        token: the bot's token.

    Raises:
        Unusable: there is no such server, or it refuses the token.
    """
    tried = addresses(given)
    first: ApiError | None = None
    for address in tried:
        try:
            await _ask(address, token)
        except (NotFound, BadAnswer, BadRequest) as error:  # no bot API at this path: perhaps at another
            first = first or error
        else:
            return address
    raise Unusable(
        f"there is no bot API at {', '.join(tried)} ({_said(str(first))}): check the server's address"
    )


async def _ask(address: str, token: SecretStr) -> None:
    clock = SystemClock()
    try:
        async with BotApi(base_url=address, token=token, clock=clock) as api:
            await within(clock, ANSWER_WITHIN_S, api.groups())
    except TimeoutError:
        raise Unusable(f"{address} does not answer within {ANSWER_WITHIN_S:g} s: check the address") from None
    except AuthError as refusal:
        raise Unusable(f"{address}: {_said(refusal.detail)}", about_secret=True) from None
    except PermissionDenied as refusal:
        advice = "ask its owner whether it is switched off"
        raise Unusable(
            f"{address} shuts the bot out ({_said(refusal.detail)}): {advice}", about_secret=True
        ) from None
    except (NotFound, BadAnswer, BadRequest):
        raise
    except ApiError as problem:
        raise Unusable(_said(problem.detail)) from None


def _said(words: str) -> str:
    """Return the words of an error with the option in place of the key: there is no file yet."""
    return words.replace("apiUrl", "--server")
