"""The shape of a call of the double's bot API: what comes in, and who answers."""

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct, field

from openclaw_channel_octo.testing.octo.world import Account

__all__ = ["ApiRequest", "Route"]


class ApiRequest(Struct, frozen=True, kw_only=True):
    """One authorised request.

    Attributes:
        bot: whose token it came with.
        body: its JSON object, empty where the route takes none.
        query: parameters of the query and the path.
    """

    bot: Account
    body: Mapping[str, Any] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)


class Route(Struct, frozen=True):
    """One call of the API.

    Attributes:
        method: HTTP method.
        path: below the API's address, with ``{names}``.
        name: what `RestCall.name` says.
        handler: takes the request, returns the answer's JSON; raises `Refusal`.
        takes_json: whether an empty or broken body is refused.
    """

    method: str
    path: str
    name: str
    handler: Callable[[ApiRequest], Any]
    takes_json: bool = False
