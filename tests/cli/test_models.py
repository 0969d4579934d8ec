"""Model endpoints behind the program as it is installed."""

from tests.programs import Start, stopped
from tests.runtime.rig import ANN, BEN, HELPER, Rig
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


async def test_a_model_acts_in_the_chat_for_who_asked_and_the_journal_knows(rig: Rig, start: Start) -> None:
    other = rig.octo.add_group("g2", [BEN, HELPER])
    rig.octo.add_group("g3", [ANN, HELPER])
    async with ModelServer().served() as model:
        model.calls = [
            ("message_groups", {}),
            ("message_members", {"group": "g2", "name": None}),
            ("message_send", {"target": "group:g2", "text": "from the model"}),
            ("message_read", {"target": "group:g2", "limit": "5"}),
            ("message_send", {"target": "group:g3", "text": "not for Ben"}),
            ("message_send", {"target": "group:g2", "words": "planted"}),
            ("message_shout", {}),
        ]
        process = await start(rig.config(agent=model.agent()))
        assert await rig.until_ended(await rig.mention("tell the others", who=BEN)) == ["answered"]
        await stopped(process)
    results = [message["content"] for message in model.asked[-1]["messages"] if message["role"] == "tool"]
    assert "g2" in results[0]
    assert "g3" not in results[0]
    assert BEN in results[1]
    assert "from the model" in results[3]
    assert results[4].startswith("error: ")
    assert results[5].startswith("error: words: ")
    assert "planted" not in results[5]
    assert results[6].startswith("error: there is no tool of this name, only message_send")
    assert rig.said(other) == ["from the model"]
    assert rig.said() == ["It works"]
    rows = rig.sql("SELECT action, outcome, run_id FROM audit ORDER BY id")
    assert [row[:2] for row in rows] == [
        ("groups", "done"),
        ("members", "done"),
        ("send", "done"),
        ("read", "done"),
        ("send", "denied"),
    ]
    assert len({run_id for _, _, run_id in rows}) == 1


async def test_what_a_model_sends_where_it_was_asked_is_a_part_of_its_answer(rig: Rig, start: Start) -> None:
    async with ModelServer().served() as model:
        model.calls = [("message_send", {"target": "group:g1", "text": "first"})]
        process = await start(rig.config(agent=model.agent()))
        assert await rig.until_ended(await rig.mention("go on")) == ["answered"]
        await stopped(process)
    assert rig.said() == ["first", "It works"]
