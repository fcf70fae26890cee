"""The routes of the items: put, patch, delete, many at once, and one to look at."""

from collections.abc import Callable, Mapping
from typing import Any

from fastapi import APIRouter, Request
from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json
from starlette.responses import Response

from serving.api.event import Text
from serving.api.item import (
    MAX_ROWS,
    BulkRow,
    ItemIn,
    ItemOut,
    ItemPatch,
    ItemReceipt,
    ItemReceipts,
)
from serving.api.problem import TOO_MANY, Problem, errors_of, refused, words
from serving.api.spoken import REFUSALS, body_of, json_of, problems_of, service_of
from serving.security.scope import Scope, needs
from serving.store.item import DeleteItem, ItemChange, ItemOutcome, PatchItem, PutItem

NDJSON = "application/x-ndjson"
router = APIRouter(tags=["items"])
_ITEM_ID: TypeAdapter[str] = TypeAdapter(Text)
_ONE = "/v1/items/{item_id:path}"
_NEEDED = needs(Scope.CATALOGUE_WRITE)


@router.post(
    "/v1/items:bulk",
    summary="Change many items",
    response_model=ItemReceipts,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {NDJSON: {"schema": {"type": "string", "description": "One BulkRow, as JSON, per line."}}},
        }
    }
    | _NEEDED,
    responses=problems_of(*REFUSALS, 400, 413, 422, 503),
)
async def bulk(request: Request) -> Response:
    """One change per line, as JSON: `{"op": "put", "item_id": "a", "item": {...}}`, likewise `patch`; `delete` has no
    item. Up to 5,000 lines; empty ones are passed over.

    Lines are taken in their order, each on its own: a bad one is rejected with the reason, the others are durable.
    """
    lines = [line for line in (await request.body()).splitlines() if line.strip()]
    if not 1 <= len(lines) <= MAX_ROWS:
        raise Problem(422, f"{len(lines)} lines; send 1 to {MAX_ROWS}, a JSON object each", kind="invalid-request")
    stocking = service_of(request).stocking
    results: dict[int, ItemReceipt] = {}
    changes: dict[int, ItemChange] = {}
    for row, line in enumerate(lines):
        try:
            changes[row] = _change(line, stocking.knows)
        except ValueError as refusal:
            results[row] = ItemReceipt(item_id=None, outcome="rejected", row=row, reason=_reason(refusal))
    outcomes = await stocking.change(list(changes.values())) if changes else []
    for (row, change), outcome in zip(changes.items(), outcomes, strict=True):
        results[row] = ItemReceipt(item_id=change.item_id, outcome=outcome, row=row, reason=_why(outcome))
    unknown = sum(result.outcome is ItemOutcome.UNKNOWN for result in results.values())
    rejected = len(lines) - len(changes)
    receipts = ItemReceipts(
        changed=len(changes) - unknown,
        unknown=unknown,
        rejected=rejected,
        results=[results[row] for row in range(len(lines))],
    )
    return json_of(receipts)


@router.put(
    _ONE,
    summary="Say what an item is",
    response_model=ItemReceipt,
    openapi_extra=body_of("ItemIn") | _NEEDED,
    responses=problems_of(*REFUSALS, 400, 404, 413, 422, 503),  # 404: an id with a line break is no path
)
async def put(item_id: str, request: Request) -> Response:
    """The item is this from now on, whether it was known or not; what is left out is unknown. Durable, and answers
    reckon with it at once (of other replicas within a second). A new item lies beside those that it is like."""
    body = _parsed(ItemIn, await request.body())
    return await _told(item_id, request, lambda known: PutItem(_checked(item_id), known, body))


@router.patch(
    _ONE,
    summary="Change parts of an item",
    response_model=ItemReceipt,
    openapi_extra=body_of("ItemPatch") | _NEEDED,
    responses=problems_of(*REFUSALS, 400, 404, 413, 422, 503),
)
async def patch(item_id: str, request: Request) -> Response:
    """A JSON merge patch (RFC 7396): price, stock, availability, whatever is named; null takes a member away."""
    body = _parsed(ItemPatch, await request.body())
    return await _told(item_id, request, lambda known: PatchItem(_checked(item_id), known, body))


@router.delete(
    _ONE,
    summary="Take an item away",
    response_model=ItemReceipt,
    openapi_extra=_NEEDED,
    responses=problems_of(*REFUSALS, 404, 422, 503),
)
async def delete(item_id: str, request: Request) -> Response:
    """No answer shows it any more, until it is put again."""
    return await _told(item_id, request, lambda known: DeleteItem(_checked(item_id), known))


@router.get(_ONE, summary="Look at an item", openapi_extra=_NEEDED, responses=problems_of(*REFUSALS, 404, 422))
async def get(item_id: str, request: Request) -> ItemOut:
    """The item as answers of this replica show it now."""
    item = service_of(request).stocking.shown(_checked(item_id))
    if item is None:
        raise _missing(item_id)
    return ItemOut(
        item_id=item.item_id, title=item.title, category=list(item.category), brand=item.brand, price=item.price
    )


async def _told(item_id: str, request: Request, change: Callable[[bool], ItemChange]) -> Response:
    stocking = service_of(request).stocking
    [outcome] = await stocking.change([change(stocking.knows(item_id))])
    if outcome is ItemOutcome.UNKNOWN:
        raise _missing(item_id)
    return json_of(ItemReceipt(item_id=item_id, outcome=outcome))


def _missing(item_id: str) -> Problem:
    return Problem(404, f"there is no item {item_id!r} on offer; PUT it first", kind="unknown-item")


def _checked(item_id: str) -> str:
    try:
        return _ITEM_ID.validate_python(item_id)
    except ValidationError as failure:
        fault = words(failure.errors(include_url=False, include_context=False)[0])
        raise Problem(422, f"item_id: {fault}", kind="invalid-request") from None


def _parsed(model: type[ItemIn] | type[ItemPatch], body: bytes) -> dict[str, Any]:
    """What was said, and nothing that was not."""
    try:
        return model.model_validate_json(body).model_dump(exclude_unset=True)
    except ValidationError as failure:
        raise refused(failure) from None


def _put_of(row: BulkRow, known: bool) -> ItemChange:
    return PutItem(row.item_id, known, ItemIn.model_validate(row.item).model_dump(exclude_unset=True))


def _patch_of(row: BulkRow, known: bool) -> ItemChange:
    return PatchItem(row.item_id, known, ItemPatch.model_validate(row.item).model_dump(exclude_unset=True))


def _delete_of(row: BulkRow, known: bool) -> ItemChange:
    if row.item is not None:
        raise ValueError("item: there is none to give where an item is deleted")
    return DeleteItem(row.item_id, known)


_OPERATIONS: Mapping[str, Callable[[BulkRow, bool], ItemChange]] = {
    "put": _put_of,
    "patch": _patch_of,
    "delete": _delete_of,
}


def _change(line: bytes, knows: Callable[[str], bool]) -> ItemChange:
    """One line; ValueError says what is wrong with it."""
    row = BulkRow.model_validate(from_json(line, allow_inf_nan=False))
    return _OPERATIONS[row.op](row, knows(row.item_id))


def _why(outcome: ItemOutcome) -> str | None:
    return "there is no such item on offer; put it first" if outcome is ItemOutcome.UNKNOWN else None


def _reason(refusal: ValueError) -> str:
    if not isinstance(refusal, ValidationError):
        return f"not a JSON object: {refusal}" if "item:" not in str(refusal) else str(refusal)
    faults = errors_of(refusal)[:5]
    told = [f"{'.'.join(str(part)[:64] for part in fault['loc']) or 'row'}: {words(fault)}" for fault in faults]
    return "; ".join(told) or TOO_MANY
