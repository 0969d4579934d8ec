"""Model endpoints behind the program as it is installed."""

from tests.programs import Start, stopped
from tests.runtime.rig import Rig
from tests.runtime.turn.model_server import ModelServer


async def test_a_conversation_that_outgrew_the_model_goes_on_without_reset(rig: Rig, start: Start) -> None:
    async with ModelServer().served() as model:
        process = await start(rig.config(agent=model.agent(), historyLimit=0))
        ids = [await rig.mention(f"{number} {'x' * 100}") for number in range(4)]
        assert {*await rig.until_ended(*ids)} == {"answered"}
        model.most = 350
        assert await rig.until_ended(await rig.mention("and now?")) == ["answered"]
        assert await rig.until_ended(await rig.mention("y" * 1000)) == ["notified"]
        assert await rig.until_ended(await rig.mention("still there?")) == ["answered"]
        assert "y" * 1000 in str(model.asked)
        model.most = 1_000_000
        assert await rig.until_ended(await rig.mention("good")) == ["answered"]
        log = await stopped(process)
    assert "earlier messages" in log
    assert "still there?" in str(model.asked[-1])
    assert "y" * 1000 not in str(model.asked[-1])
    assert rig.said()[-1] == "It works"
