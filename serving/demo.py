"""`python -m serving.demo`: serve the champion, play one shopper over real HTTP, and go on serving until Ctrl-C.

`DEMO_EXIT=1` ends after the play, with exit status 1 if a promise was broken.
"""

import asyncio
import os
import signal
import sys
import uuid
from pathlib import Path

import httpx
import hydra
from omegaconf import DictConfig
from rich.console import Console

from recsys.errors import RecsysError
from serving.launch import assemble, running
from serving.play import Play
from serving.security import admission
from serving.serve import asked_to_stop, refuse_wrong_settings


def main() -> None:
    """Entry point."""
    refuse_wrong_settings()
    _demo()


@hydra.main(version_base="1.3", config_path="pkg://conf", config_name="serve")
def _demo(config: DictConfig) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    console = Console()
    config.clock = "data_end"
    config.store.path = str(Path(config.outputs, "demo", f"events-{uuid.uuid4().hex[:8]}.db"))
    try:
        console.print("starting the server ...")
        with running(*assemble(config)) as server:
            with httpx.Client(base_url=server.address, timeout=30) as http:
                now = http.get("/readyz").raise_for_status().json()["clock"]
                console.print(f"The demo's clock starts where the log ends: it is {now} here. Send no occurred_at.")
                play = Play(http, console)
                play.run()
            if os.environ.get("DEMO_EXIT") != "1":
                asked = asked_to_stop()
                for line in asyncio.run(admission.welcome(config)):
                    console.print(line, markup=False, highlight=False, soft_wrap=True)
                console.print(f"\nThe API and its documentation: {server.address}/docs")
                mlflow = Path(sys.executable).with_name("mlflow")
                console.print(f"The experiments: {mlflow} ui --backend-store-uri {_absolute(config)}", soft_wrap=True)
                console.print("Serving until Ctrl-C.")
                asked.wait()
    except RecsysError as failure:
        sys.exit(f"error: {failure}")
    except KeyboardInterrupt:
        sys.exit("stopped in the middle of the play")
    sys.exit(f"{len(play.broken)} promises were broken" if play.broken else 0)


def _absolute(config: DictConfig) -> str:
    """The registry's address, also from another folder."""
    return str(config.release.tracking_uri).replace(
        "sqlite:///" + config.outputs, f"sqlite:///{Path(config.outputs).absolute()}"
    )


if __name__ == "__main__":
    main()
