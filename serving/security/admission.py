"""Before a server starts: may it, with the keys there are; and what whoever starts it should know."""

from hydra.utils import instantiate
from omegaconf import DictConfig

from recsys.clock import Clock, SystemClock
from serving.security.key import development_key
from serving.security.keyring import Keyring, change, read
from serving.security.policy import Security, is_loopback
from serving.store.protocol import OnlineStore


async def check(security: Security, store: OnlineStore, *, host: str, clock: Clock | None = None) -> None:
    """Raise ConfigError where a server on `host` must not start, StoreError where its keys cannot be read."""
    await store.open()
    try:
        keys = await read(store)
    finally:
        await store.close()
    security.check(host, keys.living((clock or SystemClock()).now(), on_loopback=is_loopback(host)))


async def welcome(config: DictConfig, *, clock: Clock | None = None) -> list[str]:
    """What to print when a server of `conf/serve.yaml` starts: who may ask and, the first time on loopback, a
    development key, which is told here and never again."""
    security: Security = instantiate(config.security)
    lines = [security.words()]
    if not is_loopback(config.server.host):
        return lines
    clock = clock or SystemClock()
    store: OnlineStore = instantiate(config.store)
    await store.open()
    try:
        keys = await read(store)
        if not keys.keys:
            key, text = development_key(clock.now())
            kept = await change(store, clock, lambda keys: keys if keys.keys else Keyring([key]), settles_s=0)
            lines += [
                f"development key, for a week, on loopback only: {text}\n"
                f"  try it: curl -H 'authorization: Bearer {text}' http://{config.server.host}:{config.server.port}/readyz"
            ] * (key in kept.keys)
        elif not keys.living(clock.now(), on_loopback=True):
            lines.append("every key has ended; recsys-keys create=NAME scopes=[admin] makes one, without a restart")
        elif any(key.development and key.lives(clock.now()) for key in keys.keys):
            lines.append("a development key that was made here earlier still counts; recsys-keys revoke=development")
    finally:
        await store.close()
    return lines
