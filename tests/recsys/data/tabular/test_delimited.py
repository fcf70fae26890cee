"""Delimited files: whatever is wrong with a line, it is refused alone and nothing else gets lost."""

import csv
import io
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.data.chunk import chunks_of
from recsys.data.tabular.delimited import DelimitedFile
from recsys.errors import SourceError
from recsys.event import QUARANTINE_SCHEMA
from tests.recsys.data.small_logs import HEADER, events, refused, single, source, write

DAMAGED = {
    10: ("yesterday,buy,ann,i1,1,2.00,", "time is unreadable"),
    40: ("2999-01-01T00:00:00Z,buy,ann,i1,1,2.00,", "time is in the future"),
    41: ("1969-01-01T00:00:00Z,buy,ann,i1,1,2.00,", "time is before 1990"),
    90: ("2024-01-01T00:00:00Z,teleport,ann,i1,1,2.00,", "type is unknown"),
    91: ("2024-01-01T00:00:00Z,buy,ann,i1,1,NaN,", "price is not a number"),
    92: ("2024-01-01T00:00:00Z,buy,ann,i1,1,free,", "price is not a number"),
    93: ("2024-01-01T00:00:00Z,buy,ann,i1,1,-2.00,", "price is negative"),
    120: ("2024-01-01T00:00:00Z,buy,ann,i1,0,2.00,", "quantity is not positive"),
    121: ("2024-01-01T00:00:00Z,buy,ann,i1,many,2.00,", "quantity is not a number"),
    150: ("2024-01-01T00:00:00Z,buy,,i1,1,2.00,", "shopper is missing"),
    151: ("2024-01-01T00:00:00Z,buy,ann, ,1,2.00,", "item is missing"),
    200: ("2024-01-01T00:00:00Z,buy,ann,i1", "too few fields"),
    201: ("2024-01-01T00:00:00Z,buy,ann,i1,1,2.00,,,", "too many fields"),
    202: ('2024-01-01T00:00:00Z,buy,ann,i1,1,2.00,"never closed', "a quote is not closed"),
    203: ("2024-01-01T00:00:00Z,buy,a\udcffn,i1,1,2.00,", "is not UTF-8"),
    204: ("2024-01-01T00:00:00Z,buy,a\udcffn,i1", "is not UTF-8"),
    299: ("2024-01-01T00:00:00Z,buy,a\rnn,i1,1,2.00,", "holds a stray carriage return"),
    300: ('2024-01-01T00:00:00Z,buy,5" ann,i1,1,2.00,"open', "a quote is not closed"),
}
"""Line number -> damaged line and the reason it must get; the other lines up to 301 are sound."""


def damaged_file(path: Path) -> Path:
    sound = '2024-01-01T00:00:{:02d}Z,buy,u{},i{},1,2.00,"a ""quoted"", note"'
    lines = [DAMAGED[n][0] if n in DAMAGED else sound.format(n % 60, n % 7, n % 11) for n in range(2, 302)]
    path.write_bytes("\n".join([HEADER, *lines, ""]).encode("utf-8", "surrogateescape"))
    return path


def test_every_line_of_a_file_damaged_in_many_ways_is_accounted_for(tmp_path):
    table = source(damaged_file(tmp_path / "log.csv"))
    chunk = single(table)
    assert chunk.rows_in == 300
    assert chunk.events.num_rows == 300 - len(DAMAGED)
    assert chunk.quarantine.schema.equals(QUARANTINE_SCHEMA)
    assert [(row, reason) for row, reason, _ in refused(table)] == [(n, why) for n, (_, why) in DAMAGED.items()]


def test_quarantine_keeps_the_original_text(tmp_path):
    raw = {row: text for row, _, text in refused(source(damaged_file(tmp_path / "log.csv")))}
    assert raw[202] == DAMAGED[202][0]
    assert raw[91] == DAMAGED[91][0]
    assert raw[204] == "2024-01-01T00:00:00Z,buy,a\\xffn,i1"


def test_the_same_damage_is_found_when_the_file_comes_in_small_pieces(tmp_path, monkeypatch):
    path = damaged_file(tmp_path / "log.csv")
    whole = source(path)
    expected = refused(whole), [event["event_id"] for event in events(whole)]
    monkeypatch.setattr("recsys.data.tabular.lines.BLOCK_BYTES", 500)
    assert len(list(chunks_of(whole))) > 20
    assert (refused(whole), [event["event_id"] for event in events(whole)]) == expected


def test_two_open_quotes_do_not_take_the_lines_between_them_along(tmp_path):
    sound = "2024-01-01T00:00:00Z,buy,ann,i1,1,2.00,fine"
    path = write(
        tmp_path / "log.csv", '2024-01-01,buy,"ann,i1,1,2,', sound, sound, '2024-01-01,buy,ann",i1,1,2,', sound
    )
    assert [row for row, _, _ in refused(source(path))] == [2]
    assert [event["user_id"] for event in events(source(path))] == ["ann", "ann", 'ann"', "ann"]


def test_blank_lines_and_windows_line_ends_are_no_rows(tmp_path):
    path = tmp_path / "log.csv"
    row = b"2024-01-01T00:00:00Z,buy,ann,i1,1,2.00,\r\n"
    path.write_bytes(b"\xef\xbb\xbf" + HEADER.encode() + b"\r\n" + row + b"\r\n" + row + b"\r\n\r\n")
    chunk = single(source(path))
    assert (chunk.rows_in, chunk.events.num_rows) == (2, 2)
    assert chunk.events["event_id"].to_pylist()[1].split("-")[1] == "4"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "has no header line"),
        (b"\xff\xfe,b\n", "header line .* is not UTF-8"),
        (b"when,what,who,item,units,price,price\n", "'price' more than once"),
    ],
    ids=["empty", "not-text", "twice"],
)
def test_a_file_without_a_usable_header_is_refused_by_name(tmp_path, content, message):
    (tmp_path / "log.csv").write_bytes(content)
    with pytest.raises(SourceError, match=message):
        list(chunks_of(source(tmp_path / "log.csv")))


CELL = st.text(st.characters(exclude_characters="\x00", codec="utf-8"), max_size=6) | st.sampled_from(
    ["2024-01-01", "buy", "view", "ann", "i1", "1", "-1", "nan", '"', '""', ",", "\n", "\r\n", "9e999", " "]
)


@given(rows=st.lists(st.lists(CELL, max_size=8), max_size=12), raw=st.binary(max_size=40), block=st.integers(1, 400))
def test_whatever_stands_in_a_file_every_line_is_an_event_or_in_quarantine(tmp_path_factory, rows, raw, block):
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    content = HEADER.encode() + b"\n2024-01-01,buy,ann,i1,1,2,\n" + text.getvalue().encode() + raw
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("recsys.data.tabular.lines.BLOCK_BYTES", block)
        chunks = list(chunks_of(source(path)))
    rows_of_file = [n for n, line in enumerate(content.split(b"\n"), 1) if n > 1 and line.removesuffix(b"\r")]
    assert sum(chunk.rows_in for chunk in chunks) == len(rows_of_file)
    for chunk in chunks:
        assert chunk.rows_in == chunk.events.num_rows + chunk.quarantine.num_rows + sum(chunk.excluded.values())
    accepted = [event for chunk in chunks for event in chunk.events.to_pylist()]
    assert accepted[0]["user_id"] == "ann"
    assert len({event["event_id"] for event in accepted}) == len(accepted)
    places = Counter(row for chunk in chunks for row in chunk.quarantine["row"].to_pylist())
    places.update(int(event["event_id"].split("-")[1]) for event in accepted)
    assert sorted(places) == rows_of_file
    assert set(places.values()) <= {1}


def test_a_line_without_end_stops_reading_before_memory_does(tmp_path, monkeypatch):
    monkeypatch.setattr("recsys.data.tabular.lines._LONGEST_LINE", 1000)
    monkeypatch.setattr("recsys.data.tabular.lines.BLOCK_BYTES", 100)
    (tmp_path / "log.csv").write_bytes(HEADER.encode() + b"\n" + b"x" * 5000)
    with pytest.raises(SourceError, match="is it a text table"):
        list(DelimitedFile(path=tmp_path / "log.csv", origin="log.csv").blocks(["who"]))
