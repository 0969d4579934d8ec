from typing import Any

import pytest

from tests.config.conftest import TOKEN, Parse, Problems

OTHER = "bf_PLANTED0other0token"


def test_a_block_without_accounts_is_one_account_named_default(parse: Parse) -> None:
    accounts = parse({"botToken": TOKEN, "name": "Helper"}).config.accounts
    assert list(accounts) == ["default"]
    bot = accounts["default"]
    assert (bot.account_id, bot.name, bot.enabled) == ("default", "Helper", True)
    assert bot.token.get_secret_value() == TOKEN


def test_every_setting_has_the_default_of_the_design(parse: Parse) -> None:
    bot = parse({"botToken": TOKEN}).config.accounts["default"]
    assert bot.api_url == "http://localhost:8090/api"
    assert bot.ws_url is None
    assert (bot.require_mention, bot.reply_triggers, bot.silent_replies) == (True, True, "notify")
    assert bot.dispatch_timeout_ms is None
    assert (bot.max_turns, bot.lane_length, bot.reply_chunk, bot.max_reply_messages) == (8, 20, 3500, 10)
    assert (bot.guard.enabled, bot.guard.notice) == (True, "groups")
    assert bot.restart_notice == "⚠️ Previous session failed, restarting..."
    told = bot.texts.model_dump()
    assert told == told | {
        "failed": "⚠️ Something went wrong while I was working on that. Please try again.",
        "timeout": "⚠️ That took too long, so I stopped.",
        "empty": "⚠️ I finished, but had nothing to say.",
        "busy": "⏳ Still busy with earlier messages; I will not get to this one.",
        "cut_off": "⚠️ I was interrupted; the answer above may be incomplete.",
        "length_limit": "✂️ I reached the length limit of an answer before I was done.",
        "content_filter": "✂️ A content filter of my model ended this answer before I was done.",
        "file_failed": "⚠️ I could not send a file:",
        "left_out": "[…] %d characters of this answer are left out here.",
        "too_long": "⚠️ My answer got too long, so I stopped.",
        "part_refused": "⚠️ A part of my answer was not accepted by the chat.",
        "too_late": "⏳ I was away too long to answer earlier messages here. Please ask again if it still matters.",
        "third_failure": "⚠️ This conversation has failed %d times in a row. "
        "An operator can look with: openclaw-octo sessions show",
        "refused": "🔒 I may not answer you here. Please ask my owner to let you in.",
        "limited": "⏳ That is more than I can take in at once. Please write to me again in a minute.",
        "loop": "🔁 Another bot and I keep answering each other. I stop until a person writes here.",
        "pairing": "🔒 I do not know you yet. If my owner runs this within an hour, you can write to me here: "
        "openclaw-octo pairing approve %s",
        "paired": "✅ My owner has let you in: you can write to me here now.",
        "stopped": "⏹️ Stopped.",
        "restarting": "⚠️ Previous session failed, restarting...",
        "help_status": "/status – what this conversation's session is doing",
        "help_stop": "/stop – stop the answer being worked on",
        "help_reset": "/reset – begin a new conversation; I forget what was said here",
        "help_help": "/help – this list",
        "command_failed": "⚠️ That did not work. The operator's log says why.",
        "owner_only": "Only the bot's owner, or somebody they have named for it, may do that here.",
        "approve_elsewhere": "I cannot pass decisions on. Please decide in %s.",
        "reset": "🔄 New conversation. What was said before is forgotten.",
        "file_outside": "it is not in a folder I may send files from",
    }
    assert (bot.rate_limit.person_per_minute, bot.rate_limit.conversation_per_minute) == (30, 120)
    assert bot.bot_loop_protection.enabled


def test_an_accounts_value_wins_over_the_channels_which_wins_over_the_default(parse: Parse) -> None:
    octo = {
        "requireMention": False,
        "replyChunk": 1000,
        "accounts": {
            "a": {"botToken": TOKEN, "requireMention": True},
            "b": {"botToken": OTHER, "replyChunk": 2000},
        },
    }
    accounts = parse(octo).config.accounts
    assert (accounts["a"].require_mention, accounts["a"].reply_chunk) == (True, 1000)
    assert (accounts["b"].require_mention, accounts["b"].reply_chunk) == (False, 2000)
    assert accounts["b"].lane_length == 20


def test_guard_and_texts_are_merged_key_by_key(parse: Parse) -> None:
    octo = {
        "botToken": TOKEN,
        "guard": {"notice": "all", "noticeText": "again"},
        "texts": {"busy": "later"},
        "accounts": {"a": {"guard": {"noticeText": "once more"}, "texts": {"failed": "oops"}}},
    }
    bot = parse(octo).config.accounts["a"]
    assert (bot.guard.notice, bot.guard.notice_text, bot.guard.enabled) == ("all", "once more", True)
    assert (bot.texts.busy, bot.texts.failed) == ("later", "oops")


def test_an_accounts_null_takes_back_the_channels_socket_address(parse: Parse) -> None:
    octo = {"botToken": TOKEN, "wsUrl": "wss://im.example/ws", "accounts": {"a": {"wsUrl": None}}}
    assert parse(octo).config.accounts["a"].ws_url is None


@pytest.mark.parametrize(
    ("channel", "account", "off"),
    [
        (True, True, ()),
        (False, True, ("channels.octo.enabled",)),
        (True, False, ("channels.octo.accounts.a.enabled",)),
        (False, False, ("channels.octo.enabled", "channels.octo.accounts.a.enabled")),
    ],
)
def test_an_account_is_on_only_if_the_channel_and_the_account_are(
    parse: Parse, channel: bool, account: bool, off: tuple[str, ...]
) -> None:
    octo = {"enabled": channel, "accounts": {"a": {"enabled": account, "botToken": TOKEN}}}
    bot = parse(octo).config.accounts["a"]
    assert bot.enabled is (not off)
    assert bot.disabled_by == off


def test_the_single_account_without_a_map_is_switched_off_by_the_channel(parse: Parse) -> None:
    loaded = parse({"enabled": False, "botToken": TOKEN})
    assert loaded.config.accounts["default"].disabled_by == ("channels.octo.enabled",)
    assert loaded.warnings == ("channels.octo: no account is on: nothing would run",)


def test_a_single_account_may_use_the_channels_token(parse: Parse) -> None:
    bot = parse({"botToken": TOKEN, "accounts": {"a": {}}}).config.accounts["a"]
    assert bot.token.get_secret_value() == TOKEN


def test_with_several_accounts_the_channels_token_serves_none(problems: Problems) -> None:
    octo = {"botToken": TOKEN, "accounts": {"a": {"botToken": OTHER}, "b": {}}}
    (problem,) = problems(octo)
    assert problem == (
        "channels.octo.accounts.b.botToken: missing: with several accounts each needs its own; "
        "the channel's serves none of them"
    )


SPARE = 'channels.octo.botToken: serves no bot beside these accounts: to keep its bot, add it to them: "{}":'


@pytest.mark.parametrize(
    ("accounts", "warning"),
    [
        ({"a": {"botToken": TOKEN}, "b": {"botToken": OTHER}}, SPARE.format("default")),
        ({"a": {"botToken": TOKEN}}, SPARE.format("default")),
        ({"Default": {"botToken": TOKEN}}, SPARE.format("another")),
        ({"a": {}}, ""),  # it is this account's
        ({"a": {"botToken": "bf_spare"}}, ""),  # its bot is there
        ({}, ""),
    ],
)
def test_a_channel_token_that_serves_no_account_is_pointed_out_with_what_keeps_its_bot(
    parse: Parse, accounts: Any, warning: str
) -> None:
    told = parse({"botToken": "bf_spare", "accounts": accounts}).warnings
    assert [line[: len(warning)] for line in told] == ([warning] if warning else [])


def test_a_missing_token_is_named_where_it_belongs(problems: Problems) -> None:
    assert problems({}) == ("channels.octo.botToken: missing",)
    assert problems({"accounts": {"a": {}}}) == ("channels.octo.accounts.a.botToken: missing",)


def test_an_account_that_is_off_needs_no_token_and_fetches_none(parse: Parse) -> None:
    octo = {
        "accounts": {
            "on": {"botToken": TOKEN},
            "bare": {"enabled": False},
            "away": {"enabled": False, "botToken": {"source": "env", "id": "NOT_SET_ANYWHERE"}},
        }
    }
    accounts = parse(octo).config.accounts
    assert accounts["bare"].token.get_secret_value() == ""
    assert accounts["away"].token.get_secret_value() == ""
    assert accounts["away"].token_source == "environment variable NOT_SET_ANYWHERE"


def test_two_accounts_with_one_token_are_a_mistake(problems: Problems) -> None:
    octo = {"accounts": {"a": {"botToken": TOKEN}, "b": {"botToken": TOKEN}}}
    (problem,) = problems(octo)
    assert problem.startswith('channels.octo.accounts.b.botToken: the same token as account "a"')


def test_the_same_token_is_fine_where_the_other_account_is_off(parse: Parse) -> None:
    octo = {"accounts": {"a": {"botToken": TOKEN}, "b": {"botToken": TOKEN, "enabled": False}}}
    assert len(parse(octo).config.accounts) == 2


def test_mixed_case_ids_are_kept_in_lower_case(parse: Parse) -> None:
    accounts = parse({"accounts": {"MyBot_1": {"botToken": TOKEN}}}).config.accounts
    assert accounts["mybot_1"].account_id == "mybot_1"


def test_ids_that_differ_only_in_case_are_a_mistake(problems: Problems) -> None:
    octo = {"accounts": {"Bot": {"botToken": TOKEN}, "bot": {"botToken": OTHER}}}
    assert problems(octo) == (
        'channels.octo.accounts.bot: differs from "Bot" only in case; the two would be one account',
    )


def test_an_id_may_hold_a_hyphen_as_in_openclaw(parse: Parse) -> None:
    assert list(parse({"accounts": {"My-Bot_1": {"botToken": TOKEN}}}).config.accounts) == ["my-bot_1"]


@pytest.mark.parametrize("account_id", ["-a", "", "a b", "ä", "a\n", "a.b", "a" * 65])
def test_other_account_ids_are_refused(problems: Problems, account_id: str) -> None:
    (problem,) = problems({"accounts": {account_id: {"botToken": TOKEN}}})
    assert problem.endswith("account ids are at most 64 letters, digits, _ and -, no - first, no token")
    assert "\n" not in problem


def test_a_token_used_as_account_id_is_refused_and_not_repeated(problems: Problems) -> None:
    token = "bf_0123456789abcdef0123456789abcdef"
    (problem,) = problems({"accounts": {token: {"botToken": TOKEN}}})
    assert token not in problem
    assert "no token" in problem


def test_an_empty_map_of_accounts_means_the_single_account(parse: Parse) -> None:
    assert list(parse({"botToken": TOKEN, "accounts": {}}).config.accounts) == ["default"]


@pytest.mark.parametrize("accounts", [[], None, "x"])
def test_accounts_that_hold_no_account_are_a_mistake(problems: Problems, accounts: Any) -> None:
    (problem,) = problems({"botToken": TOKEN, "accounts": accounts})
    assert problem.startswith("channels.octo.accounts: ")


def test_an_account_that_is_no_object_is_a_mistake(problems: Problems) -> None:
    assert problems({"accounts": {"a": TOKEN}}) == ("channels.octo.accounts.a: must be an object: { … }",)


@pytest.mark.parametrize(
    "key",
    [
        "botTasks",
        "botUid",
        "cardDisplay",
        "cardInteraction",
        "cardProgress",
        "defaultAccount",
        "docTaskProgress",
        "docTasks",
        "docsApiUrl",
        "docsCliPath",
        "eventWaitSeconds",
        "heartbeatIntervalMs",
        "historyPromptTemplate",
        "onBehalfOf",
        "pollIntervalMs",
        "reasoningCardTemplateMode",
        "secretsFileRoot",
    ],
)
def test_a_key_of_the_reference_without_effect_here_gives_one_warning_for_each_place(
    parse: Parse, key: str
) -> None:
    loaded = parse({"botToken": TOKEN, key: {"any": "thing"}, "accounts": {"a": {key: 1}}})
    assert loaded.warnings == (
        f"channels.octo.{key}: known, but without effect here",
        f"channels.octo.accounts.a.{key}: known, but without effect here",
    )


@pytest.mark.parametrize(
    ("block", "problem"),
    [
        ({"requireMentoin": 1}, "requireMentoin: unknown key; did you mean requireMention?"),
        ({"require_mention": True}, "require_mention: unknown key; did you mean requireMention?"),
        ({"RequireMention": True}, "RequireMention: unknown key; did you mean requireMention?"),
        ({"bot_token": "x"}, "bot_token: unknown key; did you mean botToken?"),
        ({"historyLimt": 3}, "historyLimt: unknown key; did you mean historyLimit?"),
        ({"guard": {"noticText": "x"}}, "guard.noticText: unknown key; did you mean noticeText?"),
        ({"guard": {"botTokn": "x"}}, "guard.botTokn: unknown key; known here: enabled, notice, noticeText"),
        ({"texts": {"thirdfailure": "x"}}, "texts.thirdfailure: unknown key; did you mean thirdFailure?"),
        ({"noticeText": "x"}, "noticeText: unknown key; not here, but at channels.octo.guard.noticeText"),
        ({"timeoutSeconds": 5}, "timeoutSeconds: unknown key; not here, but at host.timeoutSeconds"),
        ({"a b": 1}, "'a b': unknown key; known here: "),
        ({"enabled": "true"}, "enabled: must be true or false"),
        ({"requireMention": None}, "requireMention: must be true or false"),
        ({"name": 5}, "name: must be a string"),
        ({"silentReplies": "Notify"}, "silentReplies: must be 'notify' or 'allow', spelt exactly so"),
        ({"guard": {"notice": "ALL"}}, "guard.notice: must be 'groups', 'all' or 'never', spelt exactly so"),
        ({"guard": True}, "guard: must be an object: { … }"),
        ({"texts": {"failed": "  "}}, "texts.failed: must not be blank: people would see nothing"),
        ({"texts": {"busy": "x" * 2001}}, "texts.busy: must have at most 2000 characters"),
        ({"dispatchTimeoutMs": 999}, "dispatchTimeoutMs: must be at least 1000"),
        ({"dispatchTimeoutMs": 10**12}, "dispatchTimeoutMs: must be at most 2147483000"),
        ({"dispatchTimeoutMs": 1000.5}, "dispatchTimeoutMs: must be a whole number"),
        ({"dispatchTimeoutMs": True}, "dispatchTimeoutMs: must be a whole number"),
        ({"maxTurns": 0}, "maxTurns: must be at least 1"),
        ({"laneLength": "20"}, "laneLength: must be a whole number"),
        ({"replyChunk": 20_001}, "replyChunk: must be at most 20000"),
        ({"maxReplyMessages": 0}, "maxReplyMessages: must be at least 1"),
        (
            {"texts": {"leftOut": "some"}},
            "texts.leftOut: must contain %d, the number of characters, exactly once and no other %",
        ),
        ({"apiUrl": "octo.example"}, "apiUrl: must be a URL that begins with http:// or https://"),
        ({"apiUrl": "http://"}, "apiUrl: must be a URL that begins with http:// or https://"),
        ({"apiUrl": "http://ho st"}, "apiUrl: must be a URL that begins with http:// or https://"),
        ({"apiUrl": "http://[x"}, "apiUrl: must be a URL that begins with http:// or https://"),
        (
            {"apiUrl": "https://octo..example/api"},
            "apiUrl: must be a URL that begins with http:// or https://",
        ),
        (
            {"apiUrl": f"https://{'o' * 64}.example"},
            "apiUrl: must be a URL that begins with http:// or https://",
        ),
        (
            {"cdnUrl": "https://octo.example:99999"},
            "cdnUrl: must be a URL that begins with http:// or https://",
        ),
        ({"apiUrl": f"http://{TOKEN}@x\u2100"}, "apiUrl: must be a URL that begins with http://"),
        ({"apiUrl": "https://me:pw@octo.example"}, "apiUrl: must carry no user name, password or fragment"),
        ({"apiUrl": "https://octo.example/?a=1"}, "apiUrl: must carry no query"),
        ({"wsUrl": "wss://.octo.example"}, "wsUrl: must be a URL that begins with ws:// or wss://"),
        ({"wsUrl": "http://octo.example"}, "wsUrl: must be a URL that begins with ws:// or wss://"),
    ],
)
def test_a_mistake_names_its_path_and_what_is_allowed(
    problems: Problems, block: dict[str, Any], problem: str
) -> None:
    (at_channel,) = problems({"botToken": TOKEN, **block})
    (at_account,) = problems({"accounts": {"a": {"botToken": TOKEN, **block}}})
    assert at_channel.startswith(f"channels.octo.{problem}")
    assert at_account.startswith(f"channels.octo.accounts.a.{problem}")


@pytest.mark.parametrize("text", ["no count", "%d of %d", "%s", "100% sure, %d", "%d%%", "% d"])
def test_the_third_failure_text_counts_exactly_once(problems: Problems, text: str) -> None:
    (problem,) = problems({"botToken": TOKEN, "texts": {"thirdFailure": text}})
    assert problem.startswith("channels.octo.texts.thirdFailure: must contain %d")


def test_a_url_loses_its_trailing_slash(parse: Parse) -> None:
    bot = parse({"botToken": TOKEN, "apiUrl": "https://octo.example/api/"}).config.accounts["default"]
    assert bot.api_url == "https://octo.example/api"


def test_the_same_mistake_in_the_channel_is_told_once_however_many_accounts_there_are(
    problems: Problems,
) -> None:
    octo = {"laneLength": 0, "accounts": {"a": {"botToken": TOKEN}, "b": {"botToken": OTHER}}}
    assert problems(octo) == ("channels.octo.laneLength: must be at least 1",)


@pytest.mark.parametrize("token", ["bf_0123", "app_0123"])
def test_both_kinds_of_bot_token_pass_without_a_word(parse: Parse, token: str) -> None:
    assert parse({"botToken": token}).warnings == ()


def test_a_token_of_another_form_gives_a_warning(parse: Parse) -> None:
    (warning,) = parse({"botToken": "legacy-PLANTED"}).warnings
    assert warning.startswith("channels.octo.botToken: begins with neither bf_ nor app_")
    assert "PLANTED" not in warning


def test_a_users_api_key_is_refused_by_name(problems: Problems) -> None:
    (problem,) = problems({"botToken": "uk_PLANTED"})
    assert problem.startswith("channels.octo.botToken: is a user's API key (uk_…), not a bot's token")
    assert "PLANTED" not in problem


def test_an_account_may_not_nest_accounts(problems: Problems) -> None:
    (problem,) = problems({"accounts": {"a": {"botToken": TOKEN, "accounts": {}}}})
    words = "unknown key; not here, but at channels.octo.accounts"
    assert problem == f"channels.octo.accounts.a.accounts: {words}"


GONE = {"source": "env", "id": "GONE"}


@pytest.mark.parametrize(
    "token",
    [
        GONE,
        "${GONE}",
        "$GONE",
        "bf_${GONE}",
        {"source": "file", "id": "gone"},
        {"source": "file", "id": "${GONE}/x"},
    ],
)
def test_an_account_whose_token_cannot_be_read_leaves_the_others_running(parse: Parse, token: Any) -> None:
    loaded = parse({"accounts": {"good": {"botToken": TOKEN}, "bad": {"botToken": token}}})
    good, bad = (loaded.config.accounts[name] for name in ("good", "bad"))
    assert (good.token.get_secret_value(), good.token_problem) == (TOKEN, "")
    assert (bad.enabled, bad.token.get_secret_value()) == (True, "")
    assert loaded.unreadable == (bad.token_problem,)
    assert bad.token_problem.startswith("channels.octo.accounts.bad.botToken: the ")


def test_where_no_account_can_be_used_the_configuration_is_wrong_and_a_mistake_of_form_always_is(
    problems: Problems,
) -> None:
    both = {"accounts": {"a": {"botToken": GONE}, "off": {"enabled": False, "botToken": GONE}}}
    assert problems(both) == ("channels.octo.accounts.a.botToken: the environment variable GONE is not set",)
    form = {"accounts": {"good": {"botToken": TOKEN}, "a": {"botToken": GONE}, "b": {"botToken": 5}}}
    assert [line.split(":")[0] for line in problems(form)] == [
        "channels.octo.accounts.b.botToken",
        "channels.octo.accounts.a.botToken",
    ]


@pytest.mark.parametrize(
    ("written", "mode"),
    [
        ("off", "off"),
        ("progress", "progress"),
        ("text", "text"),
        ("partial", "text"),
        ("block", "text"),
        (False, "off"),
        (True, "progress"),
        ({"mode": "partial"}, "text"),
        ({"tools": ["exec"]}, None),
    ],
)
def test_streaming_is_read_as_openclaw_spells_it(parse: Parse, written: object, mode: str | None) -> None:
    assert parse({"botToken": TOKEN, "streaming": written}).config.accounts["default"].streaming.mode == mode


def test_an_accounts_streaming_is_merged_with_the_channels(parse: Parse) -> None:
    octo = {
        "streaming": {"afterSeconds": 60, "block": {"enabled": True}},
        "accounts": {"a": {"botToken": TOKEN, "streaming": "text"}},
    }
    loaded = parse(octo)
    streaming = loaded.config.accounts["a"].streaming
    assert (streaming.mode, streaming.after_seconds) == ("text", 60)
    assert loaded.warnings == ("channels.octo.streaming.block: known, but without effect here",)


@pytest.mark.parametrize("written", ["al", ["", "exec"], 3, {"exec": True}])
def test_tools_that_streaming_cannot_show_are_one_mistake(problems: Problems, written: object) -> None:
    assert problems({"botToken": TOKEN, "streaming": {"tools": written}}) == (
        "channels.octo.streaming.tools: must be 'all', 'none' or a list of tool names",
    )


def test_a_mode_of_streaming_that_there_is_not_is_a_mistake(problems: Problems) -> None:
    (problem,) = problems({"botToken": TOKEN, "streaming": "loud"})
    assert problem.startswith("channels.octo.streaming.mode")
