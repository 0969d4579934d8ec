import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_channel_octo.config.diagnostics import Findings, is_token, join

TOKEN = "bf_0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize("prefix", ["bf_", "app_", "uk_", "BF_"])
def test_the_three_kinds_of_key_are_recognised(prefix: str) -> None:
    assert is_token(f"x {prefix}0123456789abcdef0123456789abcdef")
    assert is_token(f"令牌x{prefix}0123456789abcdef0123456789abcdef无效")


@pytest.mark.parametrize("text", ["bf_", "app_translator", "my_bf_bot", "/run/secrets/octo"])
def test_ordinary_names_are_no_tokens(text: str) -> None:
    assert not is_token(text)


def test_a_token_that_slips_into_a_line_is_hidden() -> None:
    findings = Findings()
    findings.unknown("channels.octo", TOKEN, ["enabled"])
    findings.warn(TOKEN, "odd")
    assert findings.problems == ["channels.octo.[hidden]: unknown key; known here: enabled"]
    assert findings.warnings == ["[hidden]: odd"]


@given(st.text())
def test_a_path_is_one_line_whatever_the_key(key: str) -> None:
    assert len(join("channels", key).splitlines()) == 1
