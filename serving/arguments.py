"""What the serving application is built from: plain values only, because they travel to other processes."""

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from recsys.consent import Rules
from serving.experiment import Arm, Experiment


class ConsentArgs(BaseModel):
    """What shoppers must agree to (`recsys/consent.py`), by the shop's own names of purposes: any of them will do."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    default: Literal["granted", "denied"] = Field(
        default="granted", description="What is taken for the answer of shoppers who never said anything."
    )
    personalisation: tuple[str, ...] = Field(default=("personalisation",), min_length=1)
    training: tuple[str, ...] = Field(default=("training",), min_length=1)

    def rules(self) -> Rules:
        """As the service applies them."""
        return Rules.of(default=self.default, personalisation=self.personalisation, training=self.training)


class ArmArgs(BaseModel):
    """One way to answer in an experiment (`serving/experiment.py`)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    share: float = Field(ge=0, description="Of the shoppers, relative to the other arms'.")
    ranker: bool = Field(default=True, description="Whether the ranker orders what is shown, where there is one.")


class ServeArgs(BaseModel):
    """The arguments of `serving.app.build`, on the command line, in `conf/serve.yaml` or in a KubeRay file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bundle: Path = Field(description="The bundle's directory, the same on every node.")
    store: dict[str, JsonValue] = Field(description="An OnlineStore: `_target_` and its settings.")
    replicas: int = Field(default=1, ge=1, description="How many replicas, or the fewest, where their number moves.")
    most_replicas: int | None = Field(
        default=None, ge=1, description="With it the number of replicas follows the load, up to so many."
    )
    target_ongoing: float = Field(
        default=8.0, gt=0, description="Requests that each replica shall work on, on average, where their number moves."
    )
    scale_up_after_s: float = Field(default=5.0, ge=0, description="How long it must be too much for one more.")
    scale_down_after_s: float = Field(default=300.0, ge=0, description="How long it must be too little for one less.")
    replicas_per_node: int | None = Field(
        default=None, ge=1, description="The most replicas on one machine, so that others hold the rest."
    )
    threads: int = Field(default=1, ge=1, description="Cores per replica for encoder and index.")
    max_concurrent: int = Field(default=128, ge=1, description="Requests one replica works on before it answers 503.")
    largest_batch: int = Field(default=32, ge=1, description="How many waiting requests are answered in one go.")
    deadline_ms: int = Field(
        default=2_000, ge=10, description="How long an answer may take where the request has no X-Deadline-Ms."
    )
    store_timeout_ms: int = Field(default=500, ge=1, description="How long a shopper's history is waited for.")
    encoding: dict[str, JsonValue] = Field(
        default={"_target_": "serving.encoding.inside.Inside"},
        description="An Encoding: `_target_` and its settings; where the encoder runs.",
    )
    clock_shift: int = Field(default=0, description="Microseconds between the machine's time and the service's now.")
    consent: ConsentArgs = ConsentArgs()
    experiments: dict[str, dict[str, ArmArgs]] = Field(
        default_factory=dict, description="The arms of each experiment by name; each shopper is in one arm of each."
    )
    seed: int | None = Field(default=None, description="For exploration; None takes fresh entropy.")
    follow: bool = Field(default=True, description="Take over the release that a note in the store wants.")
    metrics_host: str = Field(default="127.0.0.1", description="Where the port for metrics is open.")
    metrics_port: int | None = Field(
        default=None, ge=1, le=65535, description="A port of each machine for the metrics of all its replicas."
    )
    log_format: Literal["plain", "json"] = Field(default="plain", description="How lines of the log are written.")
    folder: Path | None = Field(
        default=None, description="Where relative paths start; None is the worker's own folder."
    )
    security: dict[str, JsonValue] = Field(
        default={"_target_": "serving.security.keys.Keys"},
        description="A Security: `_target_` and its settings. Whoever says nothing asks for keys.",
    )
    private: bool = Field(
        default=False,
        description="Whether clients reach the service on loopback only, so that development keys open it.",
    )
    loopback: bool = Field(
        default=False, description="Keep Ray Serve's internal port off the network; for a single machine."
    )

    @model_validator(mode="after")
    def _fewest_and_most_agree(self) -> Self:
        if self.most_replicas is not None and self.most_replicas < self.replicas:
            raise ValueError(
                f"most_replicas={self.most_replicas} is below replicas={self.replicas}, which is the fewest; raise it"
            )
        return self

    def running_experiments(self) -> list[Experiment]:
        """As the service runs them; ConfigError where one has no arm that anybody could be in."""
        return [
            Experiment(name, [Arm(name=arm, share=said.share, ranker=said.ranker) for arm, said in arms.items()])
            for name, arms in self.experiments.items()
        ]
