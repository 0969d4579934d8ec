"""Captures: what is read from real, cut and false ones, and what is written."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_channel_octo.capture import format as capture_format
from openclaw_channel_octo.capture.format import (
    ApiCall,
    Capture,
    FromServer,
    OtherRecord,
    Record,
    SocketControl,
    ToServer,
    read_capture,
    write_capture,
)
from openclaw_channel_octo.capture.header import CaptureHeader, ClientInfo, Label
from openclaw_channel_octo.errors import CaptureError

FIXTURES = sorted((Path(__file__).parents[2] / "fixtures" / "wukongim").glob("*.wkcap"))
CONNECT_HEADER = 0x10
SMALL = [path for path in FIXTURES if path.stat().st_size < 10_000]


def written(tmp_path: Path, *objects: Any) -> Path:
    path = tmp_path / "some.wkcap"
    path.write_bytes(b"".join(msgpack.packb(item) for item in objects))
    return path


def header(**values: Any) -> dict[str, Any]:
    return {"format": "wkcap", "version": 1, "protocol": "wukongim-binary", **values}


def raw_objects(path: Path) -> Iterator[tuple[int, Any]]:
    """Yield where each object of a file ends, and the object."""
    unpacker = msgpack.Unpacker(max_buffer_size=0)
    unpacker.feed(path.read_bytes())
    for item in unpacker:
        yield unpacker.tell(), item


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_every_real_capture_reads_to_its_end(path: Path) -> None:
    capture = read_capture(path, for_replay=True)

    assert not capture.torn
    assert len(capture.records) == sum(1 for _ in raw_objects(path)) - 1
    opens = [r for r in capture.records if isinstance(r, SocketControl) and r.event == "open"]
    assert len(capture.header.client_private_keys) == len(opens)
    assert capture.header.server.version == "v2.2.4-20260313"
    assert capture.header.account.robot_id == capture.header.client.uid
    sent = [r.data for r in capture.records if isinstance(r, ToServer) and isinstance(r.data, bytes)]
    assert all(b"\x00\x05TOKEN" in data for data in sent if data[0] == CONNECT_HEADER)


def test_records_come_by_what_they_are() -> None:
    by_name = {path.stem: path for path in FIXTURES}

    capture = read_capture(by_name["kicked-by-register"])

    kinds = [type(record) for record in capture.records[:5]]
    assert kinds == [SocketControl, ToServer, FromServer, ApiCall, FromServer]
    call = capture.records[3]
    assert isinstance(call, ApiCall)
    assert (call.api, call.method, call.path, call.status) == ("imapi", "POST", "/user/token", 200)
    assert call.body["token"] == "TOKEN"
    assert capture.records[-1] == SocketControl(
        at_us=16_089_446, event="close", details={"code": 1006, "reason": ""}
    )
    label = capture.header.labels["900d0ab8b6ba8a9268ef758f00dadac5"]
    assert (label.addressed, label.text) == (True, "back?")


@pytest.mark.parametrize("path", SMALL, ids=lambda path: path.stem)
def test_a_file_cut_anywhere_yields_every_whole_record(path: Path, tmp_path: Path) -> None:
    data = path.read_bytes()
    ends = [end for end, _ in raw_objects(path)]
    whole = read_capture(path).records
    cut = tmp_path / "cut.wkcap"
    places = {end + shift for end in ends for shift in (-1, 0, 1, 2, 5)} | set(range(ends[0], len(data), 97))

    for place in sorted(p for p in places if ends[0] <= p <= len(data)):
        cut.write_bytes(data[:place])
        capture = read_capture(cut)
        complete = sum(end <= place for end in ends) - 1
        assert capture.records == whole[:complete]
        assert capture.torn == (place not in ends)


def test_a_large_file_cut_inside_its_largest_packet_keeps_the_packets_before_it(tmp_path: Path) -> None:
    path = next(path for path in FIXTURES if path.stem == "large-messages")
    cut = tmp_path / "cut.wkcap"
    cut.write_bytes(path.read_bytes()[:1_500_000])

    capture = read_capture(cut)

    assert capture.torn
    assert capture.records == read_capture(path).records[: len(capture.records)]
    assert len(capture.records) >= 9


@pytest.mark.parametrize("size", [0, 1, 40, 300])
def test_a_file_cut_inside_its_header_is_no_capture(size: int, tmp_path: Path) -> None:
    path = tmp_path / "cut.wkcap"
    path.write_bytes(SMALL[0].read_bytes()[:size])

    with pytest.raises(
        CaptureError, match=r"^cut\.wkcap is no capture: it ends before its header is complete$"
    ):
        read_capture(path)


@pytest.mark.parametrize(
    "content",
    [
        b"\xc1\xc1\xc1",
        b"not a capture",
        b"\x93\x01\x02\x03",
        b"\xc4\xff",
        b"PK\x03\x04" + b"\x00" * 64,
        b"\xa3\xff\xff\xff",
    ],
    ids=["reserved byte", "text", "array", "cut binary", "zip", "bad utf-8"],
)
def test_a_file_of_something_else_is_no_capture(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "some.wkcap"
    path.write_bytes(content)

    with pytest.raises(CaptureError, match=r"^some\.wkcap is no capture: ") as caught:
        read_capture(path)

    assert "\n" not in str(caught.value)


@given(st.binary(max_size=200))
def test_garbage_never_raises_anything_but_a_capture_error(data: bytes) -> None:
    magic = msgpack.packb(header())

    for content in (data, magic + data):
        try:
            found = capture_format._read(io.BytesIO(content), "garbage", for_replay=False)
        except CaptureError:
            continue
        assert found.header.version == 1


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"version": 2}, "some.wkcap is a capture of version 2; this package reads version 1"),
        (
            {"version": "x" * 90},
            "some.wkcap is a capture of version 'xxxxxxxxxxxxxxxxxxx; this package reads version 1",
        ),
        ({"proto_version": "five"}, "the header of some.wkcap is wrong at proto_version: "),
        (
            {"labels": {"no": {"addressed": "maybe"}}},
            "the header of some.wkcap is wrong at labels.no.addressed: ",
        ),
        ({"client_private_keys": [b"short"]}, "the header of some.wkcap is wrong at client_private_keys: "),
    ],
)
def test_a_wrong_header_is_named_in_one_line(values: dict[str, Any], complaint: str, tmp_path: Path) -> None:
    with pytest.raises(CaptureError) as caught:
        read_capture(written(tmp_path, header(**values)))

    assert str(caught.value).startswith(complaint)
    assert "\n" not in str(caught.value)
    assert "short" not in str(caught.value)


def test_unknown_header_keys_are_kept(tmp_path: Path) -> None:
    capture = read_capture(written(tmp_path, header(recorder="2.0", client={"uid": "b", "shoe_size": 44})))

    assert capture.header.model_dump()["recorder"] == "2.0"
    assert capture.header.client.model_dump()["shoe_size"] == 44


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match=r"^cannot read missing\.wkcap: No such file"):
        read_capture(tmp_path / "missing.wkcap")


@pytest.mark.parametrize("protocol", ["openclaw-gateway", "wukongim-jsonrpc"])
def test_only_the_binary_protocol_is_taken_for_replay(protocol: str, tmp_path: Path) -> None:
    path = written(tmp_path, header(protocol=protocol), [1, "ws", "in", "{}"])

    assert read_capture(path).records == (FromServer(at_us=1, data="{}"),)
    with pytest.raises(
        CaptureError, match=f"is a recording of {protocol}; only wukongim-binary can be replayed"
    ):
        read_capture(path, for_replay=True)


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ([1, "ws", "in"], "record 2: not what its stream records"),
        ([1, "ws", "in", 7], "record 2: not what its stream records"),
        ([1, "ws", "ctl", {"no": "event"}], "record 2: not what its stream records"),
        ([1, "rest", "out", {"method": "GET"}], "record 2: an API call without method, path and status"),
        ({"not": "a list"}, "record 2: not [time, stream, direction, data]"),
        (["soon", "ws", "in", b""], "record 2: not [time, stream, direction, data]"),
    ],
)
def test_a_record_of_another_shape_is_named_by_its_number(row: Any, complaint: str, tmp_path: Path) -> None:
    with pytest.raises(CaptureError) as caught:
        read_capture(written(tmp_path, header(), [0, "ws", "in", b"\x80"], row))

    assert str(caught.value) == f"some.wkcap, {complaint}"


def test_a_stream_nobody_knows_is_kept_as_it_is(tmp_path: Path) -> None:
    path = written(tmp_path, header(), [3, "audio", "in", {"volume": 11}])

    assert read_capture(path).records == (
        OtherRecord(at_us=3, stream="audio", direction="in", data={"volume": 11}),
    )


@pytest.mark.parametrize(
    "row",
    [
        [0, "ws", "in", b"x" * (capture_format.MAX_DATA_BYTES + 1)],
        [0, "other", "in", msgpack.ExtType(5, b"x")],
        [0, "other", "in", {7: "a map keyed by numbers"}],
        [0, "other", "in", [0] * (capture_format.MAX_ITEMS + 1)],
    ],
    ids=["huge packet", "extension type", "number key", "huge array"],
)
def test_what_is_above_the_limits_is_refused(row: Any, tmp_path: Path) -> None:
    path = written(tmp_path, header(), [0, "ws", "in", b"\x80"], row)

    with pytest.raises(CaptureError, match=r"^some\.wkcap is damaged after record 1: "):
        read_capture(path)


def test_an_object_that_never_ends_is_refused_before_it_fills_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capture_format, "MAX_OBJECT_BYTES", 1_000_000)
    part = b"x" * 500_000
    path = written(tmp_path, header(), [0, "other", "in", [part, part, part]])

    with pytest.raises(CaptureError, match="damaged after record 0"):
        read_capture(path)


TIMES = st.integers(0, 2**53)
SOCKET_DATA = st.binary(max_size=64) | st.text(max_size=32)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=16),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text(max_size=8), JSON, max_size=3)
RECORDS: st.SearchStrategy[Record] = st.one_of(
    st.builds(FromServer, at_us=TIMES, data=SOCKET_DATA),
    st.builds(ToServer, at_us=TIMES, data=SOCKET_DATA),
    st.builds(
        SocketControl,
        at_us=TIMES,
        event=st.sampled_from(["open", "close", "refused"]),
        details=OBJECTS.map(lambda details: {k: v for k, v in details.items() if k != "event"}),
    ),
    st.builds(
        ApiCall,
        at_us=TIMES,
        api=st.sampled_from(["rest", "imapi"]),
        method=st.sampled_from(["GET", "POST"]),
        path=st.text(max_size=16),
        query=OBJECTS,
        body=JSON,
        status=st.integers(0, 599),
        response=JSON,
        direction=st.sampled_from(["in", "out"]),
    ),
    st.builds(OtherRecord, at_us=TIMES, stream=st.just("gateway"), direction=st.text(max_size=3), data=JSON),
)
HEADERS = st.builds(
    CaptureHeader,
    scenario=st.text(max_size=8),
    protocol=st.sampled_from(["wukongim-binary", "openclaw-gateway"]),
    client=st.builds(ClientInfo, uid=st.text(max_size=8)),
    client_private_keys=st.lists(st.binary(min_size=32, max_size=32), max_size=2).map(tuple),
    labels=st.dictionaries(
        st.text(max_size=8), st.builds(Label, addressed=st.none() | st.booleans(), text=JSON), max_size=2
    ),
)


@given(HEADERS, st.lists(RECORDS, max_size=6))
def test_what_is_written_is_read_back(head: CaptureHeader, records: list[Record]) -> None:
    capture = Capture(header=head, records=tuple(records), torn=False)
    file = io.BytesIO()
    write_capture(file, capture)
    file.seek(0)

    assert capture_format._read(file, "round trip", for_replay=False) == capture


def test_a_header_does_not_show_its_keys() -> None:
    assert "kkkk" not in repr(CaptureHeader(client_private_keys=(b"k" * 32,)))
