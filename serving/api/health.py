"""What the service says about itself."""

from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field


class Health(BaseModel):
    """The process answers; nothing more is promised."""

    status: Literal["ok"] = "ok"


class Ready(BaseModel):
    """The service can answer and acknowledge at this moment; who asks may know no more."""

    model_config = ConfigDict(extra="forbid")

    status: Literal["ready"] = "ready"


class Readiness(BaseModel):
    """The service can answer and acknowledge at this moment."""

    model_config = ConfigDict(protected_namespaces=())

    status: Literal["ready"] = "ready"
    replica: str = Field(description="Which replica says this; a new one after every restart.")
    model_version: str
    previous_version: str | None = Field(
        default=None, description="The release before, still in memory: going back to it takes no loading."
    )
    release_trouble: str | None = Field(default=None, description="Why the wanted release does not answer, if so.")
    registry: str | None = Field(
        default=None, description="How the registry was when it was last asked; null where nobody asks one."
    )
    items: int = Field(description="How many items the model knows.")
    data_end: AwareDatetime = Field(description="The end of the log that the model was trained on.")
    store: str = Field(description="Where events are kept.")
    clock: AwareDatetime = Field(description="What the service takes for now.")
    items_revision: int = Field(description="The last change of an item that this replica has taken over.")
    exposures_lost: int = Field(description="Slates this replica could not record since it started.")
