"""JSON lines: every line is one row or one refusal, whichever way a block was parsed."""

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.data.tabular.block import Block
from recsys.data.tabular.convert import as_text
from recsys.data.tabular.json_lines import JsonLines
from recsys.data.tabular.path import as_lists, elements_of
from recsys.errors import SourceError

PATHS = ("a", "b.c", "l[].p", "tags", "x.y")


def blocks(path: Path, *wanted: str) -> list[Block]:
    return list(JsonLines(path=path, origin=path.name).blocks(wanted))


def values(path: Path, wanted: str) -> list[object]:
    return [value for block in blocks(path, wanted) for value in block.columns[wanted].to_pylist()]


def refused(path: Path) -> list[tuple[int, str]]:
    return [(r.row, r.reason) for block in blocks(path, "a") for r in block.refused]


def write(path: Path, *lines: object) -> Path:
    path.write_text("\n".join(one if isinstance(one, str) else json.dumps(one) for one in lines) + "\n")
    return path


def test_fields_of_fields_and_elements_of_lists_are_columns(tmp_path: Path) -> None:
    path = write(tmp_path / "l.jsonl", {"a": 1, "b": {"c": "x"}, "l": [{"p": 1}, {"p": 2}]}, {}, {"b": None, "l": []})
    (block,) = blocks(path, "a", "b.c", "l[].p")
    assert block.columns.to_pydict() == {"a": [1, None, None], "b.c": ["x", None, None], "l[].p": [[1, 2], None, []]}
    assert block.row.tolist() == [1, 2, 3]


def test_broken_lines_are_refused_alone_and_kept_as_they_were(tmp_path: Path) -> None:
    bad = ['{"a": 2', "[3]", "4", '{"a":5}{"a":6}', '{"a":7} x', '{"a": "\\ud800"}', "{'a': 8}"]
    lines = ['{"a": 1}', *bad, "", '{"a": 9}']
    path = write(tmp_path / "l.jsonl", *lines)
    (block,) = blocks(path, "a")
    assert block.columns["a"].to_pylist() == [1, 9]
    assert block.row.tolist() == [1, 10]
    assert [(r.row, r.reason, r.raw.decode()) for r in block.refused] == [
        (number, "is not a JSON object", line) for number, line in enumerate(bad, start=2)
    ]
    assert block.rows_in == 9


def test_an_object_over_two_lines_does_not_make_up_for_two_objects_in_one(tmp_path: Path) -> None:
    path = write(tmp_path / "l.jsonl", '{"a":1}{"a":2}', '{"a":', "3}")
    assert values(path, "a") == []
    assert [row for row, _ in refused(path)] == [1, 2, 3]


def test_other_damage_is_refused_with_its_reason(tmp_path: Path) -> None:
    path = tmp_path / "l.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"a":1}\r\n{"a":"\xff"}\n{"a":"\0"}\n{"a":\r2}\n  {"a": 3}  \n')
    assert values(path, "a") == [1, 3]
    reasons = ["is not UTF-8", "holds a NUL byte", "holds a stray carriage return"]
    assert refused(path) == list(enumerate(reasons, start=2))


def test_one_path_may_hold_texts_and_numbers(tmp_path: Path) -> None:
    mixed = [1, "one", 2.5, True, 3.0, None, {"x": 1}, [1]]
    path = write(tmp_path / "l.jsonl", *({"a": value} for value in mixed[:6]), {"a": mixed[6]})
    assert values(path, "a") == ["1", "one", "2.5", "true", "3", None, None]


def test_long_numbers_keep_their_digits(tmp_path: Path) -> None:
    path = write(tmp_path / "l.jsonl", {"a": 12345678901234567890}, {"a": 5})
    assert values(path, "a") == ["12345678901234567890", "5"]
    path = write(tmp_path / "m.jsonl", {"a": 9007199254740993}, {"a": 0.5})
    assert values(path, "a") == ["9007199254740993", "0.5"]


def test_what_looks_like_a_time_stays_text(tmp_path: Path) -> None:
    path = write(tmp_path / "l.jsonl", {"a": "2024-01-02", "t": ["2024-01-02 03:04:05"]})
    assert values(path, "a") == ["2024-01-02"]
    assert values(path, "t") == [["2024-01-02 03:04:05"]]


def test_a_key_that_comes_late_or_changes_its_type_is_not_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recsys.data.tabular.lines.BLOCK_BYTES", 20)
    monkeypatch.setattr("recsys.data.tabular.json_lines.SAMPLE_BYTES", 20)
    lines = [{"b": "b" * 30}, {"a": 1, "b": "b" * 30}, {"a": 1.5, "b": "b" * 30}, {"a": "x", "b": {"a": [1, "y"]}}]
    path = write(tmp_path / "l.jsonl", *lines)
    assert len(blocks(path, "a")) == 4
    assert values(path, "a") == [None, 1, 1.5, "x"]


def test_keys_with_dots_in_them_are_found_under_their_whole_name(tmp_path: Path) -> None:
    path = write(tmp_path / "l.jsonl", {"page.url": "/", "page": 1}, {"page.url": "/x"})
    assert values(path, "page.url") == ["/", "/x"]


def test_keys_with_dots_may_stand_beside_objects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recsys.data.tabular.lines.BLOCK_BYTES", 20)
    monkeypatch.setattr("recsys.data.tabular.json_lines.SAMPLE_BYTES", 20)
    flat, deep = {"page.url": "/"}, {"page": {"url": "/x"}}
    assert values(write(tmp_path / "l.jsonl", deep, flat, deep), "page.url") == ["/x", "/", "/x"]
    assert values(write(tmp_path / "l.jsonl", flat, deep, flat), "page.url") == ["/", "/x", "/"]


def test_an_element_is_chosen_by_its_key(tmp_path: Path) -> None:
    params = [{"key": "n", "value": {"int": "7"}}, {"key": "term", "value": {"text": "tea"}}]
    path = write(tmp_path / "l.jsonl", {"p": params}, {"p": []}, {"p": params[:1]})
    assert values(path, "p[key=term].value.text") == ["tea", None, None]
    assert values(path, "p[key=n].value.int") == ["7", None, "7"]


def test_packed_files_are_read_and_arrays_are_refused_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "l.jsonl.gz").write_bytes(gzip.compress(b'{"a": 1}\n'))
    assert values(tmp_path / "l.jsonl.gz", "a") == [1]
    for content in ('[{"a": 1}]', '{\n"a": 1\n}\n'):
        (tmp_path / "l.json").write_text(content)
        with pytest.raises(SourceError, match=r"does not hold one JSON object per line.*jq -c"):
            blocks(tmp_path / "l.json", "a")


ANY = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcpxy"), inner, max_size=3),
    max_leaves=6,
)
OBJECT = st.dictionaries(st.sampled_from(["a", "b", "l", "tags", "x", "b.c"]), ANY, max_size=4)
LINE = OBJECT.map(json.dumps) | st.sampled_from(
    ["", "{", "}", '{"a":', "1}", '{"a":1}{"a":2}', "[1]", '{"a": 1, "a": 2}', ' {"a": "ä"} ', '{"l": [{"p": 1}, 2]}']
)


def expected(found: dict[str, object], path: str) -> object:
    """What a path means, word for word."""
    if path in found:
        return found[path] if not isinstance(found[path], dict) else None
    inner = found.get(path.split(".")[0].removesuffix("[]"))
    if path == "l[].p":
        return [one.get("p") if isinstance(one, dict) else None for one in inner] if isinstance(inner, list) else None
    return inner.get(path.split(".")[1]) if isinstance(inner, dict) and "." in path else None


def plain(value: object) -> object:
    """Values as texts; objects and lists in the place of a value are none."""
    if isinstance(value, bool):
        return str(value).lower()
    return None if value is None or isinstance(value, dict | list) else str(value)


@given(lines=st.lists(LINE, max_size=10), block=st.integers(1, 300))
def test_whatever_stands_in_the_lines_all_are_accounted_for_and_mean_what_they_say(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], block: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.jsonl"
    path.write_text("\n".join(['{"a": "first"}', *lines]) + "\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("recsys.data.tabular.lines.BLOCK_BYTES", block)
        found = blocks(path, *PATHS)
    good: dict[int, dict[str, object]] = {}
    rows = []
    for number, line in enumerate(['{"a": "first"}', *lines], start=1):
        if line:
            rows.append(number)
            try:
                read = json.loads(line)
                json.dumps(read, ensure_ascii=False).encode()
            except ValueError:
                continue
            if isinstance(read, dict):
                good[number] = read
    assert sorted([*(r.row for b in found for r in b.refused), *(n for b in found for n in b.row.tolist())]) == rows
    assert [n for b in found for n in b.row.tolist()] == list(good)
    for wanted in PATHS:
        got = [value for b in found for value in texts(b, wanted)]
        for (number, whole), value in zip(good.items(), got, strict=True):
            meant = expected(whole, wanted)
            as_list = [plain(one) for one in meant] if isinstance(meant, list) else [plain(meant)]
            assert equal(value, as_list if isinstance(value, list) else plain(meant)), (number, wanted)


def texts(block: Block, wanted: str) -> list[object]:
    column = block.columns[wanted].combine_chunks()
    if str(column.type).startswith("list"):
        lengths, elements = elements_of(column)
        column = as_lists(lengths, as_text(elements), column.is_null().to_numpy(zero_copy_only=False))
        return column.to_pylist()
    return as_text(column).to_pylist()


def equal(left: object, right: object) -> bool:
    """Numbers may be written in several ways: 1e+16 and 10000000000000000.0."""
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(equal, left, right))
    if left is None or right is None:
        return left is right
    if left == right:
        return True
    try:
        return float(str(left)) == float(str(right))
    except ValueError:
        return False
