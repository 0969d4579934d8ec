"""Which agent and session a conversation belongs to, as a gateway resolves it (openclaw-host §2.4, §3.4)."""

import re
from collections.abc import Mapping

from msgspec import Struct, field

from openclaw_channel_octo.ids import ChannelRef, ChannelType, split_thread
from openclaw_channel_octo.session.key import CHANNEL

__all__ = [
    "ANY",
    "DM_SCOPES",
    "GROUP_SCOPES",
    "Binding",
    "Peer",
    "Route",
    "Routing",
    "canonical_account",
    "canonical_id",
]

ANY = "*"
"""Matches every account, or every peer of a kind."""

DM_SCOPES = ("main", "per-peer", "per-channel-peer", "per-account-channel-peer")
GROUP_SCOPES = ("per-group", "main")

_DEFAULT_ACCOUNT = "default"
_LONGEST_ID = 64
_MAIN = "main"  # a gateway reads session.mainKey and goes by this all the same


class Peer(Struct, frozen=True):
    """The other side of a conversation.

    Attributes:
        kind: ``direct`` or ``group``.
        id: the person's uid, or the group's or thread's id.
    """

    kind: str
    id: str


class Binding(Struct, frozen=True, kw_only=True):
    """One rule that sends conversations of this channel to an agent.

    Attributes:
        agent_id: the agent, empty for the default one.
        account_id: the account it is for, `ANY` for all.
        peer: the conversation it is for, its id `ANY` for all of its kind; ``None`` for every conversation.
        dm_scope: the scope its direct messages get, ``None`` for the usual one.
        group_scope: the scope its groups get, likewise.
    """

    agent_id: str
    account_id: str = _DEFAULT_ACCOUNT
    peer: Peer | None = None
    dm_scope: str | None = None
    group_scope: str | None = None


class Route(Struct, frozen=True, kw_only=True):
    """Where a conversation's messages go.

    Attributes:
        agent_id: the agent that answers.
        session_key: the session in the host.
    """

    agent_id: str
    session_key: str


class Routing(Struct, frozen=True, kw_only=True):
    """The rules of one host.

    Attributes:
        default_agent: answers where no binding matches.
        bindings: rules for this channel, in the order they are written.
        dm_scope: which session direct messages share, one of `DM_SCOPES`.
        group_scope: which session a group has, one of `GROUP_SCOPES`.
        links: one person's uids under one name, ``uid`` or ``octo:uid`` in lower case to the name; of two entries for
            one person the first counts.
        lower_groups: whether group ids are lower-cased, as every gateway does for this channel.
    """

    default_agent: str = "main"
    bindings: tuple[Binding, ...] = ()
    dm_scope: str = "per-channel-peer"
    group_scope: str = "per-group"
    links: Mapping[str, str] = field(default_factory=dict)
    lower_groups: bool = False

    def route(self, account_id: str, channel: ChannelRef) -> Route:
        """Return the route of a conversation.

        Args:
            account_id: the bot's account.
            channel: the conversation as the bot answers into it; for a direct one ``channel.id`` is the person's uid.
        """
        peer = Peer("direct" if channel.type == ChannelType.PERSON else "group", channel.id)
        thread = split_thread(channel.id) if channel.type == ChannelType.THREAD else None
        binding = self._binding(canonical_account(account_id), peer, thread.group_no if thread else "")
        named = canonical_id(binding.agent_id) if binding else ""
        agent_id = named or canonical_id(self.default_agent) or "main"
        scope = binding or Binding(agent_id=agent_id)
        key = (
            self._direct(account_id, peer.id, scope) if peer.kind == "direct" else self._group(peer.id, scope)
        )
        return Route(agent_id=agent_id, session_key=f"agent:{agent_id}:{key}")

    def shares_direct(self, account_id: str, channel: ChannelRef) -> bool:
        """Return whether a direct conversation has one session with those of others, the agent's main one."""
        found = self.route(account_id, channel)
        return channel.type == ChannelType.PERSON and found.session_key == f"agent:{found.agent_id}:{_MAIN}"

    def agents_of(self, account_id: str) -> frozenset[str]:
        """Return every agent that can get messages of an account."""
        account_id = canonical_account(account_id)
        default = canonical_id(self.default_agent) or "main"
        bound = {
            canonical_id(rule.agent_id) for rule in self.bindings if rule.account_id in (ANY, account_id)
        }
        return frozenset(agent_id or default for agent_id in bound | {default})

    def _binding(self, account_id: str, peer: Peer, group_no: str) -> Binding | None:
        """Return the rule that matches best: this peer, its group, all peers of its kind, the account, the channel."""
        rules = [rule for rule in self.bindings if rule.account_id in (ANY, account_id)]
        wanted = [peer, *([Peer("group", group_no)] if group_no else []), Peer(peer.kind, ANY)]
        for one in wanted:
            for rule in rules:
                if rule.peer == one:
                    return rule
        general = (rule for rule in rules if rule.peer is None)
        return min(general, key=lambda rule: rule.account_id == ANY, default=None)  # the account's own first

    def _direct(self, account_id: str, uid: str, scope: Binding) -> str:
        dm_scope = scope.dm_scope or self.dm_scope
        spellings = (uid.lower(), f"{CHANNEL}:{uid}".lower())
        person = next((name for linked, name in self.links.items() if linked in spellings), uid).lower()
        match dm_scope:
            case "per-account-channel-peer":
                return f"{CHANNEL}:{canonical_account(account_id)}:direct:{person}"
            case "per-channel-peer":
                return f"{CHANNEL}:direct:{person}"
            case "per-peer":
                return f"direct:{person}"
            case _:
                return _MAIN

    def _group(self, group_id: str, scope: Binding) -> str:
        if (scope.group_scope or self.group_scope) == "main":
            return _MAIN
        return f"{CHANNEL}:group:{group_id.lower() if self.lower_groups else group_id}"


def canonical_id(text: str) -> str:
    """Return an account or agent id as gateways compare them: lower case, 64 of ``a-z 0-9 _ -`` at most.

    Empty where nothing of it is left.
    """
    lowered = text.strip().lower()
    if re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,63}", lowered):
        return lowered
    return re.sub(r"[^a-z0-9_-]+", "-", lowered).lstrip("-").rstrip("-")[:_LONGEST_ID]


def canonical_account(text: str) -> str:
    """Return an account id as gateways compare them; one of which nothing is left is the default one."""
    return canonical_id(text) or _DEFAULT_ACCOUNT
