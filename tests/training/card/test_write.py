"""The card as files."""

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest

from recsys.errors import ConfigError
from tests.recsys.card.logs import act, card
from tests.training.card.cards import SUMMARY, rich_card, warned
from training.card.plots.gallery import PLOTS
from training.card.write import key_figures, write_card

PNG = b"\x89PNG"


class Page(HTMLParser):
    """Collects the text and the addresses of the images."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.images: list[str] = []
        self.text = ""
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.images += [str(value) for name, value in attributes if tag == "img" and name == "src"]

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("cards") / "shop"
    of = rich_card()
    write_card(of, SUMMARY, warned(of), place)
    return place


def test_numbers_pictures_and_a_page_are_written(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == {"card.json", "card.html", *(f"{name}.png" for name in PLOTS)}
    assert all(path.read_bytes().startswith(PNG) for path in folder.glob("*.png"))


def test_the_numbers_are_all_there_and_plain(folder: Path) -> None:
    written = json.loads((folder / "card.json").read_text())
    of = rich_card()
    assert set(written) == {"log", "card", "warnings"}
    assert written["card"]["popularity"]["gini"] == of.popularity.gini
    assert written["card"]["traffic"]["days"]["2024-01-02"]
    assert written["log"]["quarantined"] == 200
    assert [warning["name"] for warning in written["warnings"]] == [finding.name for finding in warned(of)]


def test_the_page_needs_no_other_file_and_escapes_what_the_data_says(folder: Path) -> None:
    page = Page(folder / "card.html")
    assert len(page.images) == len(PLOTS)
    assert all(image.startswith("data:image/png;base64,") for image in page.images)
    assert "many rows refused" in page.text
    assert "no [red]price[/]" in page.text
    assert "http" not in page.text


def test_the_same_card_is_written_byte_by_byte_the_same(folder: Path, tmp_path: Path) -> None:
    of = rich_card()
    write_card(of, SUMMARY, warned(of), tmp_path)
    assert (tmp_path / "card.json").read_bytes() == (folder / "card.json").read_bytes()


def test_pictures_of_an_earlier_card_go(tmp_path: Path) -> None:
    (tmp_path / "week.png").write_bytes(b"old")
    (tmp_path / "mine.txt").write_text("stays")
    write_card(card(), SUMMARY, (), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"card.json", "card.html", "mine.txt"}


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "occupied").write_text("")
    with pytest.raises(ConfigError, match=r"occupied.* set outputs="):
        write_card(card([act(0)]), SUMMARY, (), tmp_path / "occupied")


def test_key_figures_are_numbers_and_leave_time_out_in_literature_mode() -> None:
    of = rich_card()
    figures = key_figures(of, SUMMARY, warned(of))
    assert figures["shoppers"] == of.shoppers.count
    assert figures["grave_warnings"] == 1
    assert figures["cold_items_share"] == 0.0
    assert all(isinstance(value, int | float) for value in figures.values())
    without = key_figures(rich_card(order_only=True), SUMMARY, ())
    assert set(figures) - set(without) == {name for name in figures if name.startswith(("session", "cold"))}
