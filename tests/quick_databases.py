"""A fixture for tests that track runs; `conftest.py` of the folders that need it takes it in."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest
import sqlalchemy
from mlflow.store.db import utils


@pytest.fixture(scope="session", autouse=True)
def quick_databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """MLflow makes each new database by replaying all its migrations, which takes it more than a second; here the first
    one is made so, and every other is a copy of it."""
    empty = tmp_path_factory.mktemp("mlflow") / "empty.db"
    migrated = utils._initialize_tables

    def copied(engine: sqlalchemy.Engine) -> None:
        if not empty.exists():
            first = sqlalchemy.create_engine(f"sqlite:///{empty}")
            migrated(first)
            first.dispose()
        with closing(sqlite3.connect(empty)) as source, engine.connect() as made:
            source.backup(made.connection.driver_connection)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(utils, "_initialize_tables", copied)
        yield
