"""The page: what must be on it, with the card's own numbers."""

import re
from dataclasses import replace

import pytest

from tests.training.modelcard.cards import LOG, card, metrics, row
from training.comparison import ANSWER_ROW
from training.modelcard.card import IndexFacts
from training.modelcard.markdown import page


def section(text: str, heading: str) -> str:
    """What stands below a heading, up to the next one."""
    found = re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    assert found is not None, f"no section {heading!r}"
    return found.group(1)


def test_every_promised_part_has_its_section() -> None:
    headings = re.findall(r"^## (.*)$", page(card()), re.MULTILINE)
    assert headings == [
        "Loading it",
        "Data and licence",
        "Evaluation",
        "Where it is good, and where not",
        "Index",
        "Limits",
        "What the training cost",
        "Environment",
    ]


def test_the_table_holds_every_row_with_its_interval_and_the_best_in_bold() -> None:
    table = section(page(card()), "Evaluation")
    assert "|NDCG@10|HR@10|recall@10|recall@20|MRR@20|" in table
    assert (
        "|the answer|**0.2000** (0.1900–0.2100)|**0.6000**|**0.4000** (0.3900–0.4100)|**0.5000**|**0.1000**|" in table
    )
    assert "|Popular-7d|0.0500 (0.0400–0.0600)|0.1500|0.1000 (0.0900–0.1100)|0.1250|0.0250|" in table
    assert "tea shop: 2,000 questions." in table
    assert (
        "against buy-again, frequency, question by question: NDCG@10 +0.1000, 95 % interval +0.0800 to +0.1200" in table
    )


def test_what_is_beyond_accuracy_has_a_table_where_it_was_measured() -> None:
    assert "Beyond accuracy" not in page(card())
    rows = {ANSWER_ROW: row(0.2, coverage10=0.25, cold_ndcg10=None), "Popular-7d": row(0.1, coverage10=None)}
    table = section(page(card(metrics=metrics(rows=rows))), "Evaluation").partition("Beyond accuracy")[2]
    assert "| |coverage@10|\n|---|---:|\n|the answer|0.2500|\n|Popular-7d||\n" in table


def test_a_column_that_was_not_measured_is_left_out() -> None:
    rows = {ANSWER_ROW: {"queries": 5, "ndcg10": 0.2, "ndcg10_interval": [0.1, 0.3]}}
    table = section(page(card(metrics=metrics(rows=rows))), "Evaluation")
    assert "| |NDCG@10|\n" in table
    assert "MRR" not in table


def test_parts_stand_beside_the_best_baseline_in_the_order_of_their_numbers() -> None:
    parts = section(page(card()), "Where it is good, and where not")
    assert "|history|questions|the answer|encoder alone|buy-again, frequency|" in parts
    lengths = re.findall(r"^\|(\d+(?:-\d+)?)\|[\d,]+\|0\.\d{4}\|0\.\d{4}\|0\.\d{4}\|$", parts, re.MULTILINE)
    assert lengths == ["1-9", "10-99", "0", "1-4", "5-9", "10-19"]
    assert "|5-9|1,100|0.3000|0.2250|0.1500|" in parts


def test_hours_and_cuts_with_a_single_part_have_no_table() -> None:
    parts = section(page(card()), "Where it is good, and where not")
    assert "|hour|" not in parts
    assert "|event|" not in parts


def test_intent_heads_have_a_table_where_there_are_any() -> None:
    assert "## What the shopper is after" not in page(card())
    heads = {"purchase": {"auc": 0.75, "calibration_error": None}, "wait": {"log_loss": 1.5}}
    table = section(page(card(metrics=metrics(intent=heads))), "What the shopper is after")
    assert "|head|auc|calibration error|log loss|" in table
    assert "|purchase|0.75|||" in table
    assert "|wait|||1.5|" in table


def test_an_index_of_a_given_kind_is_told_with_its_items_and_bytes() -> None:
    told = section(page(card()), "Index")
    assert "|index|HnswIndex(links 32, breadth 80)|" in told
    assert "|items|30|" in told
    assert "|memory|12,000 bytes beside the vectors, 400 for each item|" in told
    assert "recall" not in told


def test_an_index_that_was_chosen_by_measuring_stands_in_bold_among_those_it_was_chosen_from() -> None:
    flat = {"index": "FlatIndex()", "recall": 1.0, "p50_ms": 5.3, "p99_ms": 6.0, "mib": 48.8, "build_s": 0.04}
    graph = {"index": "HnswIndex(links 32)", "recall": 0.984, "p50_ms": 0.39, "p99_ms": 0.51, "mib": 80, "build_s": 31}
    measured = ({**flat, "chosen": False}, {**graph, "chosen": True})
    chosen = IndexFacts(kind="HnswIndex(links 32)", items=100_000, size_bytes=58_400_000, measured=measured)
    table = section(page(card(index=chosen)), "Index").partition("measured on the real vectors")[2]
    assert "|index|recall@100|p50 ms|p99 ms|MiB|built in s|\n|---|---:|---:|---:|---:|---:|\n" in table
    assert "|FlatIndex()|1.0000|5.300|6.000|49|0.0|\n" in table
    assert "|**HnswIndex(links 32)**|**0.9840**|**0.390**|**0.510**|**80**|**31.0**|\n" in table


def test_metrics_without_parts_have_no_section_of_them() -> None:
    assert "Where it is good" not in page(card(metrics=metrics(rows={ANSWER_ROW: row(0.2)})))


def test_nothing_is_the_best_of_nothing() -> None:
    rows = {ANSWER_ROW: row(0.2, new_recall10=0.0), "Popular-7d": row(0.1, new_recall10=0.0)}
    table = section(page(card(metrics=metrics(rows=rows))), "Evaluation")
    assert "|the answer|**0.5000**|**0.4000**|0.0000|**0.0300**|" in table


def test_literature_mode_has_no_dates() -> None:
    data = section(page(card(log=replace(LOG, order_only=True))), "Data and licence")
    assert "|from, to|order only, no times|" in data
    assert "|cut-off|the split's own|" in data


def test_data_licence_and_cost_are_named() -> None:
    text = page(card())
    data = section(text, "Data and licence")
    assert "|events|900 (purchase 800, view 100)|" in data
    assert "0123456789abcdef" in data
    cost = section(text, "What the training cost")
    assert "|time|1.5 min|" in cost
    assert "|tokens per second|12,345|" in cost
    environment = section(text, "Environment")
    assert "|git revision|abc|" in environment
    assert "|torch build|2.13.0 (CPU, AVX2)|" in environment


def test_what_the_data_says_cannot_break_out_of_its_cell() -> None:
    wicked = replace(LOG, source="a|b\n## Owned <script> [x](http://y) `z`", licence="*free*")
    data = section(page(card(log=wicked)), "Data and licence")
    assert "|source|a\\|b ## Owned \\<script\\> \\[x\\](http://y) \\`z\\`|" in data
    assert "|licence|\\*free\\*|" in data


def test_the_page_says_how_to_load_the_bundle_it_belongs_to() -> None:
    text = page(card(), place="outputs/bundles/tea", version="abcdef012345")
    assert 'Recommender.load("outputs/bundles/tea")' in section(text, "Loading it")
    assert "|version|abcdef012345|" in text
    assert "|version|" not in page(card())


def test_pictures_are_shown_by_their_file_names() -> None:
    assert "![by hour](by_hour.png)" in page(card(), pictures=["by_hour"])


@pytest.mark.parametrize("cold", [{}, {"Popular-7d": row(0.05)}])
def test_a_card_without_an_answer_is_written_all_the_same(cold: dict[str, object]) -> None:
    assert "## Environment" in page(card(metrics=metrics(rows=cold)))
