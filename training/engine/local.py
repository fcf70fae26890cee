"""The engine that needs nothing but this process."""

from recsys.log.engine import LocalEngine

__all__ = ["LocalEngine"]
