"""Files that an agent in a gateway names by where they lie in its workspace, as ``MEDIA:./picture.png``."""

import os
from pathlib import Path
from urllib.parse import urlsplit

from msgspec.structs import replace

from openclaw_channel_octo.errors import HostError
from openclaw_channel_octo.host.base import Final, MediaItem
from openclaw_channel_octo.host.fields import mapping, text
from openclaw_channel_octo.host.gateway.connection import GatewayConnection

__all__ = ["with_whole_paths"]


async def with_whole_paths(end: Final, agent_id: str, connection: GatewayConnection) -> Final:
    """Return an answer whose relative paths are whole ones in the workspace of its agent.

    An answer stays as it is where the gateway tells no workspace: its files are not found then.

    Args:
        end: the answer.
        agent_id: whose it is.
        connection: to the gateway that knows the workspace.
    """
    if not any(map(_is_relative, end.media)):
        return end
    try:
        agents = (await connection.call("agents.list", {})).get("agents")
    except HostError:
        return end
    rows = map(mapping, agents if isinstance(agents, list) else ())
    folders = {text(row.get("id")).casefold(): text(row.get("workspace")) for row in rows}
    folder = folders.get(agent_id.casefold(), "")
    if not Path(folder).is_absolute():
        return end
    return replace(end, media=tuple(_in(folder, item) if _is_relative(item) else item for item in end.media))


def _is_relative(item: MediaItem) -> bool:
    try:
        return not urlsplit(item.url).scheme and not item.url.startswith(("/", "~"))
    except ValueError:
        return False


def _in(folder: str, item: MediaItem) -> MediaItem:
    return replace(item, url=os.path.normpath(Path(folder, item.url)))
