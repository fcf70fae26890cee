"""What `--help` says of every command that trains or tends logs."""

import pytest

from conf.usage import usage

COMMANDS = ("train", "evaluate", "score", "sweep", "ingest", "describe", "erase", "migrate")


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_every_command_fits_a_hundred_columns(name: str) -> None:
    text = usage(name, [], width=300)
    assert [line for line in text.splitlines() if len(line) > 100] == []
    assert text.startswith(f"recsys-{name}:")


def test_only_groups_that_the_command_has_are_named_in_the_order_of_its_settings() -> None:
    lines = usage("train", [], width=100).splitlines()
    groups = [line.split("=")[0].strip() for line in lines if line.startswith("  ") and "=" in line[:22]]
    assert groups.index("data") < groups.index("model") < groups.index("tracker") < groups.index("outputs")
    assert {"server", "store", "release", "search"}.isdisjoint(groups)
    assert "experiment" in groups


def test_the_values_are_those_of_the_command_line_so_far() -> None:
    text = usage("train", ["model=hstu", "model.dim=7", "seed=8", "--help"], width=100)
    assert "model=hstu" in text
    assert "dim=7" in text
    assert "seed=8" in text
    assert "or gru4rec, ligr, sasrec" in text


def test_keys_stand_with_the_remark_of_the_settings_file_even_if_it_is_of_another_one() -> None:
    (line,) = (line for line in usage("evaluate", [], width=100).splitlines() if "register=" in line)
    assert line.split()[1:4] == ["make", "the", "bundle"]
    (seed,) = (line for line in usage("train", [], width=100).splitlines() if line.strip().startswith("seed="))
    assert seed.strip() == "seed=7"


def test_nested_keys_are_written_as_one_would_type_them() -> None:
    assert "pace.per_minute=60" in usage("describe", [], width=100)
