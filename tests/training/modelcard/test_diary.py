"""What is handed on is remembered."""

from pathlib import Path

from training.modelcard.diary import Diary
from training.tracker.null import NullTracker


def test_figures_are_kept_by_name_in_order(tmp_path: Path) -> None:
    diary = Diary(NullTracker(outputs=tmp_path))
    with diary.run("one", {}, {}):
        diary.log({"loss": 3.0, "rate": 1}, step=1)
        diary.log({"loss": 2.0}, step=2)
    assert diary.curves == {"loss": [(1, 3.0), (2, 2.0)], "rate": [(1, 1.0)]}


def test_another_run_begins_with_an_empty_page(tmp_path: Path) -> None:
    diary = Diary(NullTracker(outputs=tmp_path))
    with diary.run("one", {}, {}):
        diary.log({"loss": 3.0}, step=1)
    with diary.run("two", {}, {}):
        assert diary.curves == {}
