"""Who was erased from the service leaves the files that were exported, and the log that took them in, for good."""

from pathlib import Path

import pytest

from recsys.data import export_erasures
from recsys.data.exports import with_exports
from recsys.event import Event, EventType
from recsys.log.erase import Named
from recsys.log.reader import EventLog
from recsys.log.writer import write_log
from serving.exporter import export
from serving.store.protocol import OnlineStore
from tests.made_up_shop import MadeUpShop
from tests.serving.shop import NOW
from tests.serving.test_erasure import TABLET, USER, UTE, VISITOR, exported

SHOP = MadeUpShop(shoppers=2)


def did(event_id: str, *, user: str | None = None, visitor: str | None = None) -> Event:
    return Event(
        event_id=event_id,
        type=EventType.VIEW,
        occurred_at=NOW,
        user_id=user,
        anonymous_id=visitor,
        item_id="item-001",
    )


async def told(store: OnlineStore) -> None:
    await store.append([did("1", user=USER), did("2", visitor=VISITOR), did("3", user=USER, visitor=VISITOR)])
    await store.append([did("4", user="vera", visitor=VISITOR), did("5", user="vera")])


def logged(folder: Path) -> dict[str, tuple[str | None, str | None]]:
    """User and visitor of each event of the service that a log holds."""
    events = EventLog(folder).events()
    rows = zip(*(events[name].to_pylist() for name in ("event_id", "user_id", "anonymous_id")), strict=True)
    return {event: (user, visitor) for event, user, visitor in rows if "-" not in event}


async def test_a_log_honours_at_the_next_ingest_whom_the_service_erased(store: OnlineStore, tmp_path: Path) -> None:
    exports, log = tmp_path / "exports", tmp_path / "log"
    await told(store)
    await export(store, exports)
    source = with_exports(SHOP, exports)
    before = write_log(source, log)
    assert set(logged(log)) == {"1", "2", "3", "4", "5"}
    assert (before.events, write_log(source, log)) == (before.events, before)
    await store.forget(UTE, at=NOW)
    assert write_log(source, log) == before, "nothing is due before the export says so"
    assert (await export(store, exports)).erased == 3
    told_of: list[str] = []
    after = write_log(source, log, tell=told_of.append)
    assert logged(log) == {"4": ("vera", None), "5": ("vera", None)}
    assert after.events == before.events - 3
    assert "2 ids were erased where the events came from: 3 events and 0 refused rows left the log" in told_of[-1]
    assert write_log(source, log) == after
    assert write_log(source, log, rebuild=True).events == after.events
    assert logged(log) == {"4": ("vera", None), "5": ("vera", None)}
    assert "".join(told_of).count(USER) == 0


async def test_a_log_also_loses_the_visitors_whom_its_own_rows_give_to_the_erased(
    store: OnlineStore, tmp_path: Path
) -> None:
    """The service never heard of the tablet; another of its stores did, and the log has both."""
    here, log = tmp_path / "exports", tmp_path / "log"
    await store.append([did("x1", user=USER, visitor=TABLET), did("x2", visitor=TABLET), did("x3", user="vera")])
    await export(store, here)
    write_log(with_exports(SHOP, here), log)
    erasures = export_erasures.Erasures().adding("user", [USER])
    export_erasures.ExportedErasures(here)._write(erasures.entries, [])
    write_log(with_exports(SHOP, here), log)
    assert logged(log) == {"x3": ("vera", None)}


async def test_an_export_that_was_killed_while_it_took_the_erased_out_is_finished_by_the_next(
    store: OnlineStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await told(store)
    await export(store, tmp_path, rows=2)
    await store.forget(UTE, at=NOW)
    sifted, calls = export_erasures._sifted, 0

    def killed(path: Path, erasures: export_erasures.Erasures) -> int:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeyboardInterrupt
        return sifted(path, erasures)

    monkeypatch.setattr(export_erasures, "_sifted", killed)
    with pytest.raises(KeyboardInterrupt):
        await export(store, tmp_path)
    assert len(exported(tmp_path)) == 3, "the first file is done"
    monkeypatch.undo()
    assert (await export(store, tmp_path)).erased == 1
    assert exported(tmp_path) == [("4", None), ("5", None)]


async def test_of_a_visitor_erased_alone_a_log_keeps_what_users_did_without_the_visitor(
    store: OnlineStore, tmp_path: Path
) -> None:
    exports, log = tmp_path / "exports", tmp_path / "log"
    await told(store)
    await export(store, exports)
    write_log(with_exports(SHOP, exports), log)
    await store.forget(Named("anonymous", VISITOR), at=NOW)
    await export(store, exports)
    write_log(with_exports(SHOP, exports), log)
    assert logged(log) == {"1": (USER, None), "3": (USER, None), "4": ("vera", None), "5": ("vera", None)}
