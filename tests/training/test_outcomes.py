"""`recsys-outcomes`: from exported files to a table of what became of what was shown."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from recsys.event import EventType, events_table
from recsys.log.outcomes import OUTCOME_SCHEMA
from tests.recsys.log.test_outcomes import AT, event, slates
from tests.training.test_conf import composed
from training.outcomes import write_outcomes


def test_the_command_writes_a_row_for_each_shown_item_and_shows_the_shares(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "exposures").mkdir()
    pq.write_table(slates(("r", AT, ["a", "b"]), ("q", AT, ["a", "b"])), tmp_path / "exposures" / "one.parquet")
    events = [event(EventType.CLICK, AT + 5, "a", "r"), event(EventType.CLICK, AT + 5, "a", None)]
    pq.write_table(events_table(events), tmp_path / "events.parquet")
    write_outcomes(composed("outcomes", f"exports={tmp_path}", f"file={tmp_path}/out/outcomes.parquet"))
    found = pq.read_table(tmp_path / "out" / "outcomes.parquet")
    assert found.schema.equals(OUTCOME_SCHEMA)
    assert [at is not None for at in found["clicked_at"].to_pylist()] == [True, False, False, False]
    assert list((tmp_path / "out").iterdir()) == [tmp_path / "out" / "outcomes.parquet"]
    said = capsys.readouterr().out
    assert "25.00 %" in said
    assert "2 slates, 4 shown items" in said
