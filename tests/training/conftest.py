"""What tests of training share."""

from tests.quick_databases import quick_databases  # noqa: F401
