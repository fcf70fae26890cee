"""Search texts as hashed tokens."""

import subprocess
import sys
import zlib

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.feature.query import BUCKETS, TOKENS, token_columns, tokens, words

TEXTS = st.one_of(st.none(), st.text(max_size=20), st.sampled_from(["red shoes", "Red-Shoes", "größe 42", ""]))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Red Shoes", ["red", "shoes"]),
        ("t-shirt_xl, 2 pcs.", ["t", "shirt", "xl", "2", "pcs"]),
        ("STRASSE straße", ["strasse", "strasse"]),
        ("ＦＵＬＬ　ｗｉｄｔｈ", ["full", "width"]),
        ("ﬁne", ["fine"]),
        ("हिन्दी जूते", ["हिन्दी", "जूते"]),
        ("  --  ", []),
        ("☕", []),
    ],
)
def test_words_are_folded_and_cut_where_no_letter_or_digit_stands(text: str, expected: list[str]) -> None:
    assert words(text) == expected


def test_case_and_punctuation_make_no_difference() -> None:
    assert tokens("Red, shoes!") == tokens("red SHOES") != tokens("shoes red")


def test_the_first_four_distinct_words_are_kept() -> None:
    assert tokens("a b a c d e") == tokens("a b c d")
    assert tokens("a") == (tokens("a b")[0], 0, 0, 0)


def test_nothing_said_is_no_token() -> None:
    assert tokens(None) == tokens("") == tokens("?!") == (0,) * TOKENS


def test_a_token_is_the_checksum_of_its_word() -> None:
    assert tokens("coffee", count=1, buckets=100) == (1 + zlib.crc32(b"coffee") % 99,)


def test_another_process_reads_the_same_tokens() -> None:
    said = "print(__import__('recsys.feature.query', fromlist=['tokens']).tokens('Größe 42'))"
    fresh = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True)
    assert fresh.stdout.strip() == str(tokens("Größe 42"))


@given(texts=st.lists(TEXTS, max_size=8))
def test_a_column_is_cut_as_its_texts_are_one_by_one(texts: list[str | None]) -> None:
    column = pa.array(texts, pa.string())
    one_by_one = [list(tokens(text)) for text in texts]
    cut = token_columns(column)
    assert cut.shape == (len(texts), TOKENS)
    assert cut.tolist() == one_by_one
    assert token_columns(pa.chunked_array([column, column])).tolist() == one_by_one * 2
    assert ((cut >= 0) & (cut < BUCKETS)).all()
