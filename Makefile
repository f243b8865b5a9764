# Each verb is one line here or one script in scripts/. `make test ARGS="-k unpack"` narrows a verb.
PYTHON_ENV = .venv/bin
.PHONY: help setup demo test test-rootless test-vm lab check bench fresh-clone clean

help: ## these lines
	@grep -E '^[a-z-]+:.*##' Makefile | sed 's/:.*## /\t/' | expand -t 16

setup: ## a .venv with everything the other verbs need
	@scripts/setup demo test check

demo: ## execute the quickstart notebook and print what its cells print
	@scripts/system-packages demo && scripts/setup demo && $(PYTHON_ENV)/python scripts/demo.py $(ARGS)

test: ## all tests; as root, the rootless ones again as two ordinary users
	@scripts/test $(ARGS)

test-rootless: ## only the passes as ordinary users (as root)
	@scripts/setup test && $(PYTHON_ENV)/python -m tests.support.rootless $(ARGS)

test-vm: ## tests of limits and runtime in a machine with cgroup v2 only, under qemu (as root)
	@scripts/test-vm $(ARGS)

lab: ## JupyterLab on notebooks/
	@scripts/setup demo lab && $(PYTHON_ENV)/jupyter lab notebooks $(ARGS)

check: ## format, lint and types
	@scripts/check

bench: ## the README's figures, side by side with the peers installed here
	@scripts/setup test && $(PYTHON_ENV)/python -m benchmarks $(ARGS)

fresh-clone: ## make demo and make test from clones in empty folders, as root and as a user
	@scripts/fresh-clone

clean: ## remove what the other verbs made, the test users and their cache included
	@scripts/clean
