"""The exception tree: whose fault it is, whether trying again can help, a message that is safe to log.

::

    OctoError
    ├── ConfigError            the operator's configuration; nothing was started
    ├── WireError
    │   ├── LocalProtocolError    we used the protocol wrongly: a bug here
    │   └── RemoteProtocolError   the peer sent bytes that are no WuKongIM packet
    ├── CryptoError            a payload that cannot be verified or decrypted
    ├── TransportError         the socket could not be opened, or broke
    ├── ApiError               an answer, or none, of the Octo bot API
    │   ├── AuthError             the token is refused
    │   ├── PermissionDenied      the bot may not do this here (kicked, not a friend, disbanded)
    │   ├── NotFound
    │   ├── BadRequest
    │   │   └── FileTypeRefused    the server takes no files of this type
    │   ├── PayloadTooLarge       refused before any request was made
    │   ├── RateLimited
    │   ├── Unavailable           502, 503, 504, a proxy's HTML page, or no connection at all
    │   ├── BadAnswer             a 2xx that is not what the API promises
    │   └── AmbiguousOutcome      a request that may or may not have been carried out
    ├── StoreError             the journal cannot be read or written
    │   └── OtherVersion          another version of this package wrote it
    ├── HostError              the agent host cannot do what was asked
    │   ├── SessionStoreError     sessions.json cannot be read or written
    │   ├── HostUnavailable       nothing answers, or it is restarting: waiting helps
    │   └── HostRefused           the host does not let us in: the operator has to act
    ├── SendFailed             a send was not carried out, or not to its end
    ├── TargetError            a target that names no conversation; nothing was sent
    ├── RequestDenied          the person who asks the bot for something may not have it
    ├── CaptureError           a file that is no capture
    └── ControlError           a running process was asked something and says no, or none runs
        └── NotRunning            no process answers for this state folder

No message in this tree ever holds a token, a secret or a payload's text.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar


class OctoError(Exception):
    """Base of every error this package raises on purpose."""

    retryable: ClassVar[bool] = False
    """Whether the same call may succeed later without anybody changing anything."""


class ConfigError(OctoError):
    """The configuration is wrong.

    Args:
        problems: one sentence for each mistake, all of them at once, none of them holding a secret.
        retryable: whether nothing is wrong but secrets, which cannot be read from where they are now.
    """

    def __init__(self, *problems: str, retryable: bool = False) -> None:
        super().__init__("\n".join(problems))
        self.retryable = retryable  # type: ignore[misc]  # set for each error, the class only gives the default
        self.problems: tuple[str, ...] = problems


class WireError(OctoError):
    """The WuKongIM protocol was broken by one side."""


class LocalProtocolError(WireError):
    """This side asked for something the protocol's state does not allow."""


class RemoteProtocolError(WireError):
    """The peer sent something that is not the protocol: close the connection, never resynchronise."""

    retryable = True


class CryptoError(OctoError):
    """A key agreement, message key, ciphertext or padding that does not hold."""


class TransportError(OctoError):
    """The socket could not be opened in time, or broke."""

    retryable = True


class ApiError(OctoError):
    """A call of the Octo bot API failed.

    Attributes:
        about_content: whether the server refuses this message for what it is, so that another one may be taken.

    Args:
        call: the call's name, such as ``sendMessage``.
        detail: what went wrong, free of secrets.
        status: HTTP status, 0 when there was no answer.
        code: the server's ``error.code`` where it sent one.
    """

    about_content: ClassVar[bool] = False

    def __init__(self, call: str, detail: str, *, status: int = 0, code: str = "") -> None:
        where = f" (HTTP {status}{', ' + code if code else ''})" if status else ""
        super().__init__(f"{call}: {detail}{where}")
        self.call = call
        self.detail = detail
        self.status = status
        self.code = code


class AuthError(ApiError):
    """The bot token is refused: check it with the bot's owner (BotFather /token)."""


class PermissionDenied(ApiError):
    """The bot may not do this here: not a member, not a friend, group disbanded."""


class NotFound(ApiError):
    """The thing asked for, or the route itself, does not exist on this server."""


class BadRequest(ApiError):
    """The server refuses the request as it stands."""

    about_content = True


class FileTypeRefused(BadRequest):
    """The server takes no files with this ending (octo-bot-api §2.10)."""


class PayloadTooLarge(ApiError):
    """The payload is above our own limit; nothing was sent."""

    about_content = True


class RateLimited(ApiError):
    """Too many requests; refused before the server did anything.

    Args:
        call: the call's name.
        detail: what went wrong.
        retry_after: seconds the server asks to wait.
        scope: ``X-RateLimit-Scope`` as sent, or empty.
    """

    retryable = True

    def __init__(self, call: str, detail: str, *, retry_after: float, scope: str = "") -> None:
        super().__init__(call, detail, status=429)
        self.retry_after = retry_after
        self.scope = scope


class Unavailable(ApiError):
    """The server did not do it: not reachable, or a proxy answered in its place."""

    retryable = True


class BadAnswer(ApiError):
    """A success status with a body that is not what the API promises."""

    about_content = True


class AmbiguousOutcome(ApiError):
    """The request left and no usable answer came: it may have been carried out."""


class StoreError(OctoError):
    """The journal cannot be read or written.

    Args:
        detail: what happened and what to do about it.
        retryable: true where waiting may help, as with a full disk.
    """

    def __init__(self, detail: str, *, retryable: bool = False) -> None:
        super().__init__(detail)
        self.retryable = retryable  # type: ignore[misc]  # set for each error, the class only gives the default


class OtherVersion(StoreError):
    """The journal was written by another version of this package.

    Args:
        detail: what happened and what to do about it.
        older: whether the next start brings it up to date.
    """

    def __init__(self, detail: str, *, older: bool) -> None:
        super().__init__(detail)
        self.older = older


class HostError(OctoError):
    """The agent host cannot do what was asked."""


class SessionStoreError(HostError):
    """The host's session store cannot be read or written."""


class HostUnavailable(HostError):
    """The agent host cannot be reached or is restarting."""

    retryable = True


class HostRefused(HostError):
    """The agent host does not let us in, or not do this; the message says what the operator has to do."""


class SendFailed(OctoError):
    """A send was not carried out, or not to its end.

    Args:
        cause: why.
        message_ids: of what was sent before.
    """

    def __init__(self, cause: OctoError, message_ids: Sequence[str] = ()) -> None:
        said = f"; sent before it: {', '.join(message_ids)}" if message_ids else ""
        super().__init__(f"{cause}{said}")
        self.cause = cause
        self.message_ids = tuple(message_ids)


class TargetError(OctoError):
    """A target names no conversation; nothing was sent or read."""


class RequestDenied(OctoError):
    """The person for whom the bot was to send or read something may not have it; the message says why."""


class CaptureError(OctoError):
    """The file is not a capture we can read."""


class ControlError(OctoError):
    """A request over the control socket was not carried out.

    Args:
        code: one of the protocol's words for it, such as ``unknown-call`` (docs/control.md).
        detail: what went wrong and what to do.
        data: what programs can use of it, JSON values.
    """

    def __init__(self, code: str, detail: str, data: Mapping[str, Any] | None = None) -> None:
        super().__init__(detail)
        self.code = code
        self.data = data or {}


class NotRunning(ControlError):
    """No process answers on the control socket of this state folder."""

    def __init__(self, detail: str) -> None:
        super().__init__("not-running", detail)
