"""The feature spec."""

import json

import pytest

from recsys.errors import BundleError, ConfigError
from recsys.event import EventType
from recsys.feature.spec import FeatureSpec
from tests.recsys.sequence.random_logs import everything_on


def test_a_spec_comes_back_from_json_as_it_was() -> None:
    given = FeatureSpec(time_zone="Europe/Berlin", max_length=7, query="last", known_types=("view",))  # type: ignore[arg-type]
    assert FeatureSpec.of_json(json.loads(json.dumps(given.to_json()))) == given


def test_an_unknown_version_is_refused() -> None:
    with pytest.raises(BundleError, match="version 99"):
        FeatureSpec.of_json({**FeatureSpec().to_json(), "version": 99})


def test_an_unknown_key_is_refused_by_name() -> None:
    with pytest.raises(BundleError, match="moon_phase"):
        FeatureSpec.of_json({**FeatureSpec().to_json(), "moon_phase": True})


def test_vocabularies_and_features_come_back_and_statistics_beside_them() -> None:
    given = everything_on(order_only=True)
    again = FeatureSpec.of_json(json.loads(json.dumps(given.to_json())), given.statistics)
    assert again == given
    assert again.classes() == given.classes()
    assert again.channels.names == ("web", "store")


def test_features_come_in_one_order_whatever_order_they_are_named_in() -> None:
    assert FeatureSpec(token=("hour", "gap")).names == FeatureSpec(token=("gap", "hour")).names == ("gap", "hour")


def test_a_feature_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(ConfigError, match=r"\['moon_phase'\]; there are: gap, hour, .*item_text"):
        FeatureSpec(token=("gap", "moon_phase"))


def test_a_feature_named_twice_is_refused() -> None:
    with pytest.raises(ConfigError, match="twice"):
        FeatureSpec(token=("gap", "gap"))


def test_a_bundle_with_a_feature_that_this_release_does_not_know_is_refused() -> None:
    stored = {**FeatureSpec(token=("gap",)).to_json(), "token": ["gap", "moon_phase"]}
    with pytest.raises(BundleError, match=r"moon_phase.*serve it with the release that wrote it"):
        FeatureSpec.of_json(stored)


def test_a_feature_that_reads_statistics_is_refused_where_none_were_learnt() -> None:
    with pytest.raises(ConfigError, match=r"\['price_category', 'brand'\] read statistics"):
        FeatureSpec(token=("hour", "brand", "price_category")).classes()


def test_features_of_time_are_off_where_there_is_only_an_order() -> None:
    timeless = FeatureSpec(token=("gap", "hour", "item_count", "item_recency"), order_only=True)
    assert timeless.names == ("item_count",)
    assert timeless.off == ("gap", "hour", "item_recency")
    assert FeatureSpec(token=("gap",)).off == ()


def test_a_lookback_and_what_is_shown_fill_the_memory() -> None:
    assert FeatureSpec(max_length=200, memory=1_000).lookback == 800


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
