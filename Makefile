# SPDX-License-Identifier: LGPL-2.1-or-later
# `make test` checks everything, as root on Debian 12 or 13; `make check` is the part that needs no machine, in
# about a minute: without what pyproject.toml calls slow.

# Debian's own interpreter: the libraries acmed runs with are those of the distribution.
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/acmed
VENV := $(CACHE)/venv
PYTHON := $(VENV)/bin/python3
READY := $(VENV)/ready
export PYTHONDONTWRITEBYTECODE := 1

CODE := $(wildcard acmed bench tests)
FAST := $(wildcard tests/unit tests/units tests/bus)
MEMORY := $(shell findmnt --noheadings --bytes --output=OPTIONS,AVAIL /dev/shm | tail -n 1 | awk '!/noexec/ && $$2 > 2e9 { print "/dev/shm" }')

.PHONY: check lint test deb demo demo-shell bench roots clean setup

# What Python compiled is kept, but not in the tree. Files of tests are in memory where programs can be run from there
# and there is room; a container's /dev/shm may be small. Some tests wait, so there are two processes for each processor.
WITHOUT_A_MACHINE = PYTHONDONTWRITEBYTECODE= PYTHONPYCACHEPREFIX=$(CACHE)/pycache TMPDIR=$(or $(TMPDIR),$(MEMORY),/tmp) \
  $(PYTHON) -m pytest --override-ini=tmp_path_retention_policy=failed --numprocesses=$$(($$(nproc) * 2)) --dist=worksteal $(FAST)

check: lint
	$(WITHOUT_A_MACHINE) -m 'not slow'

lint: $(READY)
	$(VENV)/bin/ruff check --no-cache $(CODE)
	$(VENV)/bin/ruff format --no-cache --check $(CODE)
	$(VENV)/bin/mypy --cache-dir=$(CACHE)/mypy $(CODE)

test: lint deb
	$(WITHOUT_A_MACHINE)
	$(PYTHON) -m pytest tests/system

deb: $(READY)
	$(PYTHON) -m tests.machine build-deb

demo: deb
	$(PYTHON) -m tests.machine.demo

demo-shell: deb
	$(PYTHON) -m tests.machine.demo --shell

bench: deb
	$(PYTHON) -m bench
	$(PYTHON) -m bench.signing

roots: $(READY)
	$(PYTHON) -m tests.machine build-roots

clean:
	rm -rf dist build $(VENV) $(CACHE)/mypy $(CACHE)/pycache

setup:
	tools/setup

$(READY): tools/requirements.txt | setup
	rm -rf $(VENV)
	/usr/bin/python3 -m venv --system-site-packages $(VENV)
	$(VENV)/bin/pip install --quiet --requirement tools/requirements.txt
	touch $@
