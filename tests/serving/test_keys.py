"""Keys themselves: how they are made, kept, found, ended, and the command that does it."""

import asyncio
import hashlib
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.clock import DAY, HOUR, ManualClock, SystemClock
from recsys.errors import ConfigError, StoreError
from serving.security.key import Kind, development_key
from serving.security.keyring import NOTE, Keyring, change, parsed, read
from serving.security.scope import Scope
from serving.store.protocol import Note
from serving.store.sqlite import SqliteStore
from tests.serving.locked import a_key
from tests.serving.shop import NOW


def test_of_a_key_a_hash_is_kept_and_nothing_that_it_could_be_made_from() -> None:
    key, text = a_key(Scope.ADMIN)
    kind, name, secret = text.split("_")
    assert (kind, name, len(bytes.fromhex(secret))) == ("sk", key.id, 32)
    assert key.digest == hashlib.sha256(text.encode()).hexdigest()
    assert secret not in repr(key)


def test_a_key_is_found_by_its_whole_text_only() -> None:
    (one, text), (other, _) = a_key(Scope.ADMIN), a_key(Scope.ADMIN)
    ring = Keyring([one, other])
    assert ring.find(text, now=NOW) is one
    for wrong in (
        text[:-1],
        text + "0",
        text.upper(),
        text.replace(one.id, other.id),
        "pk" + text[2:],
        one.id,
        "",
        "__",
    ):
        assert ring.find(wrong, now=NOW) is None


@given(st.text(max_size=200))
def test_nothing_that_is_no_key_is_found_or_makes_trouble(text: str) -> None:
    key, _ = a_key(Scope.ADMIN)
    assert Keyring([key]).find(text, now=NOW) is None
    assert Keyring([key]).find(f"sk_{key.id}_{text}", now=NOW) is None


def test_a_key_lives_until_it_ends_and_an_end_is_never_put_off() -> None:
    key, text = a_key(Scope.ADMIN)
    ring = Keyring([key]).ending(key.id, NOW + 10).ending(key.id, NOW + 20)
    assert ring.find(text, now=NOW + 9) is not None
    assert ring.find(text, now=NOW + 10) is None


def test_a_development_key_opens_loopback_for_a_week_and_nothing_else() -> None:
    key, text = development_key(NOW)
    ring = Keyring([key])
    assert key.scopes == {Scope.ADMIN}
    assert ring.find(text, now=NOW + 7 * DAY - 1) is key
    assert ring.find(text, now=NOW + 7 * DAY) is None
    assert ring.living(NOW, on_loopback=True) == [key]
    assert ring.living(NOW, on_loopback=False) == []


@pytest.mark.parametrize("scope", [Scope.ADMIN, Scope.CATALOGUE_WRITE, Scope.EVENTS_BACKFILL])
def test_a_key_for_browsers_may_write_events_and_read_answers_and_never_more(scope: Scope) -> None:
    with pytest.raises(ConfigError, match=f"may not have {scope}"):
        a_key(Scope.EVENTS_WRITE, scope, kind=Kind.PUBLISHABLE)


@pytest.mark.parametrize(
    "origin",
    [
        "*",
        "https://*",
        "https://*.shop.example",
        "https://shop.example/",
        "shop.example",
        "null",
        "https://Shop.example",
    ],
)
def test_an_origin_is_one_page_and_no_wildcard(origin: str) -> None:
    with pytest.raises(ConfigError, match="scheme, host and port"):
        a_key(Scope.EVENTS_WRITE, kind=Kind.PUBLISHABLE, origins=(origin,))


def test_a_key_without_scopes_a_name_or_any_rate_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least one scope of events:write"):
        a_key()
    with pytest.raises(ConfigError, match="on one line"):
        a_key(Scope.ADMIN, name="a\nb")
    with pytest.raises(ConfigError, match="let nothing through"):
        a_key(Scope.ADMIN, rate_per_s=0.0)


async def test_keys_survive_in_the_store_and_the_note_holds_no_secret(tmp_path: Path) -> None:
    store, clock = SqliteStore(tmp_path / "events.db"), ManualClock(NOW)
    key, text = a_key(Scope.EVENTS_WRITE, kind=Kind.PUBLISHABLE, origins=("https://shop.example",), rate_per_s=2.5)
    await store.open()
    assert (await read(store)).keys == ()
    await change(store, clock, lambda keys: keys.with_key(key), settles_s=0)
    assert (await read(store)).keys == (key,)
    note = await store.note(NOTE)
    await store.close()
    assert note is not None
    assert text.split("_")[2] not in note.value
    files = [file.read_bytes() for file in tmp_path.iterdir()]  # noqa: ASYNC240 - nobody waits for this loop
    assert all(text.split("_")[2].encode() not in content for content in files)


async def test_of_two_who_change_keys_in_the_same_instant_nobody_loses(tmp_path: Path) -> None:
    one, other = SqliteStore(tmp_path / "events.db"), SqliteStore(tmp_path / "events.db")
    keys = [a_key(Scope.ADMIN)[0] for _ in range(2)]
    await one.open()
    await other.open()
    await asyncio.gather(
        *(
            change(store, ManualClock(NOW), lambda ring, key=key: ring.with_key(key), settles_s=settles_s)
            for store, key, settles_s in zip((one, other), keys, (0.2, 0.3), strict=True)
        )
    )
    assert set((await read(one)).keys) == set(keys)
    await one.close()
    await other.close()


async def test_a_note_that_is_no_list_of_keys_is_refused_without_being_quoted(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "events.db")
    await store.open()
    await store.write_note(NOTE, Note(value='[{"digest": "c0ffee"}]', told_at=NOW))
    with pytest.raises(StoreError, match="no list of keys") as refusal:
        await read(store)
    await store.close()
    assert "c0ffee" not in str(refusal.value)
    with pytest.raises(StoreError):
        parsed("nonsense")


def _run(folder: Path, *arguments: str, status: int = 0) -> str:
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-P", "-m", "serving.keys", *arguments],
        cwd=folder,
        env={"PYTHONPATH": str(root), "PATH": "/usr/bin", "COLUMNS": "200"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def _kept(folder: Path) -> Keyring:
    async def kept() -> Keyring:
        store = SqliteStore(folder / "outputs" / "store" / "events.db")
        await store.open()
        try:
            return await read(store)
        finally:
            await store.close()

    return asyncio.run(kept())


def _printed(said: str) -> str:
    found: Sequence[str] = re.findall(r"\b[sp]k_[0-9a-f]{12}_[0-9a-f]{64}\b", said)
    assert len(found) == 1, said
    return found[0]


@pytest.mark.slow
def test_the_command_makes_lists_replaces_and_revokes(tmp_path: Path) -> None:
    assert "There are no keys" in _run(tmp_path)
    text = _printed(_run(tmp_path, "create=backend", "scopes=[events:write,recommendations:read]"))
    first = _kept(tmp_path).find(text, now=SystemClock().now())
    assert first is not None
    assert (first.name, first.scopes) == ("backend", {Scope.EVENTS_WRITE, Scope.RECOMMENDATIONS_READ})

    listed = _run(tmp_path)
    assert first.id in listed
    assert "events:write, recommendations:read" in listed
    assert text.split("_")[2] not in listed

    newer = _printed(_run(tmp_path, "rotate=backend", "grace_h=2"))
    now = SystemClock().now()
    kept = _kept(tmp_path)
    old, new = kept.find(text, now=now), kept.find(newer, now=now)
    assert old is not None
    assert new is not None
    assert new.scopes == old.scopes
    assert new.ends_at is None
    assert kept.find(text, now=now + 2 * HOUR) is None

    assert new.id in _run(tmp_path, f"revoke={new.id}")
    assert _kept(tmp_path).find(newer, now=SystemClock().now()) is None
    assert "(ended)" in _run(tmp_path)


@pytest.mark.slow
def test_the_command_says_what_it_cannot_do(tmp_path: Path) -> None:
    assert "no scope 'everything'; choose of events:write" in _run(
        tmp_path, "create=a", "scopes=[everything]", status=1
    )
    assert "at least one scope" in _run(tmp_path, "create=a", status=1)
    assert "not exactly one key 'ghost'" in _run(tmp_path, "revoke=ghost", status=1)
    assert "at once" in _run(tmp_path, "revoke=a", "create=b", status=1)
    assert "publishable=true" in _run(
        tmp_path, "create=a", "scopes=[admin]", "origins=[https://shop.example]", status=1
    )
    assert "keys has" in _run(tmp_path, "creat=a", status=2)
    assert _printed(_run(tmp_path, "create=web", "publishable=true", "origins=[https://shop.example]")).startswith(
        "pk_"
    )
