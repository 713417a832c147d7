# Omniscient. `make run` shows a robot, `make test` proves it; `make help` lists the rest.
# Everything is built out of tree, in build/<arch>/ (for another Debian: build/<arch>-<suite>/; with a sanitizer:
# build/<arch>-<sanitizer>/).

MACHINE  := $(shell uname -m)
ARCH     ?= $(MACHINE)
SUITE    ?=
SANITIZE ?=
PLACE    := $(ARCH)$(if $(SUITE),-$(SUITE))
BUILD    := build/$(PLACE)$(if $(SANITIZE),-$(SANITIZE))
LISTEN   ?=
PREFIX   ?= /usr/local
LIBDIR   ?= $(PREFIX)/lib
UNITDIR  ?= $(PREFIX)/lib/systemd/system
SYSCONFDIR ?= /etc
DESTDIR  ?=
# Where `make deb` puts packages.
DEST     := build/deb
# Where shells look for what completes a command line; zsh's in a package of Debian's: /usr/share/zsh/vendor-completions.
BASH_COMPLETIONS ?= $(PREFIX)/share/bash-completion/completions
ZSH_COMPLETIONS  ?= $(PREFIX)/share/zsh/site-functions
FISH_COMPLETIONS ?= $(PREFIX)/share/fish/vendor_completions.d
VERSION  := 0.1.0

CC       ?= cc
# Makes what runs on this machine while it builds, whatever CPU the programs are for.
HOSTCC   ?= cc
PKG_CONFIG ?= pkg-config
ROBOT_LIBRARIES := libgpiod inih
RELAY_LIBRARIES := libuv libcjson libcap
LIBRARIES := libmicrohttpd libwebsockets libuv libcjson libqrencode alsa sndfile avahi-client

# Empty where a compiler that nobody here has tried must not stop a package from being built.
WERROR   ?= -Werror
WARNINGS := -Wall -Wextra -Wpedantic $(WERROR) -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes \
            -Wmissing-prototypes -Wold-style-definition -Wcast-qual -Wcast-align -Wformat=2 -Wundef -Wvla \
            -Wwrite-strings -Wpointer-arith -Wswitch-enum -Wnull-dereference
# What a sanitizer watches is compiled in half the time with little optimisation, and watched as well; but then the
# compiler knows too little to say what would be cut short.
CFLAGS   ?= $(if $(SANITIZE),-O1 -Wno-format-truncation,-O2) -g
ALL_CFLAGS = -std=c17 $(WARNINGS) $(CFLAGS) $(TARGET_FLAGS) -fPIE -fstack-protector-strong -fno-strict-overflow $(SANITIZE_FLAGS)
ALL_CPPFLAGS = -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DOMNI_VERSION='"$(VERSION)"' -I$(BUILD)/include $(CPPFLAGS)
ALL_LDFLAGS = -pie -Wl,-z,relro,-z,now -Wl,--as-needed $(TARGET_FLAGS) $(TARGET_LDFLAGS) $(LDFLAGS) $(SANITIZE_FLAGS)

ifeq ($(SANITIZE),address)
SANITIZE_FLAGS := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
else ifeq ($(SANITIZE),thread)
SANITIZE_FLAGS := -fsanitize=thread -Wno-tsan
else ifneq ($(SANITIZE),)
$(error SANITIZE=$(SANITIZE): write address or thread)
else
ALL_CPPFLAGS += -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
endif

# Another CPU needs another compiler; it, and another Debian, need libraries of their own: a sysroot (empty: those that
# the compiler and PKG_CONFIG find by themselves).
ifneq ($(ARCH)$(SUITE),$(MACHINE))
TRIPLET := $(shell awk '$$1 == "$(ARCH)" { print $$3 }' scripts/architectures)
$(if $(TRIPLET),,$(error ARCH=$(ARCH): write one of $(shell awk '!/^\#/ { print $$1 }' scripts/architectures); a Raspberry Pi is aarch64, \
  with a 32-bit system armv7))
SYSROOT ?= $(CURDIR)/build/sysroot/$(PLACE)
ifneq ($(SYSROOT),)
SYSROOT_MADE := $(SYSROOT)/.made-of
# The headers by name: a cross compiler has some of its own, of its own release of Debian, and would take these first.
TARGET_FLAGS := --sysroot=$(SYSROOT) -isystem $(SYSROOT)/usr/include/$(TRIPLET) -isystem $(SYSROOT)/usr/include
# Before the compiler's own: they may belong to another release of Debian.
TARGET_LDFLAGS = -B$(SYSROOT)/usr/lib/$(TRIPLET) -L$(SYSROOT)/usr/lib/$(TRIPLET)
ASK := env PKG_CONFIG_SYSROOT_DIR=$(SYSROOT) PKG_CONFIG_LIBDIR=$(SYSROOT)/usr/lib/$(TRIPLET)/pkgconfig:$(SYSROOT)/usr/share/pkgconfig
endif
ifneq ($(ARCH),$(MACHINE))
FOREIGN := $(ARCH)
CC := $(if $(filter default,$(origin CC)),$(TRIPLET)-gcc,$(CC))
AR := $(if $(filter default,$(origin AR)),$(TRIPLET)-ar,$(AR))
else ifneq ($(SYSROOT),)
# Runs here as it is: with the sysroot's own loader and libraries, all the way down. Empty: runs elsewhere.
LOADER ?= -Wl,--dynamic-linker=$(shell ls $(SYSROOT)/lib*/ld-linux*.so* | head -n 1) \
          -Wl,--disable-new-dtags -Wl,-rpath,$(SYSROOT)/usr/lib/$(TRIPLET)
TARGET_LDFLAGS += $(LOADER)
endif
endif

# Asked only when something of the robot, of the relay, or of the observer, is compiled.
ROBOT_CFLAGS   = $(shell $(ASK) $(PKG_CONFIG) --cflags $(ROBOT_LIBRARIES) | sed 's/-I/-isystem /g')
ROBOT_LIBS     = $(shell $(ASK) $(PKG_CONFIG) --libs $(ROBOT_LIBRARIES))
RELAY_CFLAGS   = $(shell $(ASK) $(PKG_CONFIG) --cflags $(RELAY_LIBRARIES) | sed 's/-I/-isystem /g')
RELAY_LIBS     = $(shell $(ASK) $(PKG_CONFIG) --libs $(RELAY_LIBRARIES))
LIBRARY_CFLAGS = $(shell $(ASK) $(PKG_CONFIG) --cflags $(LIBRARIES) | sed 's/-I/-isystem /g')
LIBRARY_LIBS   = $(shell $(ASK) $(PKG_CONFIG) --libs $(LIBRARIES))
# Not linked with what it loads when it is needed, and may be missing (observer/clips.h).
OBSERVER_LIBS  = $(shell $(ASK) $(PKG_CONFIG) --libs $(filter-out sndfile,$(LIBRARIES)))

sources  = $(wildcard $(1)/*.c)
objects  = $(patsubst %.c,$(BUILD)/%.o,$(1))

OMNI     := $(BUILD)/libomni.a
SERVICE  := $(BUILD)/libservice.a
ROBOT    := $(BUILD)/omni-robot
DRIVER_HOST := $(BUILD)/omni-driver-host
OBSERVER := $(BUILD)/omni-observer
RELAY    := $(BUILD)/omni-relay
SAMPLES  := $(wildcard examples/driver_*.c tests/drivers/*.c)
EXAMPLES := $(patsubst examples/%.c,$(BUILD)/examples/%,$(filter-out $(SAMPLES),$(call sources,examples)))
DRIVERS  := $(SAMPLES:%.c=$(BUILD)/%.so)
UNIT     := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/unit/*/*_test.c))
HELPERS  := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/programs/*.c))
PLUGINS  := $(patsubst %.c,$(BUILD)/%.so,$(wildcard tests/plugins/*.c))
COMPLETIONS := $(foreach program,omni-robot omni-relay omni-observer,$(addprefix build/completions/,bash/$(program) zsh/_$(program) fish/$(program).fish))
BENCHES  := $(patsubst %.c,$(BUILD)/%,$(wildcard bench/*.c))
PEERS    := $(patsubst %.c,$(BUILD)/%,$(wildcard bench/foreign/*.c))
PEER_ARCHES := $(filter-out $(MACHINE),armv7 aarch64)
PUBLIC   := driver guard handoff lock lockstep observe publish region ring schema segment wait
# What the page is made with: npm's, in web/, unless they are named (as packagers do, who have no network).
UPLOT    ?= web/node_modules/uplot
ESBUILD  ?= web/node_modules/.bin/esbuild
NPM      := $(if $(filter web/node_modules/%,$(UPLOT) $(ESBUILD)),web/node_modules/.package-lock.json)
PAGE     := $(shell find web -name node_modules -prune -o -type f ! -name '*.md' -print | LC_ALL=C sort)
ASSETS   := web/favicon.svg web/index.html web/main.js web/style.css \
            $(addprefix $(UPLOT)/,LICENSE dist/uPlot.iife.min.js dist/uPlot.min.css)

# V=1 shows the commands.
V     ?=
quiet := $(if $(V),,@)
say    = @$(if $(V),true,printf '%-8s%s\n' '$(1)' '$(2)')

.PHONY: FORCE all programs completions units helpers drivers benches peers run deploy test bench lint format deb install install-services install-driver-host clean deps help
.DELETE_ON_ERROR:
.SECONDARY:

all: deps
	@$(MAKE) --no-print-directory programs

programs: $(OMNI) $(foreach folder,robot observer relay,$(if $(wildcard $(folder)/main.c),$(BUILD)/omni-$(folder))) $(DRIVER_HOST) $(EXAMPLES) $(filter $(BUILD)/examples/%,$(DRIVERS)) completions
	@:
completions: $(COMPLETIONS)
units: $(UNIT)
helpers: $(HELPERS) $(PLUGINS) drivers
drivers: $(DRIVERS)
benches: $(BENCHES) peers
peers: $(PEERS) $(DRIVER_HOST) drivers

help:
	@echo 'make            build everything into $(BUILD)/'
	@echo 'make run        build, start the robot and the observer, print the link (LISTEN=ADDRESS:PORT ...)'
	@echo '                both: ARCH=aarch64|armv7 for another CPU, SUITE=trixie against another Debian'
	@echo 'make deploy     put both onto HOST=USER@MACHINE through ssh, and start them there (PORT, LISTEN, ARCH, SUITE, SSH)'
	@echo 'make test       all tests and checks          make bench    figures, as a table'
	@echo 'make lint       format, clang-tidy, cppcheck   make format   rewrite to the style'
	@echo 'make install    into DESTDIR/PREFIX            make deps     install what is missing'
	@echo 'make install-services                          units for systemd, with their users and settings'
	@echo 'make deb        Debian packages into DEST (build/deb/), ARCH=aarch64|armv7 for a Raspberry Pi (docs/packages.md)'
	@echo 'make install-driver-host ARCH=...   only what runs drivers of another CPU (docs/drivers.md)'
	@echo 'make clean      remove build/                  SANITIZE=address|thread for checked builds, V=1 to see commands'

deps:
	@scripts/deps page $(if $(FOREIGN),cross $(FOREIGN),build)

run: all
	@scripts/run $(BUILD) $(foreach address,$(LISTEN),--listen $(address))

# Only what was typed counts: shells and others have variables of these names. make hands it on in the environment, so
# that no shell reads it as its own. What HOST has is asked there.
deploy:
	@unset $(foreach name,HOST ARCH SUITE LISTEN PORT SSH BUILD,$(if $(findstring command,$(origin $(name))),,$(name))) _; \
	scripts/deploy "$${HOST-}"

deb:
	$(if $(SUITE)$(SANITIZE),$(error make deb makes packages for this machine's release of Debian, without SUITE and SANITIZE))
	@scripts/deps page deb $(if $(FOREIGN),cross $(FOREIGN),build)
	@VERSION='$(VERSION)' scripts/deb $(ARCH) '$(DEST)'

test:
	@scripts/deps page build deb test
	@for arch in $(filter-out $(MACHINE:armv7l=armv7),armv7 aarch64 s390x x86_64); do scripts/deps cross $$arch || true; done
	@scripts/deps vm || true
	@$(MAKE) --no-print-directory programs
	@scripts/test

bench:
	@scripts/deps page build bench
	@scripts/deps vm || true
	@$(MAKE) --no-print-directory programs benches
	@for arch in $(PEER_ARCHES); do scripts/deps cross $$arch && $(MAKE) --no-print-directory ARCH=$$arch peers || true; done
	@scripts/bench $(BUILD)

lint:
	@scripts/deps page build test
	@scripts/lint $(BUILD)

format:
	@git ls-files -co --exclude-standard '*.c' '*.h' | xargs clang-format -i

clean:
	rm -rf build

# ---- compiling -------------------------------------------------------------------------------------

$(BUILD)/include/omni:
	@mkdir -p $(@D)
	@ln -sfn $(CURDIR)/shared $@

$(SYSROOT_MADE): scripts/sysroot scripts/deps scripts/architectures
	@scripts/sysroot $(ARCH) $(@D) $(SUITE)

$(BUILD)/%.o: %.c Makefile | $(BUILD)/include/omni $(SYSROOT_MADE)
	@mkdir -p $(@D)
	$(call say,compile,$<)
	$(quiet)$(CC) $(ALL_CPPFLAGS) $(EXTRA_CFLAGS) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

# Another VERSION= compiles anew what says it.
VERSIONED := $(shell grep -lw OMNI_VERSION robot/*.c relay/*.c observer/*.c tests/unit/*/*.c 2>/dev/null)
$(call objects,$(VERSIONED)): $(BUILD)/version
$(BUILD)/version: FORCE
	@mkdir -p $(@D)
	@echo '$(VERSION)' | cmp -s - $@ || echo '$(VERSION)' >$@
FORCE:

$(BUILD)/robot/%.o: EXTRA_CFLAGS = $(ROBOT_CFLAGS)
$(BUILD)/observer/%.o $(BUILD)/tests/unit/observer/%.o: EXTRA_CFLAGS = $(LIBRARY_CFLAGS)
$(BUILD)/relay/%.o $(BUILD)/tests/unit/relay/%.o: EXTRA_CFLAGS = $(RELAY_CFLAGS)
$(BUILD)/robot/%.o $(BUILD)/observer/%.o $(BUILD)/relay/%.o: ALL_CPPFLAGS += -I.
$(BUILD)/tests/unit/%.o: ALL_CPPFLAGS += -I.
$(BUILD)/bench/%.o: ALL_CPPFLAGS += -I.

archive = @rm -f $@ && $(AR) rcs $@ $^
$(OMNI): $(call objects,$(call sources,shared))
	$(archive)
$(SERVICE): $(call objects,$(call sources,service))
	$(archive)
$(BUILD)/librobot.a: $(call objects,$(filter-out robot/main.c,$(call sources,robot)))
	$(archive)
$(BUILD)/libobserver.a: $(call objects,$(filter-out observer/main.c,$(call sources,observer)))
	$(archive)
$(BUILD)/librelay.a: $(call objects,$(filter-out relay/main.c,$(call sources,relay)))
	$(archive)

define link
$(call say,link,$@)
$(quiet)$(CC) $(ALL_LDFLAGS) -o $@ $(filter %.o %.a,$^)
endef
$(ROBOT): $(BUILD)/robot/main.o $(BUILD)/librobot.a $(SERVICE) $(OMNI)
	$(link) $(ROBOT_LIBS) -lm -pthread
$(OBSERVER): $(BUILD)/observer/main.o $(BUILD)/libobserver.a $(SERVICE) $(OMNI)
	$(link) $(OBSERVER_LIBS) -lm -pthread
$(RELAY): $(BUILD)/relay/main.o $(BUILD)/librelay.a $(SERVICE) $(OMNI)
	$(link) $(RELAY_LIBS) -pthread
$(DRIVER_HOST): $(BUILD)/robot/host/main.o $(BUILD)/librobot.a $(SERVICE) $(OMNI)
	$(link) -pthread
$(BUILD)/examples/%: $(BUILD)/examples/%.o $(OMNI)
	$(link) -lm
$(DRIVERS:%.so=%.o): ALL_CFLAGS += -fPIC
$(DRIVERS): %.so: %.o
	$(call say,link,$@)
	$(quiet)$(CC) -shared $(filter-out -pie,$(ALL_LDFLAGS)) -o $@ $<

# ---- the page, embedded: the same for every CPU ----------------------------------------------------

build/page/assets.h: $(PAGE) $(NPM) scripts/embed
	@mkdir -p $(@D)
	@UPLOT=$(UPLOT) ESBUILD=$(ESBUILD) scripts/embed $(@D) $(ASSETS) >$@
web/node_modules/.package-lock.json: web/package-lock.json
	@scripts/deps page
$(BUILD)/observer/assets.o: build/page/assets.h
$(BUILD)/observer/assets.o: ALL_CPPFLAGS += -Ibuild/page

# ---- completions of command lines, from the tables of options: the same for every CPU --------------

build/completions/table: $(wildcard completions/*.[ch]) robot/options.h robot/board.h relay/options.h observer/options.h observer/options_table.h Makefile | $(BUILD)/include/omni
	@mkdir -p $(@D)
	$(call say,compile,$@)
	$(quiet)$(HOSTCC) -std=c17 $(WARNINGS) -D_GNU_SOURCE -I$(BUILD)/include -I. -o $@ $(filter %.c,$^)
# The table, then what is the same for all programs; in fish what is called has to be there first.
define complete
@mkdir -p $(@D)
@build/completions/table $(1) $(2) >$@.table
@sed 's/PROGRAM/$(subst -,_,$(1))/g; s/COMMAND/$(1)/g' $(3) >$@
@rm $@.table
endef
build/completions/bash/%: build/completions/table completions/omni.bash
	$(call complete,$*,bash,$@.table completions/omni.bash)
build/completions/zsh/_%: build/completions/table completions/omni.zsh
	$(call complete,$*,zsh,$@.table completions/omni.zsh)
build/completions/fish/%.fish: build/completions/table completions/omni.fish
	$(call complete,$*,fish,completions/omni.fish $@.table)

# ---- tests and benchmarks --------------------------------------------------------------------------

CMOCKA_LIBS = $(shell $(ASK) $(PKG_CONFIG) --libs cmocka)
$(BUILD)/tests/unit/shared/%_test: $(BUILD)/tests/unit/shared/%_test.o $(OMNI)
	$(link) $(CMOCKA_LIBS) -lm -pthread
$(BUILD)/tests/unit/service/%_test: $(BUILD)/tests/unit/service/%_test.o $(SERVICE) $(OMNI)
	$(link) $(CMOCKA_LIBS)
$(BUILD)/tests/unit/robot/%_test: $(BUILD)/tests/unit/robot/%_test.o $(BUILD)/librobot.a $(SERVICE) $(OMNI)
	$(link) $(CMOCKA_LIBS) $(ROBOT_LIBS) -lm -pthread
$(BUILD)/tests/unit/relay/%_test: $(BUILD)/tests/unit/relay/%_test.o $(BUILD)/librelay.a $(SERVICE) $(OMNI)
	$(link) $(CMOCKA_LIBS) $(RELAY_LIBS) -pthread
$(BUILD)/tests/unit/observer/%_test: $(BUILD)/tests/unit/observer/%_test.o $(BUILD)/libobserver.a $(SERVICE) $(OMNI)
	$(link) $(CMOCKA_LIBS) $(LIBRARY_LIBS) -lm -pthread
$(BUILD)/tests/programs/%: $(BUILD)/tests/programs/%.o $(OMNI)
	$(link) -lm -pthread
# What alsa-lib loads: PIC makes its macros export what it looks for.
$(BUILD)/tests/plugins/%.o: ALL_CFLAGS += -fPIC -DPIC
$(BUILD)/tests/plugins/%.o: EXTRA_CFLAGS = $(LIBRARY_CFLAGS)
$(BUILD)/tests/plugins/%.so: $(BUILD)/tests/plugins/%.o
	$(call say,link,$@)
	$(quiet)$(CC) -shared $(filter-out -pie,$(ALL_LDFLAGS)) -o $@ $< $(LIBRARY_LIBS)
$(BUILD)/libbench.a: $(call objects,$(call sources,bench/parts))
	$(archive)
$(BUILD)/bench/%: $(BUILD)/bench/%.o $(BUILD)/libbench.a $(BUILD)/libobserver.a $(SERVICE) $(OMNI)
	$(link) $(LIBRARY_LIBS) -lm -pthread
$(BUILD)/bench/driver: $(BUILD)/bench/driver.o $(BUILD)/libbench.a $(BUILD)/librobot.a $(SERVICE) $(OMNI)
	$(link) -lm -pthread
# What runs on other CPUs too needs no library but libomni.
$(BUILD)/bench/foreign/%: $(BUILD)/bench/foreign/%.o $(OMNI)
	$(link)
# A peer that is not installed is left out, and the table says so.
LCM_LIBS = $(shell $(PKG_CONFIG) --libs lcm 2>/dev/null)
$(BUILD)/bench/latency.o: EXTRA_CFLAGS = $(LIBRARY_CFLAGS)
$(BUILD)/bench/peers.o: EXTRA_CFLAGS = $(if $(LCM_LIBS),-DBENCH_HAVE_LCM)
$(BUILD)/bench/peers: $(BUILD)/bench/peers.o $(BUILD)/libbench.a $(OMNI)
	$(link) $(LCM_LIBS) -lm -pthread

# ---- installing ------------------------------------------------------------------------------------

install: programs
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(LIBDIR)/pkgconfig $(DESTDIR)$(PREFIX)/include/omni
	install -m 755 $(ROBOT) $(OBSERVER) $(RELAY) $(DESTDIR)$(PREFIX)/bin
	install -m 644 $(OMNI) $(DESTDIR)$(LIBDIR)
	sed 's|@PREFIX@|$(PREFIX)|; s|@LIBDIR@|$(LIBDIR)|; s|@VERSION@|$(VERSION)|' shared/omni.pc.in >$(DESTDIR)$(LIBDIR)/pkgconfig/omni.pc
	install -m 644 $(PUBLIC:%=shared/%.h) $(DESTDIR)$(PREFIX)/include/omni
	for section in 1 3 5 8; do install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/man$$section docs/man/*.$$section || exit; done
	install -D -m 644 -t $(DESTDIR)$(BASH_COMPLETIONS) $(filter build/completions/bash/%,$(COMPLETIONS))
	install -D -m 644 -t $(DESTDIR)$(ZSH_COMPLETIONS) $(filter build/completions/zsh/%,$(COMPLETIONS))
	install -D -m 644 -t $(DESTDIR)$(FISH_COMPLETIONS) $(filter build/completions/fish/%,$(COMPLETIONS))
	@$(MAKE) --no-print-directory install-driver-host

# For systemd; nothing is started. Settings that are there stay as they are.
install-services:
	install -d $(DESTDIR)$(UNITDIR) $(DESTDIR)$(PREFIX)/lib/sysusers.d $(DESTDIR)$(PREFIX)/lib/tmpfiles.d $(DESTDIR)$(SYSCONFDIR)/omniscient
	for unit in $(notdir $(wildcard packaging/systemd/*.service packaging/systemd/*.socket)); do \
	  sed 's|/usr/local/bin|$(PREFIX)/bin|' packaging/systemd/$$unit >$(DESTDIR)$(UNITDIR)/$$unit || exit 1; done
	for kind in sysusers tmpfiles; do \
	  install -m 644 packaging/systemd/omniscient.$$kind $(DESTDIR)$(PREFIX)/lib/$$kind.d/omniscient.conf || exit 1; done
	for file in robot.conf relay.conf observer.conf; do [ -e $(DESTDIR)$(SYSCONFDIR)/omniscient/$$file ] || \
	  install -m 644 packaging/systemd/$$file $(DESTDIR)$(SYSCONFDIR)/omniscient || exit 1; done

# What omni-robot starts for drivers of that CPU; beside a robot of any other. The folder is the CPU's that it was made
# for, by which the robot looks for it: CC may be a packager's, for another CPU, and a 64-bit kernel may have a 32-bit
# Debian. A CPU that takes no drivers keeps its own name.
install-driver-host: $(DRIVER_HOST) | $(BUILD)/include/omni
	cpu=$$(CC='$(CC) $(TARGET_FLAGS) -I$(BUILD)/include' scripts/cpu-of $(DRIVER_HOST)) || cpu=$(ARCH:armv7l=armv7); \
	install -D -m 755 $(DRIVER_HOST) "$(DESTDIR)$(PREFIX)/lib/omniscient/$$cpu/omni-driver-host"

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
