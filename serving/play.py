"""One anonymous shopper, played over HTTP: what is shown after each thing they do, and whether we keep our promises."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from recsys.errors import DataError

_SHOWN = 10
_LOOKED_AT = 100
_DEPTH = 2
Item = dict[str, Any]
"""One item of a slate, as the API sends it."""


@dataclass(slots=True)
class Play:
    """A visit: looks around, puts something into the basket, buys it. `broken` collects the promises not kept."""

    http: httpx.Client
    console: Console
    visitor: str = "demo-visitor"
    broken: list[str] = field(default_factory=list)
    _before: list[Item] = field(default_factory=list)

    def run(self) -> None:
        """Play the visit from beginning to end."""
        first = self._ask("Somebody arrives; nothing is known")
        self._promise("an unknown visitor gets a full slate", len(first) >= _SHOWN)
        category, liked = unlike_the_first_slate(first)
        share_before = share(category, first)
        for item in liked:
            self._do("view", item)
            slate = self._ask(f"They look at {item['title']}")
        share_after = share(category, slate)
        self._promise(
            f"the slate moved towards {category}: {share_before:.0%} -> {share_after:.0%}", share_after > share_before
        )
        wanted = slate[0]
        self._do("add_to_cart", wanted)
        slate_with_basket = self._ask(f"They put {wanted['title']} into the basket")
        self._promise("what is in the basket is not offered", rank(wanted, slate_with_basket) is None)
        self._do("purchase", wanted)
        slate_after = self._ask("They buy it")
        place = rank(wanted, slate_after)
        where = f"out of the first {_LOOKED_AT}" if place is None else f"to place {place + 1}"
        self._promise(f"what was just bought sank from place 1 {where}", place is None or place > 0)

    def _do(self, event_type: str, item: Item) -> None:
        event = {"type": event_type, "anonymous_id": self.visitor, "item_id": item["item_id"], "price": item["price"]}
        receipts = self.http.post("/v1/events", json=event).raise_for_status().json()
        self._promise(f"the {event_type} is acknowledged", receipts["accepted"] == 1)

    def _ask(self, headline: str) -> list[Item]:
        question = {"shopper": {"anonymous_id": self.visitor}, "placement": "home", "count": _LOOKED_AT}
        answer = self.http.post("/v1/recommendations", json=question).raise_for_status().json()
        slate: list[Item] = answer["items"]
        self.console.print(f"\n[bold]{escape(headline)}[/bold]")
        self.console.print(f"[dim]knowledge: {answer['knowledge']}, answered in {answer['took_ms']:.1f} ms[/dim]")
        self.console.print(_table(slate, self._before))
        if answer["degraded"]:
            self._promise(f"nothing was missing ({answer['degraded']})", kept=False)
        self._before = slate
        return slate

    def _promise(self, what: str, kept: bool) -> None:
        self.console.print(f"  [green]✓[/green] {escape(what)}" if kept else f"  [red]✗ {escape(what)}[/red]")
        if not kept:
            self.broken.append(what)


def category_of(item: Item) -> str:
    """The first levels of an item's category path."""
    return " > ".join(item["category"][:_DEPTH])


def share(category: str, slate: Sequence[Item]) -> float:
    """Which part of what is shown belongs to `category`."""
    return sum(category_of(item) == category for item in slate[:_SHOWN]) / _SHOWN


def rank(item: Item, slate: Sequence[Item]) -> int | None:
    """The place of an item in a slate, from 0; None if it is not there."""
    return next((place for place, other in enumerate(slate) if other["item_id"] == item["item_id"]), None)


def unlike_the_first_slate(slate: Sequence[Item]) -> tuple[str, list[Item]]:
    """A category that is hardly shown at first though several of its items are liked, and two of these items.

    Works for any shop, because it looks at nothing but what the shop itself would show further down.
    """
    shown = Counter(category_of(item) for item in slate[:_SHOWN])
    below = Counter(category_of(item) for item in slate[_SHOWN:])
    if not below:
        raise DataError(
            f"the shop showed only {len(slate)} items; the play needs more than {_SHOWN}: train on more data"
        )
    category = min(below, key=lambda name: (below[name] < 2, shown[name], -below[name], name))
    return category, [item for item in slate[_SHOWN:] if category_of(item) == category][:2]


def _table(slate: Sequence[Item], before: Sequence[Item]) -> Table:
    table = Table(show_edge=False, expand=True)
    table.add_column("#", min_width=2, justify="right")
    table.add_column("", min_width=3)
    table.add_column("item", ratio=5, no_wrap=True)
    table.add_column("category", ratio=3, no_wrap=True)
    table.add_column("why", ratio=7, no_wrap=True)
    for place, item in enumerate(slate[:_SHOWN]):
        change = _change(place, rank(item, before), bool(before))
        leaf = item["category"][:_DEPTH][-1] if item["category"] else ""
        table.add_row(str(place + 1), change, *map(escape, (item["title"], leaf, item["reason"])))
    return table


def _change(place: int, earlier: int | None, compared: bool) -> str:
    if not compared or earlier == place:
        return ""
    if earlier is None or earlier >= _SHOWN:
        return "[green]new[/green]"
    return f"[green]↑{earlier - place}[/green]" if earlier > place else f"[yellow]↓{place - earlier}[/yellow]"
