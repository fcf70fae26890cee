"""What runs inside Redis: the Lua of `serving/store/lua`, each script whole or not at all and in one round trip."""

import hashlib
from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from redis.exceptions import NoScriptError

Argument = str | bytes | int | float
_FOLDER = Path(__file__).parent / "lua"


class Ask(Protocol):
    """Sends one command and returns the reply; redis-py's errors are raised."""

    def __call__(self, *command: Argument) -> Awaitable[Any]:
        """The reply to one command."""
        ...


@dataclass(frozen=True, slots=True)
class Script:
    """A script as Redis knows it: by its text once, by its digest from then on."""

    text: str
    digest: str

    @classmethod
    def of(cls, *names: str, flags: str = "") -> "Script":
        """The files of these names, one after the other; `flags` as in Redis' `#!lua flags=...`.

        A script with that line is refused as a whole where memory has run out, never stopped half-way.
        """
        bodies = [(_FOLDER / f"{name}.lua").read_text(encoding="utf-8") for name in names]
        text = "".join([f"#!lua flags={flags}\n" if flags else "#!lua\n", *bodies])
        return cls(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())

    async def run(self, ask: Ask, *arguments: Argument) -> Any:
        """What it returns; where the server does not know it yet (a new one, a restarted one) it learns it."""
        try:
            return await ask("EVALSHA", self.digest, 0, *arguments)
        except NoScriptError:
            return await ask("EVAL", self.text, 0, *arguments)


HISTORY = Script.of("identity", "history", flags="no-writes")
APPEND = Script.of("identity", "erased", "append")
EXPOSE = Script.of("erased", "expose")
CHANGE_ITEMS = Script.of("change_items")
ITEMS_SINCE = Script.of("items_since", flags="no-writes")
FIND_ROWS = Script.of("find_rows", flags="no-writes")
ERASE_PLAN = Script.of("erasing", "erase_plan")
ERASE_COPY = Script.of("erasing", "erase_copy")
ERASE_SLATES = Script.of("erasing", "erase_slates")
ERASE_EVENTS = Script.of("erasing", "erase_events")
ERASE_UNLOCK = Script.of("erasing", "erase_unlock")
