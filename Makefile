# Everything a user or developer does starts here. The work is in scripts/ and tests/run.sh.
#
# PG=15|16|17|18 picks a server version, PG_CONFIG=/path/to/pg_config a server of your own.

export PG PG_CONFIG STAGE TEST BENCH BENCH_ARGS

.DEFAULT_GOAL := help
.PHONY: help demo test install psql stop lint advisories bench reference attacks clean

help: ## List what can be made
	@sed -nE 's/^([a-z]+):.*## (.*)/  make \1|\2/p' Makefile | column -t -s '|'
	@echo '  PG=15|16|17|18 picks a server version, PG_CONFIG=/path/to/pg_config your own server.'

demo: ## Build, start a private server, and watch the extension at work
	@scripts/demo.sh

psql: ## Open psql in the demo's database
	@scripts/cluster.sh psql demo demo

stop: ## Stop the demo's server (and every other private one) and remove its data
	@scripts/cluster.sh stop --all

test: ## Run every test (STAGE=regress PG=16 TEST=name narrow it down)
	@tests/run.sh

lint: ## Check format, lints, licences, shell scripts
	@scripts/lint.sh

advisories: ## Check our dependencies against known vulnerabilities (network)
	@scripts/advisories.sh

bench: ## Measure what auditing and security cost (BENCH=ledger: one part; BENCH_ARGS=...: its arguments)
	@scripts/bench.sh

reference: ## Make docs/reference.md anew from the comments in the database
	@scripts/reference.sh

attacks: ## Try every known attack and write what was seen to docs/attacks.md
	@AG_WRITE_ATTACKS=1 STAGE=attacks tests/run.sh

install: ## Build and install into the server of PG_CONFIG
	@scripts/install.sh

clean: ## Stop everything and remove what was built
	@scripts/clean.sh
