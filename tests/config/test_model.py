from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from openclaw_channel_octo.config.model import (
    BotConfig,
    CommandAgentConfig,
    EmbeddedHostConfig,
    OctoConfig,
    OpenAIAgentConfig,
)


def test_a_host_builds_the_configuration_in_python_by_python_names(tmp_path: Path) -> None:
    host = EmbeddedHostConfig(state_dir=tmp_path, agent=CommandAgentConfig(command=("agent",)))
    bot = BotConfig(account_id="a", token=SecretStr("bf_x"), require_mention=False)
    config = OctoConfig(host=host, accounts={"a": bot})
    assert config.accounts["a"].enabled
    assert config.host == host
    assert host.agent == CommandAgentConfig(command=("agent",))


def test_no_secret_stands_in_the_repr_of_a_model(tmp_path: Path) -> None:
    command = CommandAgentConfig(command=("agent", "--key=PLANTED1"), env={"KEY": "PLANTED2"})
    openai = OpenAIAgentConfig(base_url="http://h", model="m", api_key=SecretStr("PLANTED3"))
    bot = BotConfig(account_id="a", token=SecretStr("PLANTED4"))
    for agent in (command, openai):
        host = EmbeddedHostConfig(state_dir=tmp_path, agent=agent)
        config = OctoConfig(host=host, accounts={"a": bot})
        assert "PLANTED" not in repr(config) + str(config)


def test_an_error_of_a_model_does_not_repeat_what_it_was_given() -> None:
    with pytest.raises(ValidationError) as caught:
        BotConfig.model_validate({"accountId": "a", "token": ["PLANTED"], "apiUrl": "PLANTED"})
    assert "PLANTED" not in str(caught.value)
