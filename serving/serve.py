"""`python -m serving.serve`, also `recsys-serve`: put a release on the network until Ctrl-C."""

import asyncio
import signal
import sys
import threading

import hydra
from hydra.utils import instantiate
from omegaconf import DictConfig
from rich.console import Console

from conf.overrides import check_command_line
from recsys.clock import SystemClock
from recsys.errors import RecsysError
from serving.follow import follow
from serving.launch import assemble, exporting, running
from serving.security import admission
from serving.watching.logs import dress

_console = Console()


def main() -> None:
    """Entry point: refuse a command line that does not compose, then serve what it describes."""
    refuse_wrong_settings()
    _serve()


def refuse_wrong_settings() -> None:
    """End with status 2 and what exists instead, if the command line names what does not."""
    if problem := check_command_line("serve"):
        Console(stderr=True).print(problem, style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(2)


@hydra.main(version_base="1.3", config_path="pkg://conf", config_name="serve")
def _serve(config: DictConfig) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        server, args = assemble(config)
        dress(args.log_format)
        for line in asyncio.run(admission.welcome(config)):
            _console.print(line, markup=False, highlight=False, soft_wrap=True)
        with exporting(config), running(server, args):
            asked = asked_to_stop()
            documentation = f"documentation: {server.address}/docs, " if config.security.documentation else ""
            _console.print(f"answering at {server.address}  ({documentation}stop with Ctrl-C)")
            if args.follow:
                asyncio.run(_follow(config, asked))
            asked.wait()
            _console.print("finishing the requests on their way ...")
    except RecsysError as failure:
        sys.exit(f"error: {failure}")
    except KeyboardInterrupt:
        sys.exit("stopped before it was ready")


async def _follow(config: DictConfig, stop: threading.Event) -> None:
    """Tell the replicas which release the registry wants, until asked to stop."""
    store = instantiate(config.store)
    await store.open()
    try:
        await follow(instantiate(config.release), store, SystemClock(), every_s=config.follow_every_s, stop=stop)
    finally:
        await store.close()


def asked_to_stop() -> threading.Event:
    """Set once the process is asked to stop; a second Ctrl-C does not interrupt the stopping."""
    asked = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: asked.set())
    return asked


if __name__ == "__main__":
    main()
