# Every command a newcomer, a developer or CI needs; `make` alone lists them.

BIN := .venv/bin
DATA ?= complete_journey
export DEVICE PYTHON

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint format peers constraints clean

help: ## List these commands
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

setup: ## Prepare .venv with pinned packages; PYTHON=python3.12 chooses the interpreter, DEVICE=cuda the GPU build
	@.ci/setup .venv constraints.txt -e '.[demo,dev]'

demo: setup ## Train on real retail data, then serve it; DATA=..., DEVICE=cuda, DEMO_ARGS="data.households=200", DEMO_EXIT=1
	$(BIN)/python -m training.train experiment=demo data=$(DATA) $(if $(DEVICE),trainer.device=$(DEVICE)) $(DEMO_ARGS)
	@.ci/foreground $(BIN)/python -m serving.demo $(filter outputs=%,$(DEMO_ARGS))

lint: setup ## Check style, types and the law of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint ## Everything that must be green before a commit
	$(BIN)/pytest -m "not slow" -n 3 --dist loadscope

format: setup ## Let ruff repair style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

peers: ## Build .venv-peers: the libraries that the benchmarks compare with
	@DEVICE=cpu PYTHON_BELOW=3.13 .ci/setup .venv-peers tests/benchmark/peers/constraints.txt 'rectools[torch]' usearch

constraints: ## Renew constraints.txt from the newest packages that fit; TORCH=... holds torch at a version
	@rm -rf .venv-constraints
	@DEVICE=cpu .ci/setup .venv-constraints /dev/null -e '.[demo,dev]'
	@.ci/pins .venv-constraints > constraints.new && mv constraints.new constraints.txt
	@rm -rf .venv-constraints
	@git --no-pager diff --stat constraints.txt

clean: ## Remove caches and builds; environments and outputs stay
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find recsys training serving conf tests -name __pycache__ -type d -prune -exec rm -rf {} +
