"""How a run ended, read from what the gateway says about it (openclaw-host §4.4, §4.6)."""

import re
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any

from openclaw_channel_octo.host.base import Failed, Final, MediaItem, Skipped
from openclaw_channel_octo.host.fields import mapping, text, texts_of
from openclaw_channel_octo.host.gateway.frames import Response
from openclaw_channel_octo.session.status import Status

__all__ = [
    "End",
    "Hitch",
    "end_of",
    "end_of_event",
    "end_of_wait",
    "hitch_of",
    "judge",
    "message_text",
    "resumed",
    "started",
    "words_of",
]

End = Final | Failed | Skipped

STARTED = frozenset({"accepted", "in_flight", "started", "pending"})
_NOT_YET = re.compile(
    r"SESSION_WORK_START_|while starting (?:expected )?work\. Retry|still initializing\. Retry"
    r"|changed before expected work could start"
)
"""In the words about a run that did not begin because its session is changed or recovered (openclaw-host §1.8)."""
_DEAD = re.compile(
    r"SESSION_RESTART_RECOVERY_TOMBSTONE|ended during restart recovery|restart recovery exhaustion"
    r"|SessionWriteLockTimeoutError|session file locked"
)
"""In the words about a session no run can begin in: given up after restarts, or locked by a run that ended early."""
_SPOILED = re.compile(r"EmbeddedAttemptSessionTakeoverError|session file changed while")
"""In the words about a run whose session a run before it still wrote to; 2026.5.22 only."""
_LANE_TIMEOUT = "CommandLaneTaskTimeoutError"
"""In the words about a run that did not end when its budget did."""
_CALLED_ON = "[System] Your previous turn was interrupted"
"""In what a restarted gateway tells the agent of a run it takes up; 2026.5.22 and 2026.9.6."""
_LENGTH = frozenset({"length", "max_tokens"})
_CLOCK_SLACK_MS = 2_000


class Hitch(StrEnum):
    """Why a gateway did not run what it was asked, where that is no end."""

    NOT_YET = "not yet"
    """The session is recovered, or another way at work: it takes the run a little later."""
    SPOILED = "spoiled"
    """A run before it was still at work in the session, and this one broke over it."""
    DEAD = "dead"
    """The session takes no run any more."""


def hitch_of(answer: Response) -> Hitch | None:
    """Return why an answer to ``agent`` is no end of the run, ``None`` where it is one.

    Releases up to 2026.9.6 tell these by their words only.
    """
    words = words_of(answer)
    if text(answer.payload.get("status")) == "ok":
        return None
    if _DEAD.search(words):
        return Hitch.DEAD
    if _SPOILED.search(words):
        return Hitch.SPOILED
    if _NOT_YET.search(words) or (answer.fault is not None and answer.fault.retryable):
        return Hitch.NOT_YET
    return None


def words_of(answer: Response) -> str:
    """Return what an answer to ``agent`` says about its end, for the operator."""
    return text(answer.payload.get("summary")) or (answer.fault.message if answer.fault else "")


def started(answer: Response) -> bool:
    """Return whether an answer to ``agent`` only says that the run is under way."""
    return answer.fault is None and text(answer.payload.get("status")) in STARTED


def end_of(answer: Response, *, aborted: bool) -> End:
    """Return the end an answer to ``agent`` tells.

    Only a run that ended well has an answer in its payloads: 2026.5.22 repeats the session's previous answer in those
    of a run that timed out.

    Args:
        answer: the last answer.
        aborted: whether the run's abort was asked for, by us or somebody else.
    """
    status, words = text(answer.payload.get("status")), words_of(answer)
    if aborted:
        return Failed(Status.KILLED, "the run was aborted")
    match status:
        case "ok":
            return _final(mapping(answer.payload.get("result")), answer.payload)
        case "timeout" if (
            text(answer.payload.get("stopReason")) == "rpc" and "timeoutPhase" not in answer.payload
        ):
            return Failed(Status.KILLED, "somebody aborted the run")
        case "timeout":
            return Failed(Status.TIMEOUT, "the gateway ended the run: it took too long")
        case "":
            return _not_started(answer)
        case _ if _LANE_TIMEOUT in words:
            return Failed(Status.TIMEOUT, "the gateway ended the run: it took too long")
        case _:
            return Failed(Status.FAILED, _told(mapping(answer.payload.get("result"))) or words)


def end_of_wait(payload: Mapping[str, Any]) -> End | None:
    """Return the end that an answer to ``agent.wait`` tells, ``None`` when it tells none or not its text.

    ``timeout`` without an end time is the wait's own, or that of a run nobody knows (openclaw-host §4.6).
    """
    status, reply = text(payload.get("status")), mapping(payload.get("terminalReply"))
    match status:
        case "ok" if text(reply.get("disposition")) in {"visible", "empty"}:
            return Final(text(reply.get("text")), cut=_is_cut(payload))
        case "error" if text(payload.get("stopReason")) == "rpc":
            return Failed(Status.KILLED, "somebody aborted the run")
        case "error":
            return Failed(Status.FAILED, text(payload.get("error")) or "the run failed")
        case "timeout" if payload.get("endedAt") is not None:
            return Failed(Status.TIMEOUT, "the gateway ended the run: it took too long")
        case _:
            return None


def end_of_event(payload: Mapping[str, Any]) -> End:
    """Return the end that a ``chat`` event in the state ``final``, ``error`` or ``aborted`` tells."""
    match text(payload.get("state")):
        case "aborted":
            return Failed(Status.KILLED, "somebody aborted the run")
        case "error" if text(payload.get("errorKind")) == "timeout":
            return Failed(Status.TIMEOUT, "the gateway ended the run: it took too long")
        case "error":
            return Failed(Status.FAILED, text(payload.get("errorMessage")) or "the run failed")
        case _:
            return Final(message_text(mapping(payload.get("message"))), cut=_is_cut(payload))


def tool_of(payload: Mapping[str, Any]) -> str:
    """Return the name of the tool whose use an ``agent`` event tells the beginning of, empty for every other event.

    Gateways tell it to everybody who may read, without what the tool is called with (openclaw-host §4.5).
    """
    data = mapping(payload.get("data"))
    begins = payload.get("stream") == "item" and data.get("kind") == "tool" and data.get("phase") == "start"
    return text(data.get("name")) if begins else ""


def judge(messages: Sequence[Any], *, run_id: str, question: str, since_ms: int) -> str | None:
    """Return the answer behind a run's question in a session's history (openclaw-host §4.7).

    ``None`` where the question does not stand there, empty where nothing stands behind it.

    Args:
        messages: the history, oldest first.
        run_id: the run; runs that took its place have ids that begin with it and a dot.
        question: what was asked; releases before 2026.7 keep no run id with it.
        since_ms: when it was asked, Unix milliseconds.
    """
    rows = [mapping(message) for message in messages]
    asked = [at for at, row in enumerate(rows) if _asks(row, run_id, question, since_ms)]
    if not asked:
        return None
    answer = ""
    for row in rows[asked[-1] + 1 :]:
        if text(row.get("role")) == "user" and "[System] " not in message_text(row):
            break  # not the gateway's own call to go on after a restart
        if text(row.get("role")) == "assistant" and text(row.get("stopReason")) in {"", "stop", "length"}:
            answer = message_text(row) or answer
    return answer


def resumed(messages: Sequence[Any]) -> Mapping[str, Sequence[str]]:
    """Return what runs said that a gateway took up by itself after a restart, from a session's history.

    By the id of the run that was asked for, empty where the release keeps none. One that has said nothing yet is there
    with nothing.

    Args:
        messages: the history, oldest first.
    """
    said: dict[str, list[str]] = {}
    run_id, is_taken_up = "", False
    for row in map(mapping, messages):
        if text(row.get("role")) == "user":
            is_taken_up = _CALLED_ON in message_text(row)
            if is_taken_up:
                said.setdefault(run_id, [])
            else:
                run_id = _key_of(row).removesuffix(":user").partition(".")[0]
        elif is_taken_up and text(row.get("role")) == "assistant" and (words := message_text(row)):
            said[run_id].append(words)
    return said


def message_text(message: Mapping[str, Any]) -> str:
    """Return the text of a message, whose content is a string or a list of blocks."""
    return "".join(texts_of(message.get("content"))).strip()


def _asks(row: Mapping[str, Any], run_id: str, question: str, since_ms: int) -> bool:
    if text(row.get("role")) != "user":
        return False
    if key := _key_of(row):
        return key == f"{run_id}:user" or (key.startswith(f"{run_id}.") and key.endswith(":user"))
    at = row.get("timestamp")
    recent = isinstance(at, (int, float)) and at >= since_ms - _CLOCK_SLACK_MS
    return recent and question.strip() in message_text(row)


def _key_of(row: Mapping[str, Any]) -> str:
    return text(row.get("idempotencyKey")) or text(mapping(row.get("__openclaw")).get("idempotencyKey"))


def _is_cut(*told: Mapping[str, Any]) -> bool:
    """Return whether one of these says that a length limit of the model ended the answer."""
    return any(text(one.get("stopReason")) in _LENGTH for one in told)


def _final(result: Mapping[str, Any], payload: Mapping[str, Any]) -> End:
    payloads = list(_payloads(result))
    good = [payload for payload in payloads if payload.get("isError") is not True]
    if payloads and not good:
        return Failed(Status.FAILED, _told(result))
    said = [text(payload.get("text")).strip() for payload in good if payload.get("isReasoning") is not True]
    links = dict.fromkeys(url for payload in good for url in _links(payload))
    media = tuple(MediaItem(kind="file", url=url) for url in links)
    meta = mapping(result.get("meta"))
    cut = _is_cut(payload, meta, mapping(meta.get("agentMeta")))
    return Final("\n\n".join(part for part in said if part), media, cut=cut)


def _payloads(result: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    payloads = result.get("payloads")
    return (mapping(payload) for payload in payloads) if isinstance(payloads, list) else iter(())


def _links(payload: Mapping[str, Any]) -> Iterator[str]:
    """Yield the files of a payload; a path is one of the gateway's machine, which may be this one."""
    several = payload.get("mediaUrls")
    for url in (payload.get("mediaUrl"), *(several if isinstance(several, list) else ())):
        if text(url).strip():
            yield text(url)


def _told(result: Mapping[str, Any]) -> str:
    return " ".join(
        text(payload.get("text")) for payload in _payloads(result) if payload.get("isError") is True
    )


def _not_started(answer: Response) -> End:
    fault = answer.fault
    if fault is None:
        return Failed(Status.FAILED, "the gateway's answer tells no end")
    if fault.code == "UNAVAILABLE":
        return Skipped(fault.message or fault.reason)
    return Failed(Status.FAILED, str(fault.error("agent")))
