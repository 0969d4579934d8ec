"""What all bots of a process use together."""

from msgspec import Struct

from openclaw_channel_octo.clock import Clock
from openclaw_channel_octo.host.base import AgentHost
from openclaw_channel_octo.rest.media_folder import MediaFolder
from openclaw_channel_octo.runtime.connection.transport import TransportFactory
from openclaw_channel_octo.runtime.delivery.outputs import Outputs
from openclaw_channel_octo.runtime.turn.guard import Sessions
from openclaw_channel_octo.runtime.turn.lanes import Lanes
from openclaw_channel_octo.runtime.turn.runs import Runs
from openclaw_channel_octo.session.route import Routing
from openclaw_channel_octo.store.journal import Journal

__all__ = ["ChannelContext"]


class ChannelContext(Struct, frozen=True, kw_only=True):
    """What all bots of a process use together.

    Attributes:
        host: runs turns.
        routing: which agent and session a conversation belongs to.
        host_timeout_s: the host's own run budget in seconds.
        journal: the record of messages.
        outputs: folders in which agents leave files for their answers.
        media: files that people send.
        outgoing: files of answers on their way.
        device_id: this installation's device id.
        lanes: one lane for each session key, whichever bot it came through.
        runs: runs under way.
        clock: time.
        open_transport: opens sockets.
    """

    host: AgentHost
    routing: Routing
    host_timeout_s: float
    journal: Journal
    outputs: Outputs
    media: MediaFolder
    outgoing: MediaFolder
    device_id: str
    lanes: Lanes
    runs: Runs
    clock: Clock
    open_transport: TransportFactory

    @property
    def sessions(self) -> Sessions:
        """The host's sessions as the guard sees them."""
        return Sessions(host=self.host, runs=self.runs, journal=self.journal, clock=self.clock)
