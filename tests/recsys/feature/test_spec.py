"""The feature spec."""

import json

import pytest

from recsys.errors import BundleError, ConfigError
from recsys.event import EventType
from recsys.feature.spec import FeatureSpec


def test_a_spec_comes_back_from_json_as_it_was() -> None:
    given = FeatureSpec(time_zone="Europe/Berlin", max_length=7, query="last", known_types=("view",))  # type: ignore[arg-type]
    assert FeatureSpec.of_json(json.loads(json.dumps(given.to_json()))) == given


def test_an_unknown_version_is_refused() -> None:
    with pytest.raises(BundleError, match="version 99"):
        FeatureSpec.of_json({**FeatureSpec().to_json(), "version": 99})


def test_an_unknown_key_is_refused_by_name() -> None:
    with pytest.raises(BundleError, match="moon_phase"):
        FeatureSpec.of_json({**FeatureSpec().to_json(), "moon_phase": True})


def test_a_length_of_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"features\.max_length is 0"):
        FeatureSpec(max_length=0)


def test_a_memory_shorter_than_what_the_encoder_reads_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"features\.memory is 9, less than features\.max_length=10"):
        FeatureSpec(max_length=10, memory=9)


def test_every_type_is_shown_as_known_or_as_the_alias() -> None:
    codes = FeatureSpec(known_types=(EventType.PURCHASE,), type_alias=EventType.PURCHASE).type_codes()
    assert {int(codes[kind.code]) for kind in EventType} == {EventType.PURCHASE.code}
    assert codes[0] == 0
