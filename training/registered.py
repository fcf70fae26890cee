"""What happens to a version right after it was registered."""

from rich.console import Console

from training.promotion import Because, Promotion, Version
from training.protocols import Registry


def settle(registry: Registry, version: Version, promotion: Promotion, console: Console) -> None:
    """Make a version the champion if that is to be without a comparison, and say what can be done next."""
    champion = registry.champion()
    is_champion = champion is not None and champion.number == version.number
    if not is_champion and promotion.at_once(has_champion=champion is not None):
        registry.promote(version, Because.now(f"promote={promotion}"))
        is_champion = True
    if is_champion:
        console.print(f"registered as version {version.number} of the model, alias champion")
        return
    console.print(
        f"registered as version {version.number} of the model, alias challenger. Compare it with the champion, and "
        "promote it if it is not worse, with the same data=... settings:\n  python -m training.promote",
        soft_wrap=True,
    )
