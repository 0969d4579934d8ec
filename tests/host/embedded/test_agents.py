"""The echo agent and the cleaning of names."""

from openclaw_channel_octo.host.embedded.agents import Agent, EchoAgent, Prompt, one_line


async def test_the_echo_answers_with_the_request() -> None:
    agent: Agent = EchoAgent()
    prompt = Prompt(text="你好", session_key="k", session_id="s", run_id="r", context="earlier talk")
    assert [piece async for piece in agent.reply(prompt)] == ["你好"]


def test_a_line_holds_no_breaks_controls_or_surrogates_and_ends_at_the_limit() -> None:
    assert one_line("a\r\n b\0\x1b[31m\ud800\u2028c  d", 100) == "a b [31m c d"
    assert one_line("abcdef", 3) == "abc"
