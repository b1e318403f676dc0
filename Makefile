# make demo      a first talking video: out/demo.mp4
# make test      the tests
# make lint      the checks
# make install   only the set-up, in .venv
#
# PyTorch comes from its index of CPU builds; for a GPU: make install TORCH_INDEX=
# Further options for pip: make install PIP_FLAGS="..."

PYTHON ?= python3
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
PIP_FLAGS ?=
BIN = .venv/bin
PIP = $(BIN)/python -m pip install --disable-pip-version-check --quiet $(PIP_FLAGS) -c constraints.txt
PACKAGES = vlogger motion render video_diffusion superres conf benchmarks tests

.PHONY: demo test lint install clean

demo: install
	$(BIN)/python -m vlogger.generate image=astronaut out=out/demo.mp4 \
	  text="Hello. I was a photograph, and now I can talk. Give me your own picture and your own voice."

test: install
	$(BIN)/python -m pytest

lint: install
	$(BIN)/ruff check $(PACKAGES)
	$(BIN)/ruff format --check $(PACKAGES)
	$(BIN)/pyright
	$(BIN)/lint-imports

install: .venv/installed

.venv/installed: setup.cfg pyproject.toml constraints.txt
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'vlogger needs Python 3.11 or newer')"
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) --no-deps --retries 1 --timeout 30 $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) torch
	$(PIP) -e ".[test]"
	touch $@

clean:
	rm -rf .venv out build *.egg-info
