"""The script of the demo, on slates made by hand."""

from typing import Any

from serving.play import rank, share, unlike_the_first_slate


def item(item_id: str, *category: str) -> dict[str, Any]:
    return {"item_id": item_id, "category": list(category)}


SLATE = [item(f"milk-{number}", "food", "milk") for number in range(9)] + [
    item("tea-0", "food", "tea"),
    item("soap-0", "home", "soap"),
    item("tea-1", "food", "tea"),
    item("soap-1", "home", "soap"),
    item("lamp-0", "home", "lamps"),
    item("soap-2", "home", "soap"),
]


def test_a_category_that_is_not_shown_at_first_but_well_liked_is_chosen_with_two_of_its_items() -> None:
    category, liked = unlike_the_first_slate(SLATE)
    assert category == "home > soap"
    assert [one["item_id"] for one in liked] == ["soap-0", "soap-1"]


def test_only_what_is_shown_counts_for_the_share_of_a_category() -> None:
    assert share("food > tea", SLATE) == 0.1
    assert share("home > soap", SLATE) == 0.0


def test_the_rank_of_an_item_counts_from_zero_and_is_none_if_it_is_missing() -> None:
    assert rank(item("tea-0"), SLATE) == 9
    assert rank(item("coffee"), SLATE) is None
