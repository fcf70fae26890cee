"""What a client may say in an event, and what it is told about each one."""

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from recsys.event import EventType

MAX_BATCH = 1_000

Text = Annotated[str, Field(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f\x7f]+$")]
Prose = Annotated[str, Field(pattern=r"^[^\x00]*$")]
"""Text on any number of lines; the one character that no store, file or language agrees on is refused."""
Money = Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]


def _only_text(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError("must be an ISO 8601 text with an offset, such as 2017-12-05T18:30:00+01:00")
    return value


Moment = Annotated[AwareDatetime, BeforeValidator(_only_text), Field(strict=False)]
"""An ISO 8601 text with an offset; a bare local time or a number is refused because it could mean two instants."""


class EventIn(BaseModel):
    """One thing a shopper did."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        title="Event",
        json_schema_extra={
            "examples": [
                {
                    "type": "view",
                    "anonymous_id": "a-51",
                    "session_id": "s-7",
                    "item_id": "item-017",
                    "channel": "web",
                    "device": "phone",
                },
                {
                    "event_id": "order-991-line-1",
                    "type": "purchase",
                    "occurred_at": "2017-12-05T18:30:00+01:00",
                    "user_id": "u-12",
                    "anonymous_id": "a-51",
                    "item_id": "item-017",
                    "quantity": 2,
                    "price": 3.49,
                    "currency": "USD",
                },
            ]
        },
    )

    event_id: Text | None = Field(
        default=None, description="Unique; sent again, it is a duplicate. Made up if left out."
    )
    type: Annotated[EventType, Field(strict=False)] = Field(description="What the shopper did.")
    occurred_at: Moment | None = Field(default=None, description="When it happened, with offset; now if left out.")
    user_id: Text | None = Field(default=None, description="The known shopper; this or `anonymous_id` is needed.")
    anonymous_id: Text | None = Field(
        default=None,
        description="The visitor; together with `user_id` it links the two, with `unlink` it parts them.",
    )
    session_id: Text | None = None
    channel: Text | None = Field(default=None, description="web, app, shop floor, ...")
    device: Text | None = None
    store: Text | None = Field(default=None, description="Which store or market.")
    item_id: Text | None = Field(
        default=None,
        description="The item; every type but `search`, `offer`, `redeem`, `link`, `unlink` and `consent` needs one.",
    )
    quantity: float = Field(default=1.0, gt=0, le=1e6, allow_inf_nan=False, description="Units.")
    price: Money | None = Field(default=None, description="What one unit cost the shopper.")
    list_price: Money | None = Field(default=None, description="What one unit costs without any discount.")
    currency: str | None = Field(default=None, pattern=r"^[A-Z]{3}$", description="ISO 4217.")
    query: Prose | None = Field(
        default=None, min_length=1, max_length=1024, description="The search text; `search` needs one."
    )
    filters: list[Text] | None = Field(
        default=None, max_length=64, description='What a search was narrowed or sorted by, as "key:value".'
    )
    rating: float | None = Field(
        default=None,
        ge=-1e6,
        le=1e6,
        allow_inf_nan=False,
        description="What the shopper gave, in the shop's own units.",
    )
    offer_id: Text | None = Field(
        default=None, description="The campaign, coupon or offer; `offer` and `redeem` need one."
    )
    placement: Text | None = None
    recommendation_id: Text | None = Field(default=None, description="The answer that led here.")
    position: int | None = Field(default=None, ge=0, le=10_000, description="Rank in that answer, from 0.")
    consent: list[Text] | None = Field(
        default=None,
        max_length=32,
        description="The purposes that the shopper agrees to from now on, and no others; needed by `consent`. "
        "Left out, it says nothing.",
    )


class EventBatch(BaseModel):
    """Up to 1,000 events, each judged on its own."""

    model_config = ConfigDict(extra="forbid", strict=True, title="EventBatch")

    events: list[EventIn] = Field(min_length=1, max_length=MAX_BATCH)


class Receipt(BaseModel):
    """What became of one event; `accepted` and `duplicate` mean that it is durably stored."""

    model_config = ConfigDict(frozen=True)

    event_id: str | None = Field(description="The event's id; null if a rejected event had none that could be read.")
    status: Literal["accepted", "duplicate", "rejected"]
    reason: str | None = Field(default=None, description="Why it was rejected.")
    note: str | None = Field(default=None, description="Something worth knowing about an accepted event.")


class Receipts(BaseModel):
    """One receipt per event, in the order they were sent."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "accepted": 1,
                    "duplicate": 0,
                    "rejected": 0,
                    "results": [{"event_id": "e-1", "status": "accepted", "reason": None, "note": None}],
                }
            ]
        },
    )

    accepted: int
    duplicate: int
    rejected: int
    results: list[Receipt]
