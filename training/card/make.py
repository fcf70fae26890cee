"""Making a data card, top to bottom: log -> measures -> warnings -> terminal, files, tracker."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console

from recsys.card.card import COLUMNS, View, describe
from recsys.card.findings.checks import findings
from recsys.card.findings.finding import Checked, Thresholds
from recsys.clock import Clock
from recsys.log.reader import EventLog
from recsys.log.writer import log_folder, write_log
from recsys.protocols import Source
from training.card.terminal import print_card
from training.card.write import key_figures, write_card
from training.protocols import Tracker
from training.provenance import flat, git_revision


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be described, and how.

    Attributes:
        data: the source; its log is written first if it is not there yet.
        tracker: keeps the card and its key figures.
        outputs: the card is written to cards/<name of the log> below it.
        thresholds: from where on something is warned of.
        show_ids: name the shoppers that stand out, in the terminal and the folder; the tracker gets no ids.
        settings: all of it as plain values, for the tracker.
    """

    data: Source
    tracker: Callable[..., Tracker]
    outputs: Path
    thresholds: Thresholds
    show_ids: bool
    settings: Mapping[str, Any]


def make_card(order: Order, console: Console, clock: Clock) -> Path:
    """Describe the order's log; returns the folder of the card."""
    source = order.data
    place = log_folder(source, order.outputs)
    write_log(source, place, tell=console.print)
    log = EventLog(place)
    view = View(
        time_zone=source.time_zone,
        cutoff=source.cutoff,
        order_only=log.order_only,
        limits=order.thresholds.pace,
        show_ids=order.show_ids,
    )
    with console.status("measuring the log ..."):
        card = describe(log.days(COLUMNS), log.items(), log.item_versions(), view=view)
    checked = Checked(card=card, summary=log.summary, now=clock.now(), thresholds=order.thresholds)
    found = findings(checked)
    print_card(card, log.summary, found, console)

    folder = order.outputs / "cards" / place.name
    write_card(card, log.summary, found, folder)
    tracker = order.tracker(outputs=order.outputs)
    tags = {"kind": "data card", "data_fingerprint": log.fingerprint, "git_revision": git_revision()}
    with tracker.run(f"card of {source.name}", flat(order.settings), tags):
        tracker.log(key_figures(card, log.summary, found), step=0)
        with TemporaryDirectory() as temporary:
            bare = Path(temporary) / "card" if order.show_ids else folder
            if order.show_ids:  # runs are kept long and seen by many: an erasure does not reach them
                anonymous = card.without_ids()
                nameless = findings(replace(checked, card=anonymous))
                write_card(anonymous, log.summary, nameless, bare)
            tracker.artifacts(bare, "card")
    console.print(f"\ncard: {folder}", highlight=False, soft_wrap=True)
    return folder
