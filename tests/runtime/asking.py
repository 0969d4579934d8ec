"""Turns that stand still while their agent uses the outbound API."""

from openclaw_channel_octo.host.base import Accepted, Final
from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.runtime.actions.actions import AgentActions
from openclaw_channel_octo.store.admin import JournalAdmin
from openclaw_channel_octo.store.audit import AuditEntry
from openclaw_channel_octo.testing.host import HANG, ScriptedHost
from tests.runtime.rig import ANN, BEN, HELPER, Rig

CAT = "cat"


class Asked:
    """A turn that stands still while its agent looks things up."""

    def __init__(self, rig: Rig, host: ScriptedHost, outbound: AgentActions) -> None:
        self.rig = rig
        self.host = host
        self.outbound = outbound
        self.seen = len(rig.octo.calls)

    def calls(self) -> list[str]:
        """Return the names of the bot's calls since the turn began, without signs of life."""
        calls = self.rig.octo.calls[self.seen :]
        return [call.name for call in calls if call.name not in {"typing", "readReceipt"}]


async def ask(rig: Rig, who: str, where: ChannelRef | None = None, *, final: str = "done") -> Asked:
    """Let somebody start a turn; return what its agent can do. Released, it ends with ``final``."""
    if rig.running is None:
        await rig.start(rig.config(), ScriptedHost())
    assert isinstance(rig.host, ScriptedHost)
    rig.host.script(Accepted("r"), HANG, Final(final))
    count = len(rig.host.turns)
    await rig.mention("go", who=who, where=where)
    turn = await rig.host.wait_for_turns(count + 1)
    return Asked(rig, rig.host, rig.channel.outbound(turn))


def audited(rig: Rig) -> list[AuditEntry]:
    return JournalAdmin(rig.state_dir / "octo.sqlite").audit()


def people_a_city(rig: Rig) -> None:
    """Add a group of Ann's, one of Ben's, and a stranger to both."""
    rig.octo.add_person(CAT, "Cat")
    rig.octo.add_group("g2", [ANN, CAT, HELPER], name="Design")
    rig.octo.add_group("g3", [BEN, CAT, HELPER], name="Design Review")
