"""Commands in the chat that an agent host answers beside the channel's own."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from msgspec import Struct

if TYPE_CHECKING:
    from openclaw_channel_octo.config.texts import Texts

__all__ = ["CommandCall", "HasCommands", "HostCommand"]


class HostCommand(Struct, frozen=True, kw_only=True):
    """A command in the chat that a host answers.

    Attributes:
        name: the command with its slash, such as ``/model``, lower case. ``/status`` adds lines to the channel's own.
        words: other words for it, with their slash, lower case. Words of the channel's own commands stay its own.
        help: its line of ``/help``; empty for the channel's text of that name (``helpModel`` of ``texts``), and for a
            command that is not offered where there is none.
        changes: whether it changes the session for everybody who uses it, so that not everybody may use it.
        shows: whether it changes nothing where no argument follows.
        waits: whether it waits for the turns of its session before it, and those behind it for its end; not where it
            only shows something.
    """

    name: str
    words: tuple[str, ...] = ()
    help: str = ""
    changes: bool = False
    shows: bool = False
    waits: bool = False


class CommandCall(Struct, frozen=True, kw_only=True):
    """A command that somebody gave who may.

    Attributes:
        session_key: the conversation's session.
        name: `HostCommand.name`.
        argument: what stands behind it, words between single spaces, lower case, half-width: untrusted.
        key: the same whenever the same message is tried again, as after a crash.
        texts: what people read, in the bot's language.
    """

    session_key: str
    name: str
    argument: str
    key: str
    texts: "Texts"


@runtime_checkable
class HasCommands(Protocol):
    """What an `AgentHost` also is that answers commands in the chat beside the channel's own."""

    @property
    def commands(self) -> Sequence[HostCommand]:
        """What there is now; other words that begin with a slash stay ordinary messages."""

    async def command(self, call: CommandCall) -> str:
        """Carry it out and return what people read.

        The channel has asked whether the person may. Raises `HostError` where it cannot be done now: people read that
        it did not work, and the log says why.
        """
