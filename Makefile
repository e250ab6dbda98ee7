# Everything a new machine needs is done by `make demo` and `make test`; both build their own .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PACKAGES_RUN := python3-venv
# libatomic1 is for the Node that comes with Playwright; Debian's own does without.
PACKAGES_TEST := python3-venv postfix nginx-light caddy chromium libical3 strace libatomic1 opendkim libmail-dkim-perl haproxy \
  iproute2 util-linux dovecot-lmtpd
PACKAGES_BENCH := gcc libc6-dev libmilter-dev python3-milter postfix
# Another reader of calendars, for the tests alone: fetched by its name, and taken only if it is what it was.
ICAL_JS := ical.js-2.2.1.tgz
ICAL_JS_SHA512 := c8afd494f6c4b37d7a8a06ffb634606c503c655ef9ac2b01269fe158e6ada7268f365830d1d183994f85a2270e7305f8c5791e5ce91888e982a8d3c5a4d3e442

.PHONY: demo test bench screenshots lock clean

demo: $(VENV)/run
	$(BIN)/notes2conf-milter demo

test: $(VENV)/test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest $(PYTEST)

bench: $(VENV)/test
	./install_packages.sh $(PACKAGES_BENCH)
	$(BIN)/python -m tests.bench.run $(BENCH)

# Every state of the pages as pictures, to be looked at; SHOTS=FOLDER, outside this folder.
screenshots: $(VENV)/test
	$(BIN)/python -m tests.web.screenshots $(SHOTS)

# The stamp files say what a .venv holds: `run` the locked dependencies and the package, `test` the test tools, too.
$(VENV)/run: requirements.txt pyproject.toml
	./install_packages.sh $(PACKAGES_RUN)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

$(VENV)/test: Makefile requirements-test.txt requirements.txt pyproject.toml
	./install_packages.sh $(PACKAGES_TEST)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	command -v npm >/dev/null || ./install_packages.sh nodejs npm
	mkdir -p $(VENV)/node
	cd $(VENV)/node && npm pack --silent $(subst js-,js@,$(ICAL_JS:.tgz=)) >/dev/null && \
	  echo "$(ICAL_JS_SHA512)  $(ICAL_JS)" | sha512sum --check --quiet && tar -xzf $(ICAL_JS)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-test.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@ $(VENV)/run

# Exact versions and hashes, without the address of any package index.
COMPILE := $(VENV)/lock/bin/pip-compile --quiet --strip-extras --generate-hashes --allow-unsafe --no-header \
  --no-emit-index-url --no-emit-trusted-host --no-emit-find-links
lock:
	$(PYTHON) -m venv $(VENV)/lock
	$(VENV)/lock/bin/pip install --quiet --disable-pip-version-check pip-tools
	$(COMPILE) --output-file requirements.txt pyproject.toml build-requirements.in
	$(COMPILE) --output-file requirements-test.txt requirements.txt test-requirements.in

clean:
	rm -rf $(VENV)
