"""`recsys-evaluate`: the evaluation table of a bundle, made anew from the log."""

from pathlib import Path

from omegaconf import DictConfig, open_dict
from rich.console import Console

from recsys.bundle import read_bundle
from recsys.errors import BundleError, ReleaseError
from recsys.log.writer import write_log
from training.assembly import with_statistics
from training.command import command
from training.comparison import compare, print_table, protocol_of
from training.dataset import Dataset
from training.recipe import Recipe
from training.train import assemble


def evaluate_bundle(recipe: Recipe, bundle: Path | None, console: Console) -> None:
    """Print the table of `bundle` (None: the champion), its crowd statistics counted up to the cut-off only."""
    folder = bundle or _champion(recipe)
    recommender = read_bundle(folder)
    with recipe.engine as engine:
        fingerprint = write_log(recipe.data, recipe.log_folder, engine=engine, tell=console.print).fingerprint
        dataset = Dataset.of(recipe, engine)
    made_from = recommender.facts["origin"]["data_fingerprint"]
    if made_from != fingerprint or not dataset.catalogue.items.equals(recommender.catalogue.items):
        raise BundleError(
            f"{folder} was trained on other data (fingerprint {made_from}, this is {fingerprint}); "
            "evaluate it with the data=... settings it was trained with"
        )
    recommender = with_statistics(recommender, recipe, dataset, dataset.before_test())
    cases = dataset.test(recipe.evaluation_queries, recipe.seed)
    console.print(f"bundle {recommender.model_version}: {folder}", soft_wrap=True)
    print_table(compare(cases, recommender, dataset, seed=recipe.seed), console, title=protocol_of(recipe, cases))


def _champion(recipe: Recipe) -> Path:
    champion = recipe.tracker(outputs=recipe.outputs).champion()
    if champion is None:
        raise ReleaseError("the registry has no champion yet; train one (python -m training.train) or name bundle=...")
    return champion.bundle


def _run(config: DictConfig) -> None:
    with open_dict(config):
        bundle = config.pop("bundle")
    evaluate_bundle(assemble(config), Path(bundle).absolute() if bundle else None, Console())


def main() -> None:
    """Entry point."""
    command("evaluate", _run)


if __name__ == "__main__":
    main()
