"""Promotion and rollback: which version the alias `champion` names, decided, recorded and said."""

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from recsys.bundle import read_bundle
from recsys.errors import BundleError, ConfigError, ReleaseError
from recsys.recommender import Recommender
from training.duel import Duel, fought
from training.promotion import CHALLENGER, Because, Version
from training.protocols import Registry, Tracker
from training.recipe import Recipe
from training.verdict import insist_margin, judged

DECISION = "decision"
"""Tag of a run: what was decided."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What shall become the champion.

    Attributes:
        challenger: "challenger", the number of a version, the id of the run that made it, or a bundle's folder.
        reason: why it shall, whatever comes out; None leaves it to the figures.
        margin: see `training/verdict.py`.
    """

    challenger: str = CHALLENGER
    reason: str | None = None
    margin: float | None = None

    def __post_init__(self) -> None:
        insist_margin(self.margin)
        if self.reason is not None and not self.reason.strip():
            raise ConfigError("reason is empty; say why, or leave it out: reason=null")


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What was decided: `word` is promoted, refused or kept (it is the champion already), `why` a sentence."""

    word: str
    why: str
    version: str

    @property
    def is_refusal(self) -> bool:
        """Whether the champion stays although another one was offered."""
        return self.word == "refused"


def contest(recipe: Recipe, asked: Asked, tracker: Tracker, console: Console) -> Decision:
    """Compare the challenger with the champion and promote or refuse it; leaves a run with the figures.

    Raises:
        ConfigError: the tracker keeps no versions.
        ReleaseError: there is no such version, or the two cannot be compared and no reason is given.
        BundleError: the challenger's bundle is missing or altered.
    """
    registry = registry_of(tracker)
    with tracker.run("promote", {"challenger": asked.challenger, "margin": asked.margin}, {}):
        challenger = _named(asked.challenger, tracker, registry)
        decision = _decided(challenger, registry.champion(), recipe, asked, registry, tracker, console)
        tracker.tag({DECISION: decision.word, "because": decision.why, "model_version": decision.version})
    console.print(f"{decision.word}: version {decision.version}, {decision.why}", soft_wrap=True)
    return decision


def roll_back(tracker: Tracker, reason: str | None, console: Console) -> None:
    """Make the champion before the champion again; ReleaseError where there is none."""
    registry = registry_of(tracker)
    gone, came = registry.roll_back(Because.now(reason or "rolled back"))
    console.print(f"version {came.number} is the champion again, version {gone.number} is not any more")
    if came.bundle is not None and not came.bundle.is_dir():
        console.print(f"its files are not at {came.bundle}: put them back, or roll back again", style="yellow")


def registry_of(tracker: Tracker) -> Registry:
    """The tracker's registry; ConfigError where it keeps none."""
    if tracker.registry is None:
        raise ConfigError("this tracker keeps no versions, so nothing can be promoted; use tracker=mlflow")
    return tracker.registry


def _decided(
    challenger: Version,
    champion: Version | None,
    recipe: Recipe,
    asked: Asked,
    registry: Registry,
    tracker: Tracker,
    console: Console,
) -> Decision:
    if champion is not None and champion.number == challenger.number:
        return Decision(word="kept", why="it is the champion already", version=challenger.number)
    if champion is None:
        _read(challenger)  # an altered bundle is refused before anybody follows the alias to it
        return _promoted(challenger, Because.now(asked.reason or "there was no champion"), registry)
    try:
        duel = _fought(challenger, champion, recipe, console)
    except ReleaseError as error:
        if asked.reason is None:
            raise
        why = Because.now(asked.reason, evidence=f"not compared with version {champion.number}: {error}")
        return _promoted(challenger, why, registry)
    tracker.log(duel.figures(), step=0)
    verdict = judged(duel.difference, margin=asked.margin)
    evidence = f"against version {champion.number}: {duel.evidence}"
    if verdict.is_good_enough:
        words = f"{asked.reason}; {verdict.words}" if asked.reason else verdict.words
        return _promoted(challenger, Because.now(words, evidence=evidence), registry)
    if asked.reason is not None:
        words = f"{asked.reason} (although {verdict.words})"
        return _promoted(challenger, Because.now(words, evidence=evidence), registry)
    registry.refuse(challenger, Because.now(verdict.words, evidence=evidence))
    words = f'{verdict.words}; version {champion.number} stays. To promote it all the same, say why: reason="..."'
    return Decision(word="refused", why=words, version=challenger.number)


def _promoted(challenger: Version, because: Because, registry: Registry) -> Decision:
    registry.promote(challenger, because)
    return Decision(word="promoted", why=because.reason, version=challenger.number)


def _read(version: Version) -> Recommender:
    if version.bundle is None:
        raise BundleError(
            f"the files of version {version.number} are not on this machine; fetch them, or promote there"
        )
    return read_bundle(version.bundle)


def _named(named: str, tracker: Tracker, registry: Registry) -> Version:
    """The version that is meant; a bundle that is no version yet is registered."""
    if named == CHALLENGER:
        if (challenger := registry.challenger()) is not None:
            return challenger
        raise ReleaseError(
            "the registry has no challenger: the version that was registered last is the champion already, or none is; "
            "train one (python -m training.train) or name a version: challenger=NUMBER"
        )
    if (folder := Path(named).absolute()).is_dir():
        digest = read_bundle(folder).model_version
        found = registry.of_bundle(digest)
        if found is None and (number := tracker.register(folder, version_tags={"bundle": digest})):
            found = registry.find(number)
    else:
        found = registry.find(named)
    if found is None:
        raise ReleaseError(
            f"{named!r} is neither {CHALLENGER}, nor the number of a version, nor a run that registered one, nor a "
            "bundle's folder; name one of these: challenger=NUMBER"
        )
    return found


def _fought(challenger: Version, champion: Version, recipe: Recipe, console: Console) -> Duel:
    ours = _read(challenger)
    try:
        theirs = _read(champion)
    except BundleError as error:
        raise ReleaseError(
            f"the champion, version {champion.number}, cannot be compared with: {error}. Put its files back, roll back "
            '(rollback=true), or promote without a comparison: reason="..."'
        ) from error
    return fought(ours, theirs, recipe, console)
