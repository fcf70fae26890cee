"""Which heads there are: decided by what the log has, so that none is trained on what never happens."""

from dataclasses import dataclass

from recsys.catalogue import Catalogue
from recsys.errors import ConfigError
from recsys.event import EventType
from recsys.feature.spec import FeatureSpec, QueryKind
from recsys.intent.binary import BinaryHead
from recsys.intent.category import CategoryHead, categories_within
from recsys.intent.head import Head
from recsys.intent.labels import Label, Labels, SessionLabel, WaitLabel
from recsys.intent.module import IntentModule
from recsys.intent.wait import WaitHead
from recsys.registry import registered

PURCHASE, CONSIDERING, WAIT, CATEGORY = "purchase", "considering", "wait", "category"
"""Names of the heads."""
LOOKS = (EventType.VIEW, EventType.CLICK, EventType.ADD_TO_CART, EventType.WISHLIST)
"""Events that come before a purchase."""
_HOURS = (0.007, 0.02, 0.125, 0.5, 0.8, 1.2, 1.8)
_DAYS = (2.5, 3.5, 4.5, 5.5, 6.5, 7.5, 8.5, 10.5, 12.5, 14.5, 17.5, 21.5, 28.5, 42.5, 60.5, 90.5, 180.5)
"""Ends of stretches lie between whole days: people come back at the hour at which they came."""


@registered
@dataclass(frozen=True, slots=True, kw_only=True)
class IntentHeads:
    """Heads trained beside the next item, on the same states of the same batches.

    | head | there is one where | it tells |
    |---|---|---|
    | purchase | there are times, purchases, and views, clicks or carts | the chance of a purchase in this session |
    | considering | the same | where there is none: whether an item goes into the cart, or is looked at again |
    | wait | there are times and purchases | days until the next purchase |
    | category | items have at least two categories | what the next item is |

    Stages follow from the first two: ready with the chance of a purchase; considering or browsing with the rest.

    Args:
        goal: what counts as a purchase; `click` where clicks end the shop's own part, as in a search for hotels.
        weight: of these losses beside that of the next item.
        category_depth: how deep the path of a category is read.
        most_categories: where there are more, it is read less deep.
        edges_days: ends of the stretches into which the wait is cut, in days.
    """

    goal: EventType = EventType.PURCHASE
    weight: float = 0.1
    category_depth: int = 2
    most_categories: int = 1_000
    edges_days: tuple[float, ...] = (*_HOURS, *_DAYS)

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "goal", EventType(self.goal))
        except ValueError as error:
            raise ConfigError(f"intent.goal={self.goal!r} is no event type; usual are purchase and click") from error
        object.__setattr__(self, "edges_days", tuple(float(edge) for edge in self.edges_days))
        ascending = all(0 < a < b for a, b in zip(self.edges_days, self.edges_days[1:], strict=False))
        if len(self.edges_days) < 2 or not ascending:
            raise ConfigError(f"intent.edges_days={list(self.edges_days)}; give at least two, ascending, above 0")
        if not self.weight > 0:
            raise ConfigError(f"intent.weight is {self.weight}; give more than 0, or switch the heads off: intent=none")
        if self.category_depth < 1 or self.most_categories < 2:
            raise ConfigError(
                f"intent.category_depth is {self.category_depth} and intent.most_categories {self.most_categories}; "
                "read at least 1 level, of at least 2 categories"
            )

    def build(self, *, dim: int, features: FeatureSpec, catalogue: Catalogue) -> IntentModule | None:
        """The heads on states of size `dim` that this log can teach; None if there are none."""
        heads: dict[str, Head] = {}
        if self._has_session(features):
            heads[PURCHASE] = BinaryHead(dim=dim, label="purchase", goal=self.goal)
            heads[CONSIDERING] = BinaryHead(dim=dim, label="considering", goal=self.goal)
        if self._has_wait(features):
            heads[WAIT] = WaitHead(dim=dim, edges_days=self.edges_days, goal=self.goal)
        category, names = categories_within(catalogue, depth=self.category_depth, most=self.most_categories)
        if len(names) > 2:
            heads[CATEGORY] = CategoryHead(dim=dim, category=category, names=names)
        return IntentModule(heads, weight=self.weight, made_by=self) if heads else None

    def labels(self, features: FeatureSpec) -> Labels:
        """What the heads learn from that lies further ahead than the next targets."""
        parts: list[Label] = []
        if self._has_session(features):
            parts.append(SessionLabel(goal=self.goal))
        if self._has_wait(features):
            parts.append(WaitLabel(goal=self.goal))
        return Labels(tuple(parts))

    def _has_wait(self, features: FeatureSpec) -> bool:
        """Where the last event stands in for the question, nobody is asked after their last moment: no long wait would
        ever be learnt from."""
        timed = not features.order_only and features.query is QueryKind.TOKEN
        return timed and self.goal in features.known_types

    def _has_session(self, features: FeatureSpec) -> bool:
        looks = set(LOOKS) - {self.goal}
        return self._has_wait(features) and bool(looks & set(features.known_types))
