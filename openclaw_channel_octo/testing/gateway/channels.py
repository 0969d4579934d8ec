"""The channels and agents of a fake gateway, and what it does not take of a run for what it has."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

__all__ = ["agent_listing", "channel_status", "unfit"]


def agent_listing(agents: Sequence[str]) -> dict[str, Any]:
    """Return the payload of ``agents.list`` for agents, the default one first."""
    rows = [{"id": agent, "workspace": f"/workspaces/{agent}"} for agent in agents]
    return {"defaultId": agents[0], "agents": rows}


def channel_status(channels: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Return the payload of ``channels.status`` for bots by their channels."""
    accounts = {one: [{"accountId": bot.lower()} for bot in bots] for one, bots in channels.items()}
    return {"channels": {one: {"configured": True} for one in channels}, "channelAccounts": accounts}


def unfit(
    params: Mapping[str, Any],
    channels: Collection[str],
    refused_labels: Collection[str],
    *,
    sees_pictures: bool,
) -> str:
    """Return why a gateway does not take a run with these parameters of ``agent``, empty where it does.

    Args:
        params: the request.
        channels: ids of the gateway's channels.
        refused_labels: names it gives no session.
        sees_pictures: whether its model takes pictures.
    """
    if params.get("channel") not in (None, *channels):
        return f"invalid agent params: unknown channel: {params['channel']}"
    if params.get("label") in refused_labels:
        return f"label already in use: {params['label']}"
    if params.get("attachments") and not sees_pictures:
        return "UnsupportedAttachmentError: active model does not accept image inputs"
    return ""
