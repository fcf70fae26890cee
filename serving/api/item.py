"""What a shop may say of its items, and what it is told about each change."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from serving.api.event import Money, Prose, Text
from serving.store.item import ItemOutcome

MAX_ROWS = 5_000
MAX_ATTRIBUTES = 64
MAX_PLACES = 1_000
LongText = Annotated[Prose, Field(max_length=4_000)]
Title = Annotated[Prose, Field(min_length=1, max_length=1_000)]
Attribute = (
    Annotated[Prose, Field(max_length=256)]
    | bool
    | Annotated[float, Field(allow_inf_nan=False)]
    | Annotated[list[Annotated[Prose, Field(max_length=256)]], Field(max_length=64)]
)

_STRICT = ConfigDict(extra="forbid", strict=True, frozen=True)


class ItemIn(BaseModel):
    """An item, whole: what is left out is unknown."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        title="Item",
        json_schema_extra={
            "examples": [
                {
                    "title": "Ground coffee 500 g",
                    "category": ["Pantry", "Coffee"],
                    "brand": "North Pier",
                    "price": 6.99,
                    "currency": "EUR",
                    "available": True,
                    "available_in": {"berlin": False},
                    "attributes": {"organic": True, "grams": 500},
                }
            ]
        },
    )

    title: Title
    category: Annotated[list[Text], Field(max_length=16)] = Field(
        default_factory=list, description="The path to its category, the widest first."
    )
    brand: Text | None = None
    price: Money | None = None
    currency: Text | None = None
    available: bool = Field(default=True, description="Whether it can be bought, wherever nothing else is said.")
    available_in: Annotated[dict[Text, bool], Field(max_length=MAX_PLACES)] = Field(
        default_factory=dict, description="Whether it can be bought in single stores or markets."
    )
    attributes: Annotated[dict[Text, Attribute], Field(max_length=MAX_ATTRIBUTES)] = Field(
        default_factory=dict, description="The shop's own; filters can ask for them."
    )
    text: LongText | None = Field(default=None, description="A description.")


class ItemPatch(BaseModel):
    """Members of an item that change (a JSON merge patch, RFC 7396): null takes one away, what is left out stays."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        json_schema_extra={"examples": [{"price": 5.99, "available_in": {"berlin": True, "paris": None}}]},
    )

    title: Title | None = None
    category: Annotated[list[Text], Field(max_length=16)] | None = None
    brand: Text | None = None
    price: Money | None = None
    currency: Text | None = None
    available: bool | None = None
    available_in: Annotated[dict[Text, bool | None], Field(max_length=MAX_PLACES)] | None = None
    attributes: Annotated[dict[Text, Attribute | None], Field(max_length=MAX_ATTRIBUTES)] | None = None
    text: LongText | None = None

    @model_validator(mode="after")
    def _says_something(self) -> "ItemPatch":
        if not self.model_fields_set:
            raise ValueError("the patch changes nothing; name at least one member")
        if "title" in self.model_fields_set and self.title is None:
            raise ValueError("title: an item needs one; give a text, or leave it out to keep it")
        if "available" in self.model_fields_set and self.available is None:
            raise ValueError("available: say true or false, or leave it out to keep it")
        for name in ("available_in", "attributes"):
            if name in self.model_fields_set and getattr(self, name) is None:
                raise ValueError(f"{name}: set to null what shall be forgotten, member by member")
        return self


class BulkRow(BaseModel):
    """One line of a bulk request."""

    model_config = _STRICT

    op: Literal["put", "patch", "delete"]
    item_id: Text
    item: dict[str, Any] | None = Field(default=None, description="As in PUT or PATCH; nothing to delete.")


class ItemReceipt(BaseModel):
    """What came of one change."""

    model_config = ConfigDict(frozen=True)

    item_id: str | None
    outcome: ItemOutcome | Literal["rejected"]
    row: int | None = Field(default=None, description="Line of a bulk request, from 0.")
    reason: str | None = None


class ItemReceipts(BaseModel):
    """What came of a bulk request: changed rows are durable, and seen by every replica within a second."""

    model_config = ConfigDict(frozen=True)

    changed: int
    unknown: int
    rejected: int
    results: list[ItemReceipt]


class ItemOut(BaseModel):
    """An item as answers show it now."""

    model_config = ConfigDict(frozen=True)

    item_id: str
    title: str
    category: list[str]
    brand: str | None
    price: float | None
