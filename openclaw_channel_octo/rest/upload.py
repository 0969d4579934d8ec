"""Files of answers on their way into the deployment's storage (octo-bot-api §2.10)."""

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct
from yarl import URL

from openclaw_channel_octo.clock import Clock
from openclaw_channel_octo.config.texts import Reason
from openclaw_channel_octo.errors import ApiError, BadRequest, OctoError, PermissionDenied, Unavailable
from openclaw_channel_octo.policy.urls import origin_of
from openclaw_channel_octo.rest.answers import unanswered
from openclaw_channel_octo.rest.attempts import RetryBudget
from openclaw_channel_octo.rest.calls import POLICIES, Call
from openclaw_channel_octo.rest.client import BotApi
from openclaw_channel_octo.rest.models import UploadTicket
from openclaw_channel_octo.rest.network import open_session, timeout

if TYPE_CHECKING:
    import aiohttp

__all__ = ["ByteSource", "SourceChanged", "Uploader"]

PIECE = 256 * 1024
"""Bytes in memory at a time."""
CONNECT_S = 10.0
SILENT_S = 60.0
"""Longest wait for the storage's answer once it has the file."""
ATTEMPT_S = 300.0
"""Longest time of one attempt; 100 MiB need 350 KB in a second then."""

_CODE = re.compile(rb"<Code>([A-Za-z]{1,40})</Code>")
_ERROR_PAGE = 4_096
_PASSING = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})


class SourceChanged(OctoError):
    """The file is not what it was when its upload began.

    Args:
        reason: how that shows, for people.
    """

    def __init__(self, reason: Reason) -> None:
        super().__init__(str(reason))
        self.reason = reason


class ByteSource(Protocol):
    """What is uploaded; it may be read several times."""

    @property
    def size(self) -> int:
        """Bytes."""
        ...

    async def read(self, offset: int, length: int) -> bytes:
        """Return exactly these bytes, or raise `SourceChanged`."""
        ...


class Uploader(Struct, eq=False):
    """Puts files where the server says.

    The address comes from the Octo server, which the operator trusts with every message, and often lies inside the
    deployment's network: it is used as it is. The bot's token never goes there, and no error shows the signature.

    Attributes:
        api: the bot's API, which signs.
        clock: waits, and how long a signature lasts.
    """

    api: BotApi
    clock: Clock
    _session: "aiohttp.ClientSession | None" = None

    async def upload(self, name: str, source: ByteSource) -> str:
        """Upload a file; return the address people find it at.

        Args:
            name: file name; the storage hands it out with the file.
            source: its bytes.

        Raises:
            FileTypeRefused: the server takes no files with this ending.
            ApiError: it could not be uploaded.
            SourceChanged: it became shorter meanwhile.
        """
        try:
            return await self._with_ticket(name, source)
        except PermissionDenied as error:
            if error.call != Call.UPLOAD:
                raise
        return await self._with_ticket(name, source)  # another signature may be a good one

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def _with_ticket(self, name: str, source: ByteSource) -> str:
        ticket = await self.api.presign_upload(name, source.size)
        expires = self.clock.now() + ticket.expires_in if ticket.expires_in else float("inf")
        budget = RetryBudget(POLICIES[Call.UPLOAD], self.clock)
        while True:
            try:
                await self._put(ticket, source)
            except ApiError as error:
                wait_s = budget.wait_after(error)
                if wait_s is None:
                    raise
                if self.clock.now() + wait_s >= expires:
                    raise PermissionDenied(Call.UPLOAD, "the signature has expired") from None
                await self.clock.sleep(wait_s)
            else:
                return ticket.download_url

    async def _put(self, ticket: UploadTicket, source: ByteSource) -> None:
        import aiohttp  # noqa: PLC0415  # see rest.network

        body = _Body(source)
        # Raised outside the handlers: aiohttp's errors hold the address, and with it the signature.
        try:
            failure = await self._exchange(ticket, body)
        except (aiohttp.ClientError, OSError) as error:
            reason = f"{type(error).__name__} at the storage {_place(ticket)}"
            failure = unanswered(Call.UPLOAD, reason, may_have_arrived=False)
        if body.failure is not None:
            raise body.failure
        if failure is not None:
            raise failure

    async def _exchange(self, ticket: UploadTicket, body: "_Body") -> ApiError | None:
        signed = {"Content-Type": ticket.content_type, "Content-Disposition": ticket.content_disposition}
        headers = {name: value for name, value in signed.items() if value}
        async with self._opened().put(
            URL(ticket.upload_url, encoded=True),
            data=body,
            # A body of known length is not sent in chunks, which no signature would cover.
            headers=headers | {"Content-Length": str(body.size)},
            skip_auto_headers={"Content-Type"},
            allow_redirects=False,
        ) as answer:
            if HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
                return None
            return _refusal(ticket, answer.status, await answer.content.read(_ERROR_PAGE))

    def _opened(self) -> "aiohttp.ClientSession":
        """Return the session, made on first use because it belongs to the running loop."""
        if self._session is None:
            limits = timeout(total=ATTEMPT_S, sock_connect=CONNECT_S, sock_read=SILENT_S)
            self._session = open_session(limit=4, timeout=limits)
        return self._session


class _Body:
    """The file in pieces; what goes wrong while it is read is kept, because aiohttp makes it a network error."""

    def __init__(self, source: ByteSource) -> None:
        self.size = source.size
        self.failure: SourceChanged | None = None
        self._source = source
        self._at = 0

    def __aiter__(self) -> "_Body":
        return self

    async def __anext__(self) -> bytes:
        if self._at >= self.size:
            raise StopAsyncIteration
        try:
            piece = await self._source.read(self._at, min(PIECE, self.size - self._at))
        except SourceChanged as error:
            self.failure = error
            raise
        self._at += len(piece)
        return piece


def _refusal(ticket: UploadTicket, status: int, page: bytes) -> ApiError:
    """Return the error for the storage's answer; its page may repeat the signed request, so only its code is shown."""
    code = found[1].decode() if (found := _CODE.search(page)) else ""
    detail = f"the storage {_place(ticket)} refuses the file" + (f": {code}" if code else "")
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _PASSING:
        return Unavailable(Call.UPLOAD, detail, status=status)
    kind = PermissionDenied if status == HTTPStatus.FORBIDDEN else BadRequest
    return kind(Call.UPLOAD, detail, status=status)


def _place(ticket: UploadTicket) -> str:
    scheme, host, port = origin_of(URL(ticket.upload_url, encoded=True))
    return f"{scheme}://{host}:{port}"
