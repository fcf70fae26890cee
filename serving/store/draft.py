"""Events made several times as fast as `Event(...)` makes them: fifty or more are read for every answer.

A frozen dataclass sets its fields one by one through `object.__setattr__`. A draft is a plain class with the same
slots, which sets them directly and then becomes an event: Python lets an object change its class where both lay out
their objects alike, and raises TypeError where they do not
(https://docs.python.org/3/reference/datamodel.html#slots).
"""

from recsys.event import Event, EventType


class Draft:
    """An event in the making; the fields of `recsys.event.Event`, in its order."""

    __slots__ = Event.__slots__

    def __init__(
        self,
        event_id: str,
        type: EventType,
        occurred_at: int,
        user_id: str | None,
        anonymous_id: str | None,
        session_id: str | None,
        channel: str | None,
        device: str | None,
        store: str | None,
        item_id: str | None,
        quantity: float,
        price: float | None,
        list_price: float | None,
        currency: str | None,
        query: str | None,
        filters: list[str] | None,
        rating: float | None,
        offer_id: str | None,
        placement: str | None,
        recommendation_id: str | None,
        position: int | None,
        consent: list[str] | None,
    ) -> None:
        self.event_id = event_id
        self.type = type
        self.occurred_at = occurred_at
        self.user_id = user_id
        self.anonymous_id = anonymous_id
        self.session_id = session_id
        self.channel = channel
        self.device = device
        self.store = store
        self.item_id = item_id
        self.quantity = quantity
        self.price = price
        self.list_price = list_price
        self.currency = currency
        self.query = query
        self.filters = None if filters is None else tuple(filters)
        self.rating = rating
        self.offer_id = offer_id
        self.placement = placement
        self.recommendation_id = recommendation_id
        self.position = position
        self.consent = None if consent is None else tuple(consent)

    def event(self) -> Event:
        """This very object, an event from now on."""
        self.__class__ = Event  # type: ignore[assignment]
        return self  # type: ignore[return-value]
