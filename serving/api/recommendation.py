"""The question for a slate and the answer to it."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue

from recsys.state import Knowledge
from serving.api.event import Moment, Text

MIN_DEADLINE_MS = 5
MAX_DEADLINE_MS = 60_000
DEADLINE: dict[str, Any] = {
    "name": "X-Deadline-Ms",
    "in": "header",
    "required": False,
    "description": "Within how many milliseconds an answer is of use, counted from when the service reads the request.",
    "schema": {"type": "integer", "minimum": MIN_DEADLINE_MS, "maximum": MAX_DEADLINE_MS},
}
"""The header in which a deadline travels with its request."""
_FARTHEST = timedelta(hours=18)
"""No clock on earth is set farther than 14 hours from UTC; local mean time at the date line once was, by two more."""


def _on_earth(moment: datetime) -> datetime:
    offset = moment.utcoffset()
    if offset is not None and abs(offset) > _FARTHEST:
        raise ValueError(f"the offset {offset} is farther from UTC than any place on earth")
    return moment


_STRICT = ConfigDict(extra="forbid", strict=True, frozen=True)


class Shopper(BaseModel):
    """Who asks; both ids may be given, or none for somebody unknown."""

    model_config = _STRICT

    user_id: Text | None = None
    anonymous_id: Text | None = None


class QuestionContext(BaseModel):
    """Where and how the shopper asks."""

    model_config = _STRICT

    local_time: Annotated[Moment, AfterValidator(_on_earth)] | None = Field(
        default=None,
        description="The shopper's own time: its offset tells the model the shopper's hour and weekday; the instant is "
        "the server's.",
    )
    device: Text | None = Field(default=None, description="Told to a model that was trained with devices.")
    channel: Text | None = Field(default=None, description="Told to a model that was trained with channels.")
    store: Text | None = Field(default=None, description="What is out of stock there is not shown.")
    item_id: Text | None = Field(
        default=None,
        description="The item the page is about; send its view as an event to be answered by it. For shoppers who do "
        "not agree to personalisation it is all that an answer goes by.",
    )


_NOBODY, _NOWHERE = Shopper(), QuestionContext()
"""What is taken where a question does not say; nobody can change them."""


class RecommendationRequest(BaseModel):
    """A question for a slate."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "shopper": {"anonymous_id": "a-51"},
                    "session": "s-7",
                    "placement": "home",
                    "context": {"local_time": "2017-12-05T18:30:00+01:00", "device": "phone", "channel": "web"},
                    "count": 5,
                    "exclude": ["item-017"],
                }
            ]
        },
    )

    shopper: Shopper = Field(default_factory=lambda: _NOBODY)
    session: Text | None = None
    placement: Text = "home"
    context: QuestionContext = Field(default_factory=lambda: _NOWHERE)
    count: Annotated[int, Field(ge=1, le=100)] = 10
    exclude: Annotated[list[Text], Field(max_length=1_000)] = Field(
        default_factory=list, description="Items that must not be shown; unknown ids are ignored."
    )
    filter: dict[str, JsonValue] | None = Field(
        default=None,
        description="What alone may be shown, such as "
        '`{"category": "Food > Dairy", "price": {"lt": 5}, "not": {"brand": "Alpine"}}`. '
        "If that many items match, that many come back.",
    )
    exclude_seen: bool = Field(
        default=False, description="Whether to show only what is new to the shopper: nothing they acted on before."
    )


class RecommendedItem(BaseModel):
    """One item of the slate, ready to be shown."""

    model_config = ConfigDict(frozen=True)

    item_id: str
    title: str
    category: list[str]
    brand: str | None
    price: float | None
    score: float
    source: str = Field(description="Which part of the system proposed it.")
    reason: str = Field(description="Why, in words a shopper understands.")
    position: int = Field(description="Rank in the slate, from 0.")
    propensity: float = Field(description="With what probability it was put at this position.")


class RecommendationResponse(BaseModel):
    """The slate; send `recommendation_id` and `position` back with the events that follow from it."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "recommendation_id": "0190f2b6-7c1e-7d3a-9a43-0c7f3a1f5b11",
                    "model_version": "7",
                    "knowledge": "session",
                    "consent": "granted",
                    "degraded": None,
                    "rung": "full",
                    "experiments": {"ranker": "control"},
                    "took_ms": 3.1,
                    "items": [
                        {
                            "item_id": "item-042",
                            "title": "Ground coffee 500 g",
                            "category": ["Pantry", "Coffee"],
                            "brand": "North Pier",
                            "price": 6.99,
                            "score": 0.83,
                            "source": "encoder",
                            "reason": "Because you looked at Espresso beans 1 kg",
                            "position": 0,
                            "propensity": 1.0,
                        }
                    ],
                }
            ]
        },
    )

    recommendation_id: str
    model_version: str
    items: list[RecommendedItem]
    knowledge: Knowledge = Field(description="How well the shopper is known: cold, session or known.")
    consent: Literal["granted", "denied"] | None = Field(
        description="Whether what is known of the shopper may be used. Where it is denied, nothing but this request "
        "was: its item, its context, what it excludes. Null where that could not be read, and nothing else either."
    )
    degraded: str | None = Field(description="What was missing for this answer; null when everything worked.")
    rung: str = Field(
        description="What the answer was made with, the best first: full, without_ranker, without_model, trending, "
        "static."
    )
    experiments: dict[str, str] = Field(description="The arm that the shopper is in, of every experiment that runs.")
    took_ms: float
