# backfilld: `make help` lists what there is. Everything is built under build/, one folder a variant.
CC ?= gcc
VARIANT ?=
BUILD := build$(if $(VARIANT),/$(VARIANT))
SANITIZE ?=
FAILPOINTS ?=
COVERAGE ?=
PREFIX ?= /usr/local
DESTDIR ?=
PKG_CONFIG ?= pkg-config

LIBS_COMMON := jansson libconfig libcrypto libprotobuf-c
LIBS_DAEMON := libpq libmariadb libsystemd glib-2.0 libcurl
CPPFLAGS += -I. -D_GNU_SOURCE $(if $(FAILPOINTS),-DBACKFILLD_FAILPOINTS=1)
CFLAGS ?= -O2 -g
WERROR ?= -Werror
override CFLAGS += -std=c17 -fstack-protector-strong -Wall -Wextra -Wshadow -Wstrict-prototypes \
	-Wmissing-prototypes -Wconversion -Wformat=2 -Wvla $(WERROR) -pthread \
	$(shell $(PKG_CONFIG) --cflags $(LIBS_COMMON) $(LIBS_DAEMON))
LDLIBS_COMMON := $(shell $(PKG_CONFIG) --libs $(LIBS_COMMON)) -lpg_query -lm
LDLIBS_DAEMON := $(shell $(PKG_CONFIG) --libs $(LIBS_DAEMON)) -lev
ifneq ($(SANITIZE),)
override CFLAGS += -fsanitize=$(SANITIZE) -fno-sanitize-recover=undefined -fno-omit-frame-pointer
override LDFLAGS += -fsanitize=$(SANITIZE)
else
CPPFLAGS += -D_FORTIFY_SOURCE=2
endif
ifneq ($(COVERAGE),)
override CFLAGS += --coverage -O0 -U_FORTIFY_SOURCE
override LDFLAGS += --coverage
endif

COMMON_SRC := \
	common/catalogue.c \
	common/duration.c \
	common/edit_distance.c \
	common/error.c \
	common/jobfile.c \
	common/jobfile_keys.c \
	common/jobfile_limits.c \
	common/json_path.c \
	common/keytable.c \
	common/keytable_doc.c \
	common/keytable_scan.c \
	common/keytable_value.c \
	common/limit_keys.c \
	common/mem.c \
	common/own_probe.c \
	common/rpc.c \
	common/sqlcheck.c \
	common/sqlcheck_mysql.c \
	common/sqlcheck_mysql_expression.c \
	common/sqlcheck_mysql_where.c \
	common/sqlcheck_postgres.c \
	common/sqlcheck_postgres_where.c \
	common/sqllex_mysql.c \
	common/strbuf.c \
	common/text.c \
	common/windows.c

DAEMON_SRC := \
	daemon/base/clock.c \
	daemon/base/config.c \
	daemon/base/failpoint.c \
	daemon/base/http_client.c \
	daemon/base/log.c \
	daemon/base/notify.c \
	daemon/base/thread.c \
	daemon/base/zone.c \
	daemon/daemon.c \
	daemon/engine/connecting.c \
	daemon/engine/dialect_mysql.c \
	daemon/engine/dialect_mysql_insert.c \
	daemon/engine/dialect_mysql_kept.c \
	daemon/engine/dialect_mysql_key.c \
	daemon/engine/dialect_mysql_plan.c \
	daemon/engine/dialect_postgres.c \
	daemon/engine/engine.c \
	daemon/engine/explain_mysql.c \
	daemon/engine/explain_mysql_json.c \
	daemon/engine/explain_postgres.c \
	daemon/engine/facts.c \
	daemon/engine/link.c \
	daemon/engine/mysql.c \
	daemon/engine/mysql_connect.c \
	daemon/engine/mysql_error.c \
	daemon/engine/mysql_prepared.c \
	daemon/engine/mysql_session.c \
	daemon/engine/mysql_text.c \
	daemon/engine/mysql_url.c \
	daemon/engine/postgres.c \
	daemon/engine/postgres_connect.c \
	daemon/engine/postgres_error.c \
	daemon/engine/postgres_prepared.c \
	daemon/engine/replication_mysql.c \
	daemon/engine/replication_postgres.c \
	daemon/engine/rules.c \
	daemon/engine/rules_mysql.c \
	daemon/engine/rules_postgres.c \
	daemon/engine/shape.c \
	daemon/engine/transaction.c \
	daemon/job/batch.c \
	daemon/job/boundary.c \
	daemon/job/change.c \
	daemon/job/claim.c \
	daemon/job/events.c \
	daemon/job/job.c \
	daemon/job/job_batch.c \
	daemon/job/job_plan.c \
	daemon/job/job_seen.c \
	daemon/job/job_state.c \
	daemon/job/job_window.c \
	daemon/job/memory.c \
	daemon/job/plan.c \
	daemon/job/plan_check.c \
	daemon/job/preflight.c \
	daemon/job/preflight_rules.c \
	daemon/job/round.c \
	daemon/job/scheduler.c \
	daemon/job/target.c \
	daemon/job/target_events.c \
	daemon/serve/client.c \
	daemon/serve/commands.c \
	daemon/serve/commands_job.c \
	daemon/serve/commands_state.c \
	daemon/serve/commands_target.c \
	daemon/serve/commands_view.c \
	daemon/serve/gather.c \
	daemon/serve/control.c \
	daemon/serve/listener.c \
	daemon/throttle/baseline.c \
	daemon/throttle/control.c \
	daemon/throttle/cumulative.c \
	daemon/throttle/decide.c \
	daemon/throttle/disk.c \
	daemon/throttle/guard.c \
	daemon/throttle/histogram.c \
	daemon/throttle/http_poll.c \
	daemon/throttle/http_value.c \
	daemon/throttle/jump.c \
	daemon/throttle/lag.c \
	daemon/throttle/latency.c \
	daemon/throttle/latency_source.c \
	daemon/throttle/latency_told.c \
	daemon/throttle/level.c \
	daemon/throttle/pace.c \
	daemon/throttle/phases.c \
	daemon/throttle/probe.c \
	daemon/throttle/probe_canary.c \
	daemon/throttle/probe_histogram.c \
	daemon/throttle/probe_http.c \
	daemon/throttle/probe_lag.c \
	daemon/throttle/probe_level.c \
	daemon/throttle/reading.c \
	daemon/throttle/regulate.c \
	daemon/throttle/replica.c \
	daemon/throttle/stop_file.c \
	daemon/throttle/throttle.c \
	daemon/throttle/trend.c

CTL_SRC := \
	ctl/arguments.c \
	ctl/connect.c \
	ctl/progress.c \
	ctl/render_json.c \
	ctl/render_table.c \
	ctl/run.c \
	ctl/views.c

UNIT_TESTS := $(sort $(wildcard tests/unit/test_*.c tests/sim/sim_*.c))
FUZZ_HARNESSES := $(sort $(wildcard tests/fuzz/fuzz_*.c))
SQL_FILES := $(sort $(wildcard sql/*/*.sql))

COMMON_OBJ := $(COMMON_SRC:%.c=$(BUILD)/%.o)
DAEMON_OBJ := $(DAEMON_SRC:%.c=$(BUILD)/%.o) $(BUILD)/gen/sql_embedded.o
CTL_OBJ := $(CTL_SRC:%.c=$(BUILD)/%.o)
UNIT_BIN := $(UNIT_TESTS:tests/%.c=$(BUILD)/tests/%)
FUZZ_BIN := $(FUZZ_HARNESSES:%.c=$(BUILD)/%)

.PHONY: all
all: $(BUILD)/backfilld $(BUILD)/backfillctl ## build both programs into build/

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/gen/sql_embedded.c: $(SQL_FILES) sql/embed.sh
	@mkdir -p $(@D)
	sh sql/embed.sh $(SQL_FILES) >$@.tmp && mv $@.tmp $@

$(BUILD)/gen/%.o: $(BUILD)/gen/%.c
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/libcommon.a: $(COMMON_OBJ)
	@rm -f $@ && ar rcs $@ $^
$(BUILD)/libdaemon.a: $(DAEMON_OBJ)
	@rm -f $@ && ar rcs $@ $^
$(BUILD)/libctl.a: $(CTL_OBJ)
	@rm -f $@ && ar rcs $@ $^

$(BUILD)/backfilld: $(BUILD)/daemon/main.o $(BUILD)/libdaemon.a $(BUILD)/libcommon.a
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS_DAEMON) $(LDLIBS_COMMON)
$(BUILD)/backfillctl: $(BUILD)/ctl/main.o $(BUILD)/libctl.a $(BUILD)/libcommon.a
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS_COMMON)

# One program a test file; it links everything but the mains.
$(UNIT_BIN): $(BUILD)/tests/%: $(BUILD)/tests/%.o $(BUILD)/libdaemon.a $(BUILD)/libctl.a $(BUILD)/libcommon.a
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ -lcmocka $(LDLIBS_DAEMON) $(LDLIBS_COMMON)

# What tests/integration/test_mysql_texts.py runs.
$(BUILD)/tests/dialect_texts: $(BUILD)/tests/integration/dialect_texts.o $(BUILD)/libdaemon.a $(BUILD)/libcommon.a
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS_DAEMON) $(LDLIBS_COMMON)

# The site of `make bench-throttle` on MariaDB.
$(BUILD)/tests/bench/site_load: $(BUILD)/tests/bench/site_load.o
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS_DAEMON) -lm

.PHONY: unit-programs
unit-programs: $(UNIT_BIN) $(BUILD)/tests/dialect_texts

# Not for sanitised builds. Without fortification: it defines what that would redirect.
$(BUILD)/tests/starve.so: tests/starve/starve.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -U_FORTIFY_SOURCE -MMD -MP -fPIC -shared -o $@ $<

.PHONY: starve
starve: all $(BUILD)/tests/starve.so $(BUILD)/tests/dialect_texts ## the programs, and the library that starves them

.PHONY: unit
unit: $(UNIT_BIN) ## build and run the unit tests and simulations
	@for t in $(UNIT_BIN); do echo "== $$t"; $$t || exit 1; done

# libFuzzer brings the main. Only with VARIANT=fuzz: everything below it has to be built for it.
$(FUZZ_BIN): %: %.o $(BUILD)/tests/fuzz/fuzz.o $(BUILD)/libdaemon.a $(BUILD)/libcommon.a
	$(CC) $(CFLAGS) $(LDFLAGS) -fsanitize=fuzzer -o $@ $^ $(LDLIBS_DAEMON) $(LDLIBS_COMMON)

.PHONY: fuzz-programs
fuzz-programs: $(FUZZ_BIN)

.PHONY: fuzz
fuzz: ## fuzz each harness of tests/fuzz for FUZZ_SECONDS (300); FUZZ="url plan" chooses, SEED=n replays
	$(MAKE) -s CC=clang VARIANT=fuzz SANITIZE=address,undefined,fuzzer-no-link fuzz-programs
	tests/fuzz/run.sh $(or $(FUZZ_SECONDS),300) $(FUZZ)

$(BUILD)/tests/lint/gendoc_commands: $(BUILD)/tests/lint/gendoc_commands.o $(BUILD)/libcommon.a
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^

.PHONY: docs-commands
docs-commands: $(BUILD)/tests/lint/gendoc_commands ## write the manual's command section anew from the catalogue
	$< docs/backfillctl.1.scd >$(BUILD)/backfillctl.1.scd && cp $(BUILD)/backfillctl.1.scd docs/backfillctl.1.scd

$(BUILD)/tests/lint/gendoc: $(BUILD)/tests/lint/gendoc.o $(BUILD)/libdaemon.a $(BUILD)/libcommon.a
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS_COMMON)

.PHONY: docs-keys
docs-keys: $(BUILD)/tests/lint/gendoc ## write the references of the job file and the configuration anew from their tables
	$< job >$(BUILD)/job-file.md && cp $(BUILD)/job-file.md docs/job-file.md
	$< config >$(BUILD)/configuration.md && cp $(BUILD)/configuration.md docs/configuration.md

.PHONY: test
test: ## build with gcc and clang, run every test under ASan and UBSan
	tests/run.sh

.PHONY: sim
sim: $(filter $(BUILD)/tests/sim/%,$(UNIT_BIN)) ## the simulations with RUNS (10000) worlds each; SEED=n replays
	@for t in $^; do RUNS=$(or $(RUNS),10000) $$t || exit 1; done

.PHONY: integration
integration: all ## run the integration tests with the plain build on both engines; ENGINE=mariadb chooses
	$(MAKE) -s VARIANT=failpoint FAILPOINTS=1 starve
	failed=0; for engine in $(or $(ENGINE),postgresql mariadb); do \
		BACKFILLD_BUILD=$(CURDIR)/$(BUILD) tests/suite.sh $$engine || failed=1; done; exit $$failed

.PHONY: matrix
matrix: ## run the integration tests on six servers, fetched into a cache, for docs/reliability.md; MATRIX=mysql-9 chooses
	tests/matrix.sh

.PHONY: lint
lint: all ## format, clang-tidy, cppcheck, include direction, banned functions, shellcheck, symbols, file length
	tests/lint/run.sh

.PHONY: demo
demo: ## install what is missing, build, and show a real backfill on private servers (ENGINE=mariadb: there); KEEP=1 leaves it running
	tests/demo/demo.sh

.PHONY: bench
bench: all ## speed beside a hand-written loop (ENGINE=mariadb: there), restart after kill -9, cost of look-ups and checkpoints; PARTS chooses
	tests/bench/bench.sh

.PHONY: bench-throttle
bench-throttle: all $(BUILD)/tests/bench/site_load ## the site's P95 and lag under the throttle, beside fixed sleeps and on/off (ENGINE=mariadb: there); SCENARIOS, CONTENDERS, SECONDS choose
	/usr/bin/python3 tests/bench/throttle.py

.PHONY: mutants
mutants: ## take each remedy out of a copy of the source: the tests must fail; ENGINE=mariadb: there, what is no one engine's alone
	/usr/bin/python3 tests/mutants.py

.PHONY: soak
soak: ## the crash campaigns whole, long; their result goes into docs/reliability.md; ENGINE=mariadb chooses the server
	tests/soak.sh

.PHONY: coverage
coverage: ## branch and line coverage of unit, simulation and integration tests
	tests/coverage.sh

.PHONY: install
install: all ## install into DESTDIR/PREFIX
	install -d $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/doc/backfilld/jobs
	install -m 755 $(BUILD)/backfilld $(DESTDIR)$(PREFIX)/sbin/backfilld
	install -m 755 $(BUILD)/backfillctl $(DESTDIR)$(PREFIX)/bin/backfillctl
	install -m 644 conf/backfilld.conf README.md $(DESTDIR)$(PREFIX)/share/doc/backfilld/
	install -m 644 conf/jobs/*.job $(DESTDIR)$(PREFIX)/share/doc/backfilld/jobs/
	for page in docs/*.scd; do \
		name=$$(basename $$page .scd); section=$${name##*.}; \
		install -d $(DESTDIR)$(PREFIX)/share/man/man$$section; \
		scdoc <$$page >$(DESTDIR)$(PREFIX)/share/man/man$$section/$$name || exit 1; \
	done

.PHONY: help
help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1	\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 16

.PHONY: docs-fresh
docs-fresh: $(BUILD)/tests/lint/gendoc_commands
	@$< docs/backfillctl.1.scd | diff -u docs/backfillctl.1.scd - || { echo 'run: make docs-commands'; exit 1; }

.PHONY: clean
clean: ## remove build/
	rm -rf build

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
