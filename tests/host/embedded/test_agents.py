"""The echo agent and the cleaning of names."""

from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from openclaw_channel_octo.host.embedded.agents import (
    Agent,
    EchoAgent,
    Prompt,
    one_line,
    without_quotes,
    without_secrets,
)


async def test_the_echo_answers_with_the_request() -> None:
    agent: Agent = EchoAgent()
    prompt = Prompt(text="你好", session_key="k", session_id="s", run_id="r", context="earlier talk")
    assert [piece async for piece in agent.reply(prompt)] == ["你好"]


def test_a_line_holds_no_breaks_controls_or_surrogates_and_ends_at_the_limit() -> None:
    assert one_line("a\r\n b\0\x1b[31m\ud800\u2028c  d", 100) == "a b [31m c d"
    assert one_line("abcdef", 3) == "abc"


def test_what_was_said_is_taken_out_of_an_error_in_whole_in_part_and_escaped() -> None:
    said = ["please look at\nthe blue whale", "四十二只企鹅"]
    assert without_quotes("cannot do 'please look at the blue whale'", said) == "cannot do '[…]'"
    assert without_quotes("k at the blue wh: no", said) == "[…]: no"
    assert without_quotes("bad request: 二只企鹅!", said) == "bad request: […]!"
    assert without_quotes(r"body \u56db\u5341\u4e8c\u53ea\u4f01\u9e45!", said) == "body[…]!"
    assert without_quotes("the model failed", said) == "the model failed"


@given(st.text(), st.lists(st.text()))
def test_an_error_that_quotes_nothing_stays_as_it_is(error: str, said: list[str]) -> None:
    assert without_quotes(error, []) == error
    assert len(without_quotes(error, said)) <= len(error)


def test_secrets_are_taken_out_the_longest_first_and_short_values_left() -> None:
    secrets = [SecretStr("secret"), SecretStr("secret-and-more"), SecretStr("a"), SecretStr("")]
    assert without_secrets("a secret-and-more, a secret", secrets) == "a ***, a ***"
