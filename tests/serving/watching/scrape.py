"""Reading a page of metrics as Prometheus would."""

from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families


@dataclass(frozen=True, slots=True)
class Scraped:
    """The samples of one page: name, labels, value."""

    samples: tuple[tuple[str, dict[str, str], float], ...]
    families: tuple[str, ...]

    @classmethod
    def of(cls, page: str) -> "Scraped":
        """Parse the text format."""
        families = list(text_string_to_metric_families(page))
        samples = tuple((one.name, dict(one.labels), one.value) for family in families for one in family.samples)
        return cls(samples, tuple(family.name for family in families))

    def __call__(self, name: str, **labels: str) -> float:
        """The sum of all series of that name with those labels."""
        return sum(value for one, known, value in self.samples if one == name and labels.items() <= known.items())

    def labels(self, name: str, label: str) -> set[str]:
        """The values that a label takes."""
        return {known[label] for one, known, _ in self.samples if one == name}
