"""What a sweep may choose: keys as they stand on the command line, and the values that each may take."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Protocol

from optuna import Trial

from recsys.errors import ConfigError

Value = str | int | float | bool | None

MEASURING = (
    *("data", "engine", "exclude_seen", "experiment", "exports", "hydra", "outputs", "seed", "split"),
    *("start_from", "target", "tracker", "validation_days", "validation_queries"),
)
"""Keys that say what is measured, from where or with what: trials that differ in them could not be compared."""
UNTRIED = (*("evaluation_queries", "index", "policy", "promote", "ranker", "refit", "register", "retrieval", "reuse"),)
"""Keys of what comes after a trial, which validates the encoder alone: trials that differ in them would not differ."""
_DIGITS = 3


class Dimension(Protocol):
    """One thing that varies; `given` names values of earlier ones that it goes with."""

    @property
    def key(self) -> str: ...

    @property
    def given(self) -> Mapping[str, Value]: ...

    def suggest(self, trial: Trial) -> Value:
        """The trial's value."""
        ...

    def example(self) -> Value:
        """Some value it may take."""
        ...

    def holds(self, value: Value) -> bool:
        """Whether it may take this value."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class OneOf:
    """One of some values; of a group, one of its choices.

    Args:
        key: of the setting, such as model.dim, or of the group, such as loss.
        values: at least two.
        given: values of earlier dimensions without which this one plays no part.
    """

    key: str
    values: Sequence[Value]
    given: Mapping[str, Value] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.values) < 2 or len(set(map(repr, self.values))) < len(self.values):
            raise ConfigError(f"search: {self.key} has the values {list(self.values)}; give two different ones or more")

    def suggest(self, trial: Trial) -> Value:
        """One of the values."""
        chosen: Value = trial.suggest_categorical(self.key, list(self.values))
        return chosen

    def example(self) -> Value:
        """The first."""
        return self.values[0]

    def holds(self, value: Value) -> bool:
        """Whether it is one of them."""
        return value in self.values


@dataclass(frozen=True, slots=True, kw_only=True)
class Between:
    """A number from `low` to `high`, both included; whole if both are and the step is. Others are rounded to three
    digits, so that the command line which is shown in the end is exactly what was tried.

    Args:
        key: of the setting, such as optimizer.learning_rate.
        low, high: the bounds.
        log: whether every doubling is as likely as every other.
        step: values lie so far apart, above 0; not with `log`.
        given: values of earlier dimensions without which this one plays no part.
    """

    key: str
    low: float
    high: float
    log: bool = False
    step: float | None = None
    given: Mapping[str, Value] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.low < self.high or (self.log and (self.low <= 0 or self.step is not None)):
            raise ConfigError(
                f"search: {self.key} goes from {self.low} to {self.high} with log={self.log} and step={self.step}; low "
                "must be below high and, with log, above 0 and without a step"
            )
        if self.step is not None and not 0 < self.step < inf:
            raise ConfigError(f"search: {self.key} has step={self.step}; give a number above 0, or none")

    def suggest(self, trial: Trial) -> Value:
        """A number in between."""
        step = 1 if self.step is None else self.step
        if isinstance(self.low, int) and isinstance(self.high, int) and step == int(step):
            return trial.suggest_int(self.key, self.low, self.high, log=self.log, step=int(step))
        drawn = trial.suggest_float(self.key, self.low, self.high, log=self.log, step=self.step)
        return float(f"{drawn:.{_DIGITS}g}")

    def example(self) -> Value:
        """The lowest."""
        return self.low

    def holds(self, value: Value) -> bool:
        """Whether it lies in between."""
        return isinstance(value, int | float) and self.low <= value <= self.high


@dataclass(frozen=True, slots=True)
class Space:
    """Dimensions in the order in which they are chosen."""

    dimensions: Sequence[Dimension]

    def __post_init__(self) -> None:
        if not self.dimensions:
            raise ConfigError("search.dimensions is empty; name what shall vary, or choose another search=...")
        known: dict[str, Dimension] = {}
        for dimension in self.dimensions:
            key = dimension.key
            if key in known:
                raise ConfigError(f"search: {key} is named twice; name each key once")
            _insist_comparable(key)
            for other, value in dimension.given.items():
                if other not in known or not known[other].holds(value):
                    raise ConfigError(
                        f"search: {key} goes with {other}={value}, which no earlier dimension can be; there are: "
                        f"{', '.join(known) or 'none'}"
                    )
            known[key] = dimension

    def suggest(self, trial: Trial) -> dict[str, Value]:
        """What the trial shall try, by key."""
        chosen: dict[str, Value] = {}
        for dimension in self.dimensions:
            if _goes_with(dimension, chosen):
                chosen[dimension.key] = dimension.suggest(trial)
        return chosen

    def examples(self) -> Iterable[dict[str, Value]]:
        """One combination for every dimension, in which it plays a part."""
        by_key = {dimension.key: dimension for dimension in self.dimensions}
        for dimension in self.dimensions:
            wanted = {dimension.key: dimension.example(), **dimension.given}
            frontier = list(dimension.given)
            while frontier:
                needed = by_key[frontier.pop()].given
                frontier += [key for key in needed if key not in wanted]
                wanted = {**needed, **wanted}
            yield wanted

    def insist_free(self, fixed: Iterable[str]) -> None:
        """Refuse overrides that hold fast what shall vary."""
        for override in fixed:
            key = key_of(override)
            for dimension in self.dimensions:
                if key == dimension.key or key.startswith(f"{dimension.key}."):
                    raise ConfigError(
                        f"{override} holds fast what the search varies ({dimension.key}); leave one of the two out"
                    )


def _insist_comparable(key: str) -> None:
    first = key_of(key).partition(".")[0]
    if first in MEASURING:
        raise ConfigError(
            f"search: {key} says what is measured, so trials that differ in it cannot be compared; give it on the "
            f"command line instead (the same goes for {', '.join(MEASURING)})"
        )
    if first in UNTRIED:
        raise ConfigError(
            f"search: {key} plays no part in a trial, which validates the encoder alone, so its values cannot be told "
            f"apart; leave it out (the same goes for {', '.join(UNTRIED)})"
        )


def key_of(override: str) -> str:
    """The key of an override, as in KEY=VALUE, +KEY=VALUE or ~KEY."""
    return override.lstrip("+~").split("=", 1)[0].split("@", 1)[0]


def overrides(chosen: Mapping[str, Value]) -> list[str]:
    """As they stand on the command line."""
    return [f"{key}={_text(value)}" for key, value in chosen.items()]


def _text(value: Value) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def _goes_with(dimension: Dimension, chosen: Mapping[str, Value]) -> bool:
    return all(key in chosen and chosen[key] == value for key, value in dimension.given.items())
