"""Several workers, on one machine or many: Ray Train starts them, torch's DistributedDataParallel adds up gradients.

Every worker takes its part of each batch and draws the same negatives, so the losses are those of one worker with the
whole batch, those of intent heads too, to rounding (with dropout: in distribution). A worker that dies is replaced: all
go on from the last checkpoint. Where `address` names a cluster, the outputs folder must be on storage that all machines
see, since checkpoints lie there; data and weights travel through Ray.

Li et al., "PyTorch distributed: experiences on accelerating data parallel training" (VLDB 2020). Ray Train:
https://docs.ray.io/en/latest/train/train.html.
"""

import logging
import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Thread
from typing import Any

from torch import nn

from recsys.errors import ConfigError, TrainingError
from recsys.protocols import Encoder, Loss, Sampler
from recsys.sequence.loader import Loader
from training.checkpoint import Checkpoints
from training.engine.ray import LOCAL, RayEngine
from training.protocols import Optimizer, Schedule, Watch
from training.trainer.mailbox import DriversEar, Mailbox
from training.trainer.shipment import Shipment
from training.trainer.single import SingleTrainer
from training.trainer.worker import Task, work

_ROOM_MIB = 100
_LISTEN_S = 0.2
_NEVER = "never"
_TABLES = (nn.Embedding, nn.EmbeddingBag)


@dataclass(frozen=True, slots=True, kw_only=True)
class RayTrainer(SingleTrainer):
    """As `SingleTrainer`, shared out; `batch_tokens` are those of the whole batch. What is "auto" is the plain way:
    nothing is measured.

    Args:
        workers: how many.
        cores: of each worker, which are its threads.
        gpus: whether each worker has a GPU of its own; `device` plays no part then.
        address: "local" for a private Ray on this machine; or the cluster to join, auto or HOST:PORT of its head, of
            which this machine must be one.
        failures: how many times workers that died are replaced.
    """

    workers: int = 2
    cores: int = 1
    gpus: bool = False
    address: str = LOCAL
    failures: int = 3

    def __post_init__(self) -> None:
        # zero-argument super() does not find its way in a dataclass with slots
        SingleTrainer.__post_init__(self)
        if self.address.startswith("ray://"):
            raise ConfigError(
                f"trainer.address={self.address} is for clients outside of a cluster; run the command on a machine of "
                "the cluster (ray job submit -- ...) with trainer.address=auto"
            )
        for name, least in (("workers", 1), ("cores", 1), ("failures", 0)):
            if getattr(self, name) < least:
                raise ConfigError(f"trainer.{name} is {getattr(self, name)}; give at least {least}")

    def fit(
        self,
        encoder: Encoder,
        loader: Loader,
        *,
        loss: Loss,
        sampler: Sampler,
        optimizer: Optimizer,
        schedule: Schedule,
        seed: int,
        watch: Watch,
        checkpoints: Checkpoints,
        epochs: int | None = None,
    ) -> Mapping[str, float]:
        """Train `encoder`, keep the weights of the best validated epoch, leave it on the CPU in eval mode.

        Raises:
            ConfigError: the encoder cannot be fitted here.
            TrainingError: the loss or its gradient is no number, or workers died more than `failures` times.
        """
        if not isinstance(encoder, nn.Module):
            raise ConfigError(f"the encoder {type(encoder).__name__} is no torch module and cannot be fitted")
        if self.gpus and any(part.sparse for part in encoder.modules() if isinstance(part, _TABLES)):
            raise ConfigError(
                "tower.sparse=true gives gradients of single rows, which NCCL does not add up between GPUs; "
                "use tower.sparse=false or trainer.gpus=false"
            )
        if self.resume == _NEVER:
            checkpoints.clear()
        encoder.eval()
        shipment = Shipment.of(loader)
        task = Task(
            trainer=self, cores=self.cores, encoder=encoder, loss=loss, sampler=sampler, optimizer=optimizer,
            schedule=schedule, seed=seed, checkpoints=checkpoints, epochs=epochs,
        )  # fmt: skip
        ear = DriversEar(encoder, watch)
        cores = self.workers * self.cores
        engine = RayEngine(address=self.address, cores=cores, object_store_mib=_ROOM_MIB + 2 * shipment.mib)
        try:
            engine.start()
            self._listen(ear, task, shipment)
        finally:
            engine.stop()
        if ear.refused is not None:
            raise TrainingError(ear.refused)
        if ear.measured is None:
            raise TrainingError("the workers ended without a result; look at Ray's logs with trainer.address=auto")
        encoder.eval()
        return ear.measured

    def _listen(self, ear: DriversEar, task: Task, shipment: Shipment) -> None:
        """Run the workers, and do what they ask for, until they are done."""
        import ray

        mailbox: Any = ray.remote(num_cpus=0)(Mailbox).remote()
        running = _beside(self._run, {"task": task, "shipment": ray.put(shipment), "mailbox": mailbox})
        try:
            while True:
                over = running.done()
                found = ray.get(mailbox.take.remote(_LISTEN_S))
                if found is None and over:
                    break
                if found is not None:
                    number, message = found
                    answer = ear.hear(message)
                    if number is not None:
                        ray.get(mailbox.answer.remote(number, answer))
        except BaseException:
            ray.shutdown()  # the workers end; nobody waits for the thread that waited for them
            raise
        _insist_ended_well(running, self.failures)

    def _run(self, config: dict[str, Any]) -> None:
        """The workers from start to end, and again where one died."""
        from ray.train import FailureConfig, RunConfig, ScalingConfig
        from ray.train.torch import TorchConfig, TorchTrainer

        logging.getLogger("ray.train").setLevel(logging.CRITICAL)
        folder = config["task"].checkpoints.folder.absolute().parent / "ray"
        # On this machine alone, gloo shall not listen to the network.
        only_here = {"GLOO_SOCKET_IFNAME": "lo"} if self.address == LOCAL else {}
        resources = {"CPU": float(self.cores)} | ({"GPU": 1.0} if self.gpus else {})
        trainer = TorchTrainer(
            work,
            train_loop_config=config,
            torch_config=TorchConfig(backend="nccl" if self.gpus else "gloo"),
            scaling_config=ScalingConfig(num_workers=self.workers, use_gpu=self.gpus, resources_per_worker=resources),
            run_config=RunConfig(  # type: ignore[call-arg]  # mypy sees the class of Ray Train's first version
                storage_path=str(folder),
                failure_config=FailureConfig(max_failures=self.failures),
                worker_runtime_env={"env_vars": {**only_here, "OMP_NUM_THREADS": str(self.cores)}},
            ),
        )
        try:
            trainer.fit()
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _beside(waiting: Callable[[dict[str, Any]], None], config: dict[str, Any]) -> "Future[None]":
    """Do it in a thread that holds up no end of this process: a wait for Ray may outlast Ray's own end."""
    running: Future[None] = Future()

    def do() -> None:
        try:
            waiting(config)
            running.set_result(None)
        except BaseException as error:  # noqa: BLE001  # handed on to who asks for the result
            running.set_exception(error)

    Thread(target=do, daemon=True).start()
    return running


def _insist_ended_well(running: "Future[None]", failures: int) -> None:
    from ray.train import TrainingFailedError

    try:
        running.result()
    except TrainingFailedError as error:
        raise TrainingError(
            f"the workers died more than trainer.failures={failures} times ({str(error).splitlines()[0]}); training "
            "goes on from its last checkpoint when it is started again"
        ) from error
