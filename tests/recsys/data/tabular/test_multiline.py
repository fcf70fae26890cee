"""Values with line breaks in them are put together; a stray quote still takes nothing along."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.data.chunk import chunks_of
from tests.recsys.data.small_logs import COLUMNS, HEADER, events, refused, source, write

NOTED = {**COLUMNS, "query": "note"}
SOUND = "2024-01-01T00:00:00Z,buy,ann,i1,1,2.00,fine"


def multiline(path: Path, **settings: object):
    return source(path, columns=NOTED, multiline=True, **settings)


def test_a_value_over_several_lines_is_one_row_with_the_number_of_its_first_line(tmp_path: Path) -> None:
    note = '2024-01-01T00:00:00Z,buy,ann,i1,1,2.00,"a\n\n""b"", c\nd"'
    table = multiline(write(tmp_path / "log.csv", SOUND, note, SOUND, "bad,buy,ann,i1,1,2,"))
    assert [event["query"] for event in events(table)] == ["fine", 'a\n\n"b", c\nd', "fine"]
    assert [event["event_id"].split("-")[1] for event in events(table)] == ["2", "3", "7"]
    assert refused(table) == [(8, "time is unreadable", "bad,buy,ann,i1,1,2,")]


def test_without_the_setting_such_a_row_is_refused_line_by_line(tmp_path: Path) -> None:
    table = source(write(tmp_path / "log.csv", SOUND[:-4] + '"a', 'b"', SOUND), columns=NOTED)
    assert [event["query"] for event in events(table)] == ["fine"]
    assert [row for row, _, _ in refused(table)] == [2, 3]


def test_windows_line_ends_within_a_value_are_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_bytes(f'{HEADER}\r\n{SOUND[:-4]}"a\r\nb"\r\n{SOUND}\r\n'.encode())
    assert [event["query"] for event in events(multiline(path))] == ["a\nb", "fine"]


@pytest.mark.parametrize("later", ["", '2024-01-01T00:00:00Z,buy,ann,i1,1,2.00,"never closed either'])
def test_a_quote_that_is_never_closed_is_refused_alone(tmp_path: Path, later: str) -> None:
    stray = '2024-01-01T00:00:00Z,buy,ann,i1,1,2.00,"never closed'
    table = multiline(write(tmp_path / "log.csv", SOUND, stray, SOUND, SOUND, later, SOUND))
    assert len(events(table)) == 4
    assert [reason for _, reason, _ in refused(table)] == ["a quote is not closed"] * (2 if later else 1)


def test_a_quote_in_the_midst_of_a_value_opens_nothing(tmp_path: Path) -> None:
    table = multiline(write(tmp_path / "log.csv", SOUND[:-4] + '5" disk', SOUND))
    assert [event["query"] for event in events(table)] == ['5" disk', "fine"]


def test_a_record_may_cross_the_border_of_two_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    note = SOUND[:-4] + '"' + "line\n" * 30 + '"'
    table = multiline(write(tmp_path / "log.csv", *[SOUND, note] * 5, SOUND[:-4] + '"open to the end'))
    whole = events(table), refused(table)
    monkeypatch.setattr("recsys.data.tabular.lines.BLOCK_BYTES", 64)
    assert (events(table), refused(table)) == whole
    assert len(whole[0]) == 10
    assert [reason for _, reason, _ in whole[1]] == ["a quote is not closed"]


def test_a_value_of_too_many_lines_is_taken_for_a_stray_quote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recsys.data.tabular.multiline.MOST_LINES", 10)
    note = SOUND[:-4] + '"' + "line\n" * 20 + '"'
    table = multiline(write(tmp_path / "log.csv", SOUND, note, SOUND))
    assert len(events(table)) == 2
    assert len(refused(table)) == 21


CELL = st.text(st.characters(exclude_characters="\x00\r", codec="utf-8"), max_size=5) | st.sampled_from(
    ["\n", "a\nb", '"', '"\n"', ",", "x,\ny", "a,b,c,d,e,f,g"]
)


@given(notes=st.lists(CELL, max_size=8), block=st.integers(1, 300))
def test_what_a_writer_of_csv_wrote_is_read_back_or_every_line_of_it_refused(
    tmp_path_factory: pytest.TempPathFactory, notes: list[str], block: int
) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    starts = []
    for number, note in enumerate(notes):
        starts.append(2 + text.getvalue().count("\n"))
        writer.writerow(["2024-01-01", "buy", f"u{number}", "i", "1", "2", note])
    path = tmp_path_factory.getbasetemp() / "notes.csv"
    path.write_text(f"{HEADER}\n{text.getvalue()}", newline="")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("recsys.data.tabular.lines.BLOCK_BYTES", block)
        chunks = list(chunks_of(multiline(path)))
    read = {event["user_id"]: event["query"] for chunk in chunks for event in chunk.events.to_pylist()}
    gone = {row["row"] for chunk in chunks for row in chunk.quarantine.to_pylist()}
    for number, (note, start) in enumerate(zip(notes, starts, strict=True)):
        if f"u{number}" in read:
            assert read[f"u{number}"] == (note.strip() or None)
        else:
            assert start in gone
            assert "\n" in note
    assert sum(chunk.rows_in for chunk in chunks) == len(read) + len(gone)
