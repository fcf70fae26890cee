"""Erasures that were asked of where the events came from are honoured by the log that took them in."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from recsys.clock import Clock
from recsys.log.disk import locked
from recsys.log.engine import Engine
from recsys.log.erase import Receipt, sweep
from recsys.log.erasures import Erasures
from recsys.log.event_files import pieces
from recsys.log.manifest import Erased, Manifest, read_manifest
from recsys.log.tidy import tidy

_SIGHT = ["user_id", "anonymous_id", "type"]


@runtime_checkable
class KnowsErased(Protocol):
    """A source that says whom it erased."""

    def erased(self) -> Sequence[Erased]:
        """Whose rows may not be in a log of this source."""
        ...


def honour(
    asked: Sequence[Erased], folder: Path, *, engine: Engine, clock: Clock, tell: Callable[[str], None]
) -> Receipt | None:
    """Take whoever is erased elsewhere out of the log in `folder`, with all visitors that its own rows link to them;
    None where that was done already.

    Raises:
        DataError: the log cannot be read.
        ConfigError: it cannot be written, or another process is writing it.
    """
    if not _new(asked, read_manifest(folder)):
        return None
    with locked(folder):
        manifest = read_manifest(folder)
        new = _new(asked, manifest)
        if not new:
            return None
        tidy(folder, manifest)
        erasures = Erasures((*manifest.erased, *new))
        linked = {visitor for file in manifest.events for visitor in _linked(folder / file.path, erasures)}
        receipt = sweep(
            folder, manifest, erasures.adding("anonymous", linked), kind="requested", clock=clock, engine=engine
        )
    tell(
        f"{len(new)} ids were erased where the events came from: {receipt.events} events and {receipt.quarantined} "
        f"refused rows left the log, {receipt.blanked} rows of others lost a visitor's id"
    )
    return receipt


def _new(asked: Sequence[Erased], manifest: Manifest) -> list[Erased]:
    known = {entry.digest for entry in manifest.erased}
    return [entry for entry in asked if entry.digest not in known]


def _linked(path: Path, erasures: Erasures) -> set[str]:
    """Visitors whom rows of a file give to erased users."""
    return {visitor for piece in pieces(path, _SIGHT) for visitor in erasures.sift(piece).linked}
