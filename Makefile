# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Extra arguments for pip, for instance PyTorch's own CPU index, of builds without CUDA (its
# address is on pytorch.org under Get started):
#   make venv PIP_EXTRA='--extra-index-url ADDRESS'
PIP_EXTRA ?=
PYTEST_ARGS ?=
# Benchmarks take half an hour on a quiet machine, with this some minutes:
#   make bench BENCH_ARGS=--short
# The comparison of methods takes days; the same command continues a stopped one.
#   make bench-comparison BENCH_ARGS='--only scenario=knife,kept=3'
BENCH_ARGS ?=

# Every recipe runs with ROS 2 and .venv at hand.
ENV := source scripts/env.sh;
INSTALLED := .venv/installed

.PHONY: help venv lint test test-fast test-run-only proofs docs demo models bench bench-comparison bench-cameras bench-encoders bench-edit bench-cloning bench-trials bench-preferences bench-preference-edit bench-corrections bench-two-arms bench-doubt results

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /make \1|/' \
	  | column -t -s '|'

venv: $(INSTALLED) ## install everything into .venv (done once)

$(INSTALLED): setup.py scripts/make_venv.sh requirements/constraints.txt requirements/ros-jazzy.txt
	@echo 'Installing into .venv; this takes some minutes the first time.'
	@scripts/make_venv.sh $(PIP_EXTRA)
	@touch $@

lint: $(INSTALLED) ## check style, types and the direction of imports
	@$(ENV) ruff check .
	@$(ENV) mypy
	@$(ENV) lint-imports --no-logo

test: lint ## install what is missing, then run every check and test but the long proofs
	@$(ENV) python scripts/run_tests.py -m 'not proof' $(PYTEST_ARGS)

test-fast: lint ## the same without the slow tests
	@$(ENV) python scripts/run_tests.py -m 'not proof and not slow' $(PYTEST_ARGS)

proofs: $(INSTALLED) ## soaks, long crash series and large mutation runs
	@$(ENV) python -m pytest -m proof $(PYTEST_ARGS)

test-run-only: $(INSTALLED) ## install extra [run] on Python 3.12 and 3.13, and start the policy node there
	@scripts/run_only.sh

docs: $(INSTALLED) ## write the generated pages, then build the site into build/site
	@$(ENV) python scripts/node_tables.py
	@$(ENV) python scripts/commands_page.py >docs/commands.md.new
	@mv docs/commands.md.new docs/commands.md
	@$(ENV) python scripts/audit_fields_page.py >docs/audit_fields.md.new
	@mv docs/audit_fields.md.new docs/audit_fields.md
	@$(ENV) NO_MKDOCS_2_WARNING=1 mkdocs build --strict 2>&1 | { grep -v INFO || true; }
	@echo 'The site is in build/site; open build/site/index.html'

demo: $(INSTALLED) ## the whole story from nothing, 5 to 10 minutes on 2 cores; CAMERA=1: with pixels
	@$(ENV) scripts/demo$(if $(CAMERA),_camera).sh

models: $(INSTALLED) ## make the shipped models and their cards with the full schedule
	@$(ENV) scripts/models.sh

bench: $(INSTALLED) ## the benchmarks: ratios within one run, as tables and in bench-results/
	@$(ENV) out=bench-results/$$(date +%Y%m%d_%H%M%S); mkdir -p $$out; \
	  for name in runtime control silence recorder camera_recording dataset rollouts retargeting; do \
	    python bench/$$name.py $(BENCH_ARGS) --json $$out/$$name.json; done

bench-comparison: $(INSTALLED) ## compare methods that remove a mode: docs/benchmarks.md and its JSON
	@$(ENV) cd bench; python -m comparison $(BENCH_ARGS)

bench-cameras: $(INSTALLED) ## the same for policies that see: docs/benchmarks/cameras.md and its JSON
	@$(ENV) cd bench; python -m comparison --cameras $(BENCH_ARGS)

bench-encoders: $(INSTALLED) ## other encoders of pictures; BENCH_ARGS='RUN DATA --work DIR'
	@$(ENV) cd bench; python encoders.py $(BENCH_ARGS)

bench-edit: $(INSTALLED) ## the edit with incidents, few and wrong labels, attacked: docs/benchmarks/edit.md
	@$(ENV) cd bench; python -m comparison --edit $(BENCH_ARGS)

bench-cloning: $(INSTALLED) ## compare the classes of policies: the tables of docs/cloning.md
	@$(ENV) cd bench; python -m cloning $(BENCH_ARGS)

bench-trials: $(INSTALLED) ## try out the statistics of trials: docs/benchmarks/trials.md and its figure
	@$(ENV) cd bench; python -m trials $(BENCH_ARGS)

bench-preferences: $(INSTALLED) ## try out the reward that answers tell: docs/benchmarks/preferences.md
	@$(ENV) cd bench; python preferences.py $(BENCH_ARGS)

bench-preference-edit: $(INSTALLED) ## true and learned reward by strength; BENCH_ARGS='RUN DATA --work DIR'
	@$(ENV) cd bench; python preference_edit.py $(BENCH_ARGS)

bench-corrections: $(INSTALLED) ## what corrections teach, and turning back; BENCH_ARGS='RUN DATA --work DIR'
	@$(ENV) cd bench; python corrections.py $(BENCH_ARGS)

bench-two-arms: $(INSTALLED) ## two cloned policies hand over; BENCH_ARGS='FOLDER'
	@$(ENV) cd bench; python two_arms.py $(BENCH_ARGS)

bench-doubt: $(INSTALLED) ## what doubt notices; BENCH_ARGS='MODEL --plain MODEL --out DIR'
	@$(ENV) cd bench; python doubt.py $(BENCH_ARGS)

results: $(INSTALLED) ## write docs/results.md, the pages of all comparisons and the README's table
	@$(ENV) cd bench; python -m comparison --page
	@$(ENV) cd bench; python -m comparison --cameras --page
	@$(ENV) cd bench; python -m comparison --edit --page
	@$(ENV) cd bench; python -m outside run ../runs/outside --page
	@$(ENV) cd bench; python -m cloning --page
	@$(ENV) cd bench; python doubt.py
