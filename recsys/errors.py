"""Every error Attune raises on purpose, in one tree.

RecsysError
├── ConfigError          a setting that cannot work: names the key, the value and the remedy
├── DataError            data that cannot be used as it stands
│   ├── SourceError      a source is missing, unreadable or of another shape than declared
│   └── UnknownItemError an item id that the catalogue does not hold
├── FilterError          a filter that cannot be understood: names the place in it, the value and what is allowed
├── BundleError          a bundle that is incomplete, altered or of an unknown format
├── ReleaseError         a model version or alias that the registry does not know
├── StoreError           the online store cannot acknowledge or read
├── EncoderError         an encoder that runs elsewhere gives no vectors in time
├── OverloadError        more is being asked than can be answered in time
└── TrainingError        training stopped because going on would be worthless (NaN, no batches)
"""


class RecsysError(Exception):
    """Base of all deliberate errors; the message says what was wrong, with the value, and what to do."""


class ConfigError(RecsysError):
    """A setting that cannot work."""


class DataError(RecsysError):
    """Data that cannot be used as it stands."""


class SourceError(DataError):
    """A source is missing, unreadable or not of the declared shape."""


class UnknownItemError(DataError):
    """An item id that the catalogue does not hold."""


class FilterError(RecsysError):
    """A filter that the filter language does not know, or that is larger than it allows."""


class BundleError(RecsysError):
    """A bundle that is incomplete, altered or of an unknown format."""


class ReleaseError(RecsysError):
    """A model version or alias that the registry does not know."""


class StoreError(RecsysError):
    """The online store cannot acknowledge a write or serve a read."""


class EncoderError(RecsysError):
    """An encoder that runs elsewhere gives no vectors in time."""


class OverloadError(RecsysError):
    """More is being asked at once than can be answered in time; ask again a little later."""


class TrainingError(RecsysError):
    """Training stopped because going on would be worthless."""
