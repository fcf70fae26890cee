"""What is told about an erasure, and of a shopper who asks what is known of them."""

from collections.abc import Iterable, Iterator
from dataclasses import fields
from enum import StrEnum
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from recsys.clock import to_datetime
from recsys.event import Event
from recsys.log.erasures import Kind
from serving.store.protocol import Exposure, Forgotten, Place


class Outcome(StrEnum):
    """What an erasure means for one place."""

    ERASED = "erased"
    DUE = "due"
    UNCHANGED = "unchanged"


class ErasedPlace(BaseModel):
    """One place in which something of the shopper was, or may be."""

    model_config = ConfigDict(frozen=True)

    place: str
    outcome: Outcome = Field(
        description="`erased`: nothing of the shopper is there; `due`: it goes with what `detail` names; `unchanged`: "
        "this service cannot reach it."
    )
    removed: int | None = Field(default=None, description="How many records went.")
    blanked: int | None = Field(
        default=None, description="How many records of others lost the id of a visitor whom they shared."
    )
    detail: str | None = None


class ErasureReceipt(BaseModel):
    """What an erasure did, and what is left to do. It names nobody; a repeat gives the same one."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "receipt_id": "9f2c61a7a4f04f1c8f3a",
                    "kind": "user",
                    "erased_at": "2024-05-01T12:00:00Z",
                    "visitors": 2,
                    "places": [
                        {"place": "store: table events", "outcome": "erased", "removed": 7, "blanked": 1},
                        {
                            "place": "exported files",
                            "outcome": "due",
                            "detail": "the next recsys-export takes them out of every file",
                        },
                    ],
                }
            ]
        },
    )

    receipt_id: str = Field(description="The HMAC of the id, by which the store knows the shopper again.")
    kind: Kind
    erased_at: AwareDatetime
    visitors: int = Field(description="How many visitors (anonymous ids) were erased with the user.")
    places: list[ErasedPlace]


_ELSEWHERE = (
    ErasedPlace(
        place="memory of the replicas",
        outcome=Outcome.ERASED,
        detail="this one's at once, the others' within a second; nothing remembered is answered from meanwhile",
    ),
    ErasedPlace(
        place="exported files",
        outcome=Outcome.DUE,
        detail="the next recsys-export takes the shopper out of every file of its folder and marks them erased there",
    ),
    ErasedPlace(
        place="event log",
        outcome=Outcome.DUE,
        detail="the next recsys-ingest or recsys-retrain with these files takes the shopper out of the log; "
        "recsys-erase does it for a log of other sources",
    ),
    ErasedPlace(
        place="models and bundles",
        outcome=Outcome.UNCHANGED,
        detail="those made before hold no id, but learnt from the shopper; train again and promote",
    ),
    ErasedPlace(
        place="backups and copies",
        outcome=Outcome.UNCHANGED,
        detail="copies of the store, of its files and of exported files made before are yours to delete",
    ),
)


def receipt_of(forgotten: Forgotten, places: Iterable[Place]) -> ErasureReceipt:
    """The receipt as it is sent."""
    in_store = [
        ErasedPlace(place=f"store: {one.name}", outcome=Outcome.ERASED, removed=one.removed, blanked=one.blanked)
        for one in places
    ]
    left = [ErasedPlace(place="store", outcome=Outcome.UNCHANGED, detail=said) for said in forgotten.remains]
    return ErasureReceipt(
        receipt_id=forgotten.digest,
        kind=forgotten.kind,
        erased_at=to_datetime(forgotten.at),
        visitors=forgotten.visitors,
        places=[*in_store, *left, *_ELSEWHERE],
    )


def said_of(event: Event | Exposure) -> dict[str, Any]:
    """Everything that is known in an event or a slate, its instant as people write it."""
    return dict(_said(event))


def _said(one: Event | Exposure) -> Iterator[tuple[str, Any]]:
    for field in fields(one):
        value = getattr(one, field.name)
        if field.name == "items":
            yield "items", [item._asdict() for item in value]
        elif value is not None:
            yield field.name, to_datetime(value) if field.name in ("occurred_at", "at") else value
