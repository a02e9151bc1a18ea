# curfew's build. `make help` lists what can be asked for; this file explains the rest.
#
# Rooms are directories under src/. The pure ones make up libpure.a, which is all that unit tests
# and simulations are linked with: what they test can't have reached a socket, a clock or a thread.
# Every object depends on a stamp of the flags it was built with, every link on a stamp of the list
# of sources: changing either rebuilds what it touches and nothing else.

## Variables (make NAME=value …)
##   CC=clang            another compiler (gcc and clang are tested)
##   V=1                 show whole commands
##   WERROR=1            warnings are errors
##   SAN=address,undefined | SAN=thread    a sanitizer build, in build/asan or build/tsan
##   OPT=-O0             optimisation (default -O2); CFLAGS, CPPFLAGS and LDFLAGS are added at the end
##   LTO=                no optimisation across files: half the time to build, 8 % more instructions a request
##   B=build/mine        where everything that is built goes
##   T=permit            check-unit, fuzz: only programs whose name contains this
##   FUZZ_SECONDS=3600   fuzz: for each target (default 600)
##   K=drip              check-integration: only tests that pytest -k selects
##   ROWS=h2 ROUNDS=1    bench: only rows whose key contains this (bench/run --list names them), and how often
##   PREFIX=/usr DESTDIR=… SYSCONFDIR=/etc    install: where to

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules
SHELL := /bin/sh

# ------------------------------------------------------------------------------------- settings

ifeq ($(origin CC),default)
CC := gcc
endif
AR ?= ar
NM ?= nm
PKG_CONFIG ?= pkg-config
CLANG_FORMAT ?= clang-format
PYTHON ?= /usr/bin/python3
PYTEST ?= $(PYTHON) -m pytest -p no:cacheprovider
PYTEST_ARGS ?= -q
# Most of the time tests wait. Those of a file share what is dear to start, so a file stays with one process.
SIDE_BY_SIDE ?= -n $(if $(SAN),4,6) --dist loadfile
# Tests that say how late something may be: in pairs; threads under TSan need both processors. Those that need the machine: one by
# one, but for ASan, where all may be three times as late.
TIMED ?= $(if $(filter thread,$(SAN)),,-n 2 --dist loadfile)
ALONE ?= $(if $(filter address%,$(SAN)),-n 2 --dist loadfile)

PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
BINDIR ?= $(PREFIX)/bin
UNITDIR ?= $(PREFIX)/lib/systemd/system
DOCDIR ?= $(PREFIX)/share/doc/curfew
DATADIR ?= $(PREFIX)/share/curfew
MANDIR ?= $(PREFIX)/share/man
BASHDIR ?= $(PREFIX)/share/bash-completion/completions
ZSHDIR ?= $(PREFIX)/share/zsh/site-functions

SAN ?=
ifeq ($(SAN),)
B ?= build/release
OPT ?= -O2
else ifeq ($(SAN),thread)
B ?= build/tsan
OPT ?= -O1
else
B ?= build/asan
OPT ?= -O1
endif
# Where check-san and check-tsan build: beside B if that was chosen, so that two builders do not meet.
SAN_B := $(if $(filter build/release,$(B)),build/asan,$(B)-asan)
TSAN_B := $(if $(filter build/release,$(B)),build/tsan,$(B)-tsan)

ifeq ($(V),1)
Q :=
say = @:
else
Q := @
say = @printf '  %-5s %s\n'
endif

# ---------------------------------------------------------------------------------------- files

PURE_ROOMS := base core http stats config view
ROOMS := $(PURE_ROOMS) runtime wire call proxy page admin faulty app
VERSION := $(shell cat VERSION)

room_objs = $(patsubst src/%.c,$(B)/obj/%.o,$(wildcard src/$(1)/*.c))
PURE_OBJS := $(foreach r,$(PURE_ROOMS),$(call room_objs,$(r)))
RUNTIME_OBJS := $(foreach r,runtime wire,$(call room_objs,$(r)))
OBJS := $(foreach r,$(ROOMS),$(call room_objs,$(r)))

CURFEW := $(B)/curfew
LIBPURE := $(B)/libpure.a
UNIT_TESTS := $(patsubst tests/%.c,$(B)/%,$(wildcard tests/unit/test_*.c))
RUNTIME_TESTS := $(patsubst tests/%.c,$(B)/%,$(wildcard tests/runtime/test_*.c))
SIMS := $(patsubst tests/%.c,$(B)/%,$(wildcard tests/sim/*.c))
MODELS := $(patsubst tests/%.c,$(B)/%,$(wildcard tests/model/*.c))
TOOLS := $(patsubst tests/%.c,$(B)/%,$(wildcard tests/tools/*.c))
# What tests have of others' programs, whatever build is tested. Fetched by npm: what drives the browser, checks the
# Kubernetes example, and speaks gRPC and HTTP/2.
PEERS := build/peers
FETCHED := $(addprefix $(PEERS)/,$(addsuffix /node_modules,page kubernetes grpc sdk))
# Libraries that a test puts before the C library's (LD_PRELOAD).
PRELOADS := $(patsubst tests/preload/%.c,$(B)/tools/%.so,$(wildcard tests/preload/*.c))
STRESSES := $(patsubst tests/%.c,$(B)/%,$(wildcard tests/stress/*.c))
BROKEN := $(B)/broken/curfew
# Each target of the fuzzer is also a program that runs what the tree keeps for it, without a fuzzer.
FUZZ_TARGETS := $(patsubst tests/fuzz/%.c,%,$(filter-out tests/fuzz/replay.c,$(wildcard tests/fuzz/*.c)))
REPLAYS := $(FUZZ_TARGETS:%=$(B)/fuzz/%)
# Readers of the differential tests: curfew's parser and http-parser.
READERS := $(B)/differential/curfew $(B)/differential/http_parser
# The longest first: they run side by side.
TEST_PROGRAMS := $(MODELS) $(SIMS) $(UNIT_TESTS) $(RUNTIME_TESTS) $(REPLAYS) $(STRESSES)
TEST_OBJS := $(patsubst $(B)/%,$(B)/obj/tests/%.o,$(TEST_PROGRAMS) $(TOOLS) $(READERS)) \
	$(B)/obj/tests/differential/records.o $(B)/obj/tests/broken/break.o
C_FILES := $(wildcard $(addsuffix /*.[ch],$(addprefix src/,$(ROOMS)) $(addprefix include/,$(ROOMS)) \
	tests/unit tests/sim tests/world tests/runtime tests/model tests/stress tests/broken tests/fuzz tests/tools \
	tests/preload tests/differential))

# ---------------------------------------------------------------------------------------- flags

PKGS := libevent_core libevent_extra openssl yaml-0.1 libcares jansson libsystemd ncursesw libnghttp2 hiredis
NO_BUILD := help clean format check-format install-files deb
ifneq ($(filter-out $(NO_BUILD),$(or $(MAKECMDGOALS),all)),)
ifneq ($(shell $(PKG_CONFIG) --exists $(PKGS) && echo found),found)
$(error libraries are missing: $(PKGS). scripts/install-packages build installs them)
endif
PKG_CFLAGS := $(shell $(PKG_CONFIG) --cflags $(PKGS))
PKG_LIBS := $(shell $(PKG_CONFIG) --libs $(PKGS))
YAML_LIBS := $(shell $(PKG_CONFIG) --libs yaml-0.1)
JANSSON_LIBS := $(shell $(PKG_CONFIG) --libs jansson)
TOOL_LIBS := $(shell $(PKG_CONFIG) --libs libevent_core openssl)
cc_takes = $(shell $(CC) -Werror $(1) -x c -c /dev/null -o /dev/null 2>/dev/null && echo $(1))
CF_PROTECTION := $(call cc_takes,-fcf-protection)
endif

WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes \
	$(if $(filter 1,$(WERROR)),-Werror)
# What AddressSanitizer finds does not hang on where the program lies; to relocate all that it adds takes 6 ms of each
# start.
NO_PIE := $(filter address%,$(SAN))
HARDENING := -fstack-protector-strong $(if $(NO_PIE),-fno-pie,-fPIE) $(CF_PROTECTION)
ifeq ($(SAN),)
# Contracts (include/base/invariant.h) stop a sanitizer build; in what users run, a breach is counted and its call fails.
# The tests' own files, and what they include, have them in every build.
ASSERTS := -DNDEBUG
# Fortify needs an optimiser to see sizes, and hides from sanitizers what it checks itself.
ifeq ($(filter -O0,$(OPT) $(CFLAGS)),)
HARDENING += -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
endif
else
# Of what is for debuggers, a finding's backtrace needs files and lines alone.
SAN_FLAGS := -fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=all -g1
# In libubsan.so lie 6 MB that the search for leaks reads through at every exit; linked in, it brings a fifth of them.
SAN_FLAGS += $(if $(filter address%,$(SAN)),$(call cc_takes,-static-libubsan))
# An empty buffer has no block: NULL and an offset of 0, which clang takes for an error, and C2y allows (N3322).
SAN_FLAGS += $(if $(findstring undefined,$(SAN)),$(call cc_takes,-fno-sanitize=pointer-overflow))
endif

# Calls across files are inlined when the program is linked. Objects hold both forms: test programs, which put their own
# functions at the seams between units, are linked as if there were no such thing.
ifeq ($(SAN)$(filter -O0,$(OPT) $(CFLAGS)),)
LTO := $(call cc_takes,-flto=auto -ffat-lto-objects)
NO_LTO := $(if $(LTO),-fno-lto)
endif

# All symbols are bound at the start (-z now), so a call of a library's needs no stub to bind it.
ALL_CFLAGS := -std=gnu11 -D_GNU_SOURCE -Iinclude $(OPT) -g -fno-plt $(WARNINGS) $(HARDENING) $(SAN_FLAGS) -pthread \
	$(PKG_CFLAGS) $(CPPFLAGS) $(CFLAGS)
ALL_LDFLAGS := $(if $(NO_PIE),-no-pie,-pie) -Wl,-z,relro,-z,now -Wl,--as-needed -pthread $(SAN_FLAGS) $(LDFLAGS)
# cmocka hands every test a state that most have no use for.
TEST_CFLAGS := -Wno-unused-parameter

# ----------------------------------------------------------------------------------------- build

.PHONY: all
all: $(CURFEW) ## Build curfew (the default)
	@echo "built $(CURFEW), version $(VERSION)"

.PHONY: objects
objects: $(OBJS) $(TEST_OBJS) ## Compile everything, tests too, and link nothing

.PHONY: tests
tests: $(TEST_PROGRAMS) $(TOOLS) $(READERS) $(PRELOADS) $(BROKEN) ## Build every test program and test tool without running any

.PHONY: FORCE
FORCE:

# The stamps are rewritten, and so newer than what was built, only when their text changes.
stamp = @mkdir -p $(@D); printf '%s\n' '$(1)' | cmp -s - $@ || printf '%s\n' '$(1)' >$@
$(B)/flags: FORCE
	$(call stamp,$(CC) $(ALL_CFLAGS) $(LTO) $(ALL_LDFLAGS) $(PKG_LIBS))
$(B)/sources: FORCE
	$(call stamp,$(OBJS))

$(B)/obj/%.o: src/%.c $(B)/flags
	$(say) CC $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(ASSERTS) $(LTO) $(DEFINES) -MMD -MP -c -o $@ $<

# The rooms that a call's bytes go through: what more inlining saves of a request is worth its size there. Private: what these
# objects are made of would inherit it, the stamp of the flags too, which would then be another one for each goal.
ifeq ($(SAN)$(OPT),-O2)
HOT_OBJS := $(foreach r,base core http runtime wire call,$(call room_objs,$(r)))
$(HOT_OBJS): private ALL_CFLAGS += -O3
endif

$(B)/obj/tests/%.o: tests/%.c $(B)/flags
	$(say) CC $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(TEST_CFLAGS) -MMD -MP -c -o $@ $<

# Files of the page: the assembler puts them into the object. Chart.js is Debian's.
CHART_JS ?= /usr/share/javascript/chart.js/chart.min.js
$(B)/obj/page/chart.js.gz: $(CHART_JS)
	$(say) GZIP $@
	@mkdir -p $(@D)
	$(Q)gzip -9nc $< >$@
$(CHART_JS):
	@echo '$@ is missing: scripts/install-packages build installs it, CHART_JS=PATH says where else it is' >&2; exit 1
$(B)/obj/page/assets.o: private LTO := # nor would its symbols be seen
$(B)/obj/page/assets.o: DEFINES := -DCHART_JS_GZ='"$(B)/obj/page/chart.js.gz"'
$(B)/obj/page/assets.o: $(B)/obj/page/chart.js.gz $(filter-out %.c,$(wildcard src/page/*))

# Scripts of the fleet's store, likewise.
$(B)/obj/proxy/fleet_script.o: private LTO :=
$(B)/obj/proxy/fleet_script.o: $(wildcard src/proxy/*.lua)

# The one file that knows the version, so that a new version compiles one file.
$(B)/obj/app/version.o: DEFINES := -DCURFEW_VERSION='"$(VERSION)"'
$(B)/obj/app/version.o: VERSION

$(LIBPURE): $(PURE_OBJS) $(B)/sources
	$(say) AR $@
	@rm -f $@
	$(Q)$(AR) rcs $@ $(PURE_OBJS)

link = $(Q)$(CC) $(ALL_CFLAGS) $(NO_LTO) $(ALL_LDFLAGS) -o $@
$(CURFEW): NO_LTO := $(LTO)
$(CURFEW): $(OBJS) $(B)/sources
	$(say) LINK $@
	$(link) $(OBJS) $(PKG_LIBS)

# Of rooms that are not pure, units that are.
$(B)/unit/test_call_set: $(B)/obj/call/call_set.o
$(B)/runtime/test_relay: $(B)/obj/call/relay.o
$(B)/unit/test_pool_wait: $(B)/obj/call/pool_wait.o

# Programs that have the real calls, and a network and clock of tests/world.
WORLD_SOURCES := $(wildcard tests/world/*.c)
WORLD_OBJS := $(patsubst tests/%.c,$(B)/obj/tests/%.o,$(WORLD_SOURCES)) $(call room_objs,call) \
	$(filter-out $(patsubst %,$(B)/obj/runtime/%.o,transport transport_peer connect connect_race connect_attempt tcp listen),$(RUNTIME_OBJS))
WORLDS := $(B)/sim/calls $(B)/fuzz/call
$(B)/fuzz/call: $(B)/obj/tests/fuzz/replay.o
WORLD_SEAMS := clock_gettime recv call_log entropy_take pool_acquire pool_feedback try_reconnect \
	$(addprefix permit_,acquire acquire_at_once give_back next pass_on start_again)
$(WORLDS): SEAMS := $(WORLD_SEAMS)
$(WORLDS): $(B)/%: $(B)/obj/tests/%.o $(WORLD_OBJS) $(LIBPURE)
	$(say) LINK $@
	@mkdir -p $(@D)
	$(link) $^ $(SEAMS:%=-Wl,--wrap=%) $(PKG_LIBS)

$(UNIT_TESTS) $(filter-out $(WORLDS),$(SIMS)): $(B)/%: $(B)/obj/tests/%.o $(LIBPURE)
	$(say) LINK $@
	@mkdir -p $(@D)
	$(link) $(filter-out $(LIBPURE),$^) $(LIBPURE) -lcmocka $(YAML_LIBS) $(JANSSON_LIBS) -lm

$(RUNTIME_TESTS): $(B)/%: $(B)/obj/tests/%.o $(RUNTIME_OBJS) $(LIBPURE)
	$(say) LINK $@
	@mkdir -p $(@D)
	$(link) $^ -lcmocka $(PKG_LIBS)

# What fuzz targets take beside the pure rooms: HTTP/2 over a transport of their own, and hiredis, which reads a store's answers.
H2_OBJS := $(patsubst src/%.c,$(B)/obj/%.o,$(wildcard src/wire/h2_exchange*.c) src/wire/h2_connection.c \
	src/wire/h2_session.c src/wire/h2_session_send.c src/wire/h2_heap.c src/wire/h2_list.c src/wire/h2_settings.c src/runtime/buffer.c)
H2_CALLER_OBJS := $(patsubst src/%.c,$(B)/obj/%.o,$(wildcard src/wire/h2_caller*.c src/wire/h1_caller*.c) \
	src/wire/h1_receive.c src/wire/h1_send.c src/wire/h2_session.c src/wire/h2_session_send.c src/wire/h2_heap.c src/wire/h2_list.c src/wire/h2_settings.c src/runtime/buffer.c src/runtime/websocket.c)
$(B)/fuzz/h2 $(B)/fuzzers/h2: $(H2_OBJS)
$(B)/fuzz/h2_caller $(B)/fuzzers/h2_caller: $(H2_CALLER_OBJS)
$(B)/fuzz/store_reply $(B)/fuzzers/store_reply: $(B)/obj/runtime/store_reader.o

FUZZ_LIBS = $(YAML_LIBS) $(JANSSON_LIBS)
$(foreach name,h2 h2_caller store_reply,$(B)/fuzz/$(name) $(B)/fuzzers/$(name)): FUZZ_LIBS = $(PKG_LIBS)
$(filter-out $(WORLDS),$(REPLAYS)): $(B)/%: $(B)/obj/tests/%.o $(B)/obj/tests/fuzz/replay.o $(LIBPURE)
	$(say) LINK $@
	@mkdir -p $(@D)
	$(link) $(filter-out $(LIBPURE),$^) $(LIBPURE) $(FUZZ_LIBS)

$(B)/fuzzers/call: SEAMS := $(WORLD_SEAMS)
$(B)/fuzzers/call: $(B)/obj/tests/fuzz/call.o $(WORLD_OBJS) $(LIBPURE)
	$(say) LINK $@
	@mkdir -p $(@D)
	$(link) -fsanitize=fuzzer $^ $(SEAMS:%=-Wl,--wrap=%) $(PKG_LIBS)

$(B)/fuzzers/%: $(B)/obj/tests/fuzz/%.o $(LIBPURE)
	$(say) LINK $@
	@mkdir -p $(@D)
	$(link) -fsanitize=fuzzer $(filter-out $(LIBPURE),$^) $(LIBPURE) $(FUZZ_LIBS)

# A model or a stress listens, and is broken on purpose, at the seams between the units under test.
$(B)/stress/pool: SEAMS := permit_acquire permit_give_back
$(MODELS): SEAMS := pthread_mutex_lock pthread_mutex_unlock permit_acquire permit_give_back permit_pool_resize \
	permit_next mailbox_put mailbox_ring mailbox_cancel loop_expect_mail rate_take pause_begin pause_end queue_take \
	loop_clock_ns timer_init timer_set rate_period_ns
$(MODELS) $(STRESSES): $(B)/%: $(B)/obj/tests/%.o $(RUNTIME_OBJS) $(LIBPURE)
	$(say) LINK $@
	@mkdir -p $(@D)
	$(link) $^ $(SEAMS:%=-Wl,--wrap=%) -lcmocka $(PKG_LIBS)

$(TOOLS): $(B)/%: $(B)/obj/tests/%.o $(LIBPURE)
	$(say) LINK $@
	@mkdir -p $(@D)
	$(link) $^ $(TOOL_LIBS)

$(READERS): $(B)/%: $(B)/obj/tests/%.o $(B)/obj/tests/differential/records.o $(LIBPURE)
	$(say) LINK $@
	@mkdir -p $(@D)
	$(link) $^ -lhttp_parser

# Not sanitized: the program that it is loaded into may not be.
$(PRELOADS): $(B)/tools/%.so: tests/preload/%.c $(B)/flags
	$(say) LINK $@
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -D_GNU_SOURCE -O2 $(WARNINGS) $(TEST_CFLAGS) -Wno-missing-prototypes -shared -fPIC -o $@ $<

# The product, that breaks its invariants when a test tells it to.
$(BROKEN): SEAMS := call_fsm_move try_fsm_move call_set_timer pool_acquire pool_give_back event_base_loop
$(BROKEN): $(B)/obj/tests/broken/break.o $(OBJS) $(B)/sources
	$(say) LINK $@
	@mkdir -p $(@D)
	$(link) $< $(OBJS) $(SEAMS:%=-Wl,--wrap=%) $(PKG_LIBS)

-include $(OBJS:.o=.d) $(TEST_OBJS:.o=.d) $(patsubst tests/%.c,$(B)/obj/tests/%.d,$(WORLD_SOURCES))

# ----------------------------------------------------------------------------------------- tests

# A sanitizer's finding ends the program that it is in, so that no test can pass over it.
RUN_ENV := CURFEW=$(abspath $(CURFEW)) CURFEW_FUZZ=$(abspath tests/fuzz) CURFEW_TOOLS=$(abspath $(B)/tools) CURFEW_BROKEN=$(abspath $(BROKEN)) \
	CURFEW_PEERS=$(abspath $(PEERS)) CURFEW_SAN=$(SAN) \
	ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1 \
	UBSAN_OPTIONS=print_stacktrace=1 TSAN_OPTIONS=halt_on_error=1:suppressions=$(abspath tests/tsan.supp) \
	PYTHONDONTWRITEBYTECODE= PYTHONPYCACHEPREFIX=$(abspath build/python)

.PHONY: check
check: check-unit check-integration check-differential ## Unit tests, simulations, integration and differential tests

.PHONY: check-unit
SELECTED := $(if $(T),$(foreach p,$(TEST_PROGRAMS),$(if $(findstring $(T),$(notdir $(p))),$(p))),$(TEST_PROGRAMS))
check-unit: $(SELECTED) ## Unit tests (cmocka), simulations, the runtime's tests, the fuzzer's corpora; T=NAME selects
	@$(RUN_ENV) tests/run-programs $(SELECTED)

RUN_INTEGRATION = PYTEST='$(PYTEST) $(PYTEST_ARGS)' SIDE_BY_SIDE='$(SIDE_BY_SIDE)' TIMED='$(TIMED)' ALONE='$(ALONE)' \
	tests/run-integration $(if $(K),-k '$(K)')

.PHONY: check-integration
check-integration: $(CURFEW) $(TOOLS) $(PRELOADS) $(BROKEN) $(FETCHED) ## Tests of the real binary (pytest); K=EXPRESSION selects
	@$(RUN_ENV) $(RUN_INTEGRATION)

.PHONY: check-short
check-short: $(CURFEW) $(TOOLS) $(PRELOADS) $(BROKEN) $(FETCHED) ## Of the tests of the real binary those that take no time of their own
	@$(RUN_ENV) CURFEW_QUICK=1 $(PYTEST) $(PYTEST_ARGS) $(SIDE_BY_SIDE) -m 'not timed and not alone' tests/integration

.PHONY: test-times
test-times: $(CURFEW) $(TOOLS) $(PRELOADS) $(BROKEN) $(FETCHED) ## Measure which tests check-short leaves out: writes tests/integration/long
	@$(RUN_ENV) CURFEW_TIMES=1 $(PYTEST) $(PYTEST_ARGS) $(SIDE_BY_SIDE) -m 'not timed and not alone' tests/integration

# Without npm's registry in reach, all other tests run.
$(PEERS)/%/node_modules: tests/%/package.json tests/%/package-lock.json
	$(say) NPM $@
	@mkdir -p $(@D)
	@cp $^ $(@D)
	$(Q)cd $(@D) && PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 npm ci --silent --no-audit --no-fund && touch node_modules || \
		echo 'npm could not fetch what tests/$* wants: some tests are skipped' >&2

.PHONY: check-differential
check-differential: $(READERS) ## The same messages to curfew's parser, http-parser and llhttp: whatever we take, they frame alike
	@$(RUN_ENV) tests/differential/run $(READERS)

.PHONY: oom
oom: $(CURFEW) $(PRELOADS) ## Every allocation of every scenario fails once (scripts/test takes samples of the long ones)
	@$(RUN_ENV) CURFEW_OOM=all CURFEW_TEST_SECONDS=3600 $(PYTEST) $(PYTEST_ARGS) tests/integration/test_oom*.py

.PHONY: matrix
matrix: $(CURFEW) ## The fault matrix as a grid: each state of a call, hit by each event
	@cd tests/integration && $(RUN_ENV) $(PYTHON) -m matrix

.PHONY: calls-sim
calls-sim: $(B)/sim/calls ## Ten million calls in simulated worlds, from SIM_SEED (1): SIM_CALLS of them
	@$(RUN_ENV) $(B)/sim/calls --calls $(or $(SIM_CALLS),10000000) --seed $(or $(SIM_SEED),1)

.PHONY: fleet-sim
fleet-sim: $(B)/sim/fleet ## 1,000 simulated fleets with faults, and one of 10,000 hosts with ten million calls: never above the cap
	@$(RUN_ENV) $(B)/sim/fleet --worlds 1000 --large

.PHONY: fleet
fleet: $(CURFEW) tests ## 20 curfews on one redis-server, measured against what is to be reached; ROWS="1 6": these
	@$(RUN_ENV) tests/fleet/rows $(ROWS)

.PHONY: soak
soak: $(CURFEW) ## Faults, callers that leave and reloads for SOAK_SECONDS (3600), from SOAK_SEED: books exact, memory flat
	@$(RUN_ENV) tests/soak/soak

.PHONY: soak-fleet
soak-fleet: $(CURFEW) tests ## A fleet for SOAK_SECONDS (1800), from SOAK_SEED: kills, stops, reloads, a store that fails; never above the cap at the API
	@$(RUN_ENV) tests/soak/fleet

.PHONY: explore
explore: $(CURFEW) ## EXPLORE_ROUNDS (40) from EXPLORE_SEED, each by configurations that are drawn: books exact, nothing left; best with SAN=
	@$(RUN_ENV) tests/soak/explore

.PHONY: check-perf
check-perf: $(CURFEW) ## Instructions of a request, by protocol, and of an event, by valgrind: within 3 % of tests/perf/instructions
	@$(RUN_ENV) tests/perf/check

.PHONY: check-san
check-san: ## check, once more, under AddressSanitizer and UndefinedBehaviorSanitizer
	+$(Q)$(MAKE) --no-print-directory SAN=address,undefined B=$(SAN_B) check

.PHONY: fuzz fuzzers fuzz-corpus
FUZZ_SECONDS ?= 600
FUZZ_B := $(if $(filter build/release,$(B)),build/fuzz,$(B))
FUZZERS := $(foreach t,$(FUZZ_TARGETS),$(if $(or $(if $(T),,all),$(findstring $(T),$(t))),$(B)/fuzzers/$(t)))
make_fuzzers = +$(Q)$(MAKE) --no-print-directory CC=clang SAN=address,undefined,fuzzer-no-link OPT=-O2 B=$(FUZZ_B) fuzzers
run_fuzzers = @FUZZ_SECONDS=$(FUZZ_SECONDS) tests/fuzz/run $(1) $(FUZZERS:$(B)/%=$(FUZZ_B)/%)
fuzz: ## Look for inputs that break something, with libFuzzer; FUZZ_SECONDS for each target, T=NAME selects
	$(make_fuzzers)
	$(call run_fuzzers,look)

fuzz-corpus: ## Keep in tests/fuzz/corpus the inputs found by fuzz that reach code which no other reaches
	$(make_fuzzers)
	$(call run_fuzzers,keep)

fuzzers: $(FUZZERS)

.PHONY: check-tsan
check-tsan: ## Threads under ThreadSanitizer: the pool's stress, the runtime, integration tests with two workers
	+$(Q)$(MAKE) --no-print-directory SAN=thread B=$(TSAN_B) check-threads

.PHONY: threads check-threads
threads: $(RUNTIME_TESTS) $(STRESSES) $(CURFEW) $(TOOLS) $(PRELOADS) $(BROKEN)

check-threads: threads
	@$(RUN_ENV) tests/run-programs $(RUNTIME_TESTS) $(STRESSES)
	@$(RUN_ENV) CURFEW_WORKERS=2 $(RUN_INTEGRATION)

OPERATIONS ?= 10000000
.PHONY: stress
stress: $(STRESSES) $(MODELS) ## Pool and circuit under eight threads, OPERATIONS of them (10000000) from SEED, and its hand-over explored
	$(Q)$(MODELS)
	$(Q)for each in $(STRESSES); do $$each $(OPERATIONS) $(or $(SEED),$(shell date +%s)) || exit 1; done

.PHONY: check-layers
check-layers: $(PURE_OBJS) ## Rooms include only rooms below them; pure objects reach no socket, clock or thread
	@CC='$(CC)' NM='$(NM)' tests/lint/layers --objects $(B)/obj .

.PHONY: lint
lint: check-layers check-format ## Every lint: layers, circles, format, function length, contracts, docs, and that each can fail
	@tests/lint/circles .
	@tests/lint/functions .
	@tests/lint/contracts .
	@tests/lint/docs .
	@tests/lint/fuzz . $(REPLAYS)
	@CC='$(CC)' NM='$(NM)' tests/lint/selftest

.PHONY: docs
docs: $(CURFEW) ## Bring docs/options.md's tables, the schema, the man pages and the shell completions up to date
	$(Q)scripts/options-table --write docs/options.md
	$(Q)scripts/config-schema --write conf/curfew.schema.json
	$(Q)scripts/manual --write $(CURFEW)

.PHONY: format
format: ## Rewrite the C files as .clang-format says
	$(Q)$(CLANG_FORMAT) -i $(C_FILES)

.PHONY: check-format
check-format: ## Fail if `make format` would change a file
	@$(CLANG_FORMAT) --dry-run --Werror $(C_FILES) && echo 'format: $(words $(C_FILES)) files as .clang-format says'

# ------------------------------------------------------------------------------------------ bench

ROUNDS ?= 5
.PHONY: bench
bench: $(CURFEW) $(B)/tools/load ## curfew and its peers at the same work, into bench/RESULTS.md (20 minutes); ROUNDS=5, ROWS=h2,stuck: only these, shown
	@$(RUN_ENV) bench/run --rounds $(ROUNDS) $(if $(ROWS),--only '$(ROWS)',--out bench/RESULTS.md)

.PHONY: bench-scrapes
bench-scrapes: $(CURFEW) $(B)/tools/load ## Latency of calls with 200 scrapes a second and with none: p99 less than 10 % apart (6 minutes)
	@$(RUN_ENV) bench/scrapes

# --------------------------------------------------------------------------------------- install

.PHONY: install
install: $(CURFEW) install-files ## Install under PREFIX, configuration under SYSCONFDIR; honours DESTDIR
	install -D -m 755 $(CURFEW) $(DESTDIR)$(BINDIR)/curfew

# Where things lie, in what says so.
PLACES = s,/usr/bin/curfew,$(BINDIR)/curfew,g; s,/etc/curfew/,$(SYSCONFDIR)/curfew/,g; s,/usr/share/doc/curfew,$(DOCDIR),g; \
	s,/usr/local/share/curfew/,$(DATADIR)/,g

.PHONY: install-files
install-files: ## What install puts beside the binary: units, manual, completions, examples, configuration
	install -D -m 644 -t $(DESTDIR)$(DOCDIR) README.md SECURITY.md CONTRIBUTING.md LICENSE CHANGELOG.md
	install -D -m 644 -t $(DESTDIR)$(DOCDIR)/docs $(wildcard docs/*.md)
	install -D -m 644 -t $(DESTDIR)$(DOCDIR)/examples $(wildcard conf/examples/*)
	install -D -m 644 -t $(DESTDIR)$(DOCDIR)/examples/prometheus $(wildcard conf/prometheus/*)
	install -D -m 644 -t $(DESTDIR)$(DOCDIR)/examples/grafana $(wildcard conf/grafana/*)
	install -D -m 644 completion/curfew.bash $(DESTDIR)$(BASHDIR)/curfew
	install -D -m 644 -t $(DESTDIR)$(ZSHDIR) completion/_curfew
	install -d $(DESTDIR)$(UNITDIR) $(DESTDIR)$(SYSCONFDIR)/curfew $(DESTDIR)$(MANDIR)/man1 $(DESTDIR)$(MANDIR)/man5
	set -e; for file in systemd/* man/*; do \
		case $$file in systemd/*) to=$(DESTDIR)$(UNITDIR) ;; *) to=$(DESTDIR)$(MANDIR)/man$${file##*.} ;; esac; \
		sed '$(PLACES)' $$file >$$to/$${file##*/}; \
		chmod 644 $$to/$${file##*/}; \
	done
	install -D -m 644 -t $(DESTDIR)$(DATADIR) conf/curfew.schema.json
	@# What somebody has edited stays; ours goes beside it.
	@conf=$(DESTDIR)$(SYSCONFDIR)/curfew/curfew.yaml; \
	sed '$(PLACES)' conf/curfew.yaml >$$conf.new; chmod 644 $$conf.new; \
	if [ -e $$conf ] && ! cmp -s $$conf.new $$conf; then \
		echo "$$conf differs: left as it is, see $$conf.new"; \
	else \
		mv $$conf.new $$conf; \
	fi

.PHONY: deb
deb: ## A Debian package of what lies here, in build/deb
	@scripts/build-deb

.PHONY: clean
clean: ## Remove everything that was built
	rm -rf build

.PHONY: help
help: ## This text
	@echo 'Targets'
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/\1\t\2/p' $(firstword $(MAKEFILE_LIST)) | \
		while IFS="$$(printf '\t')" read -r target text; do printf '  %-18s %s\n' "$$target" "$$text"; done
	@sed -n 's/^## \{0,1\}//p' $(firstword $(MAKEFILE_LIST))
