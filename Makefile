# make demo, make example and make test need Python 3.11 or later, make and a C++ compiler; all
# else is installed into .venv. Nothing outside this folder but pip's cache is written.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
NATIVE := pyproject.toml CMakeLists.txt $(wildcard csrc/*)

export MPLCONFIGDIR := $(CURDIR)/.cache/matplotlib
export SKIMAGE_DATADIR := $(CURDIR)/.cache/scikit-image

.PHONY: demo gallery example example-jax example-dask test stress sanitize fuzz test-doors test-gpu \
  test-gpu-memcheck test-peers odd-inputs peers lint format bench bench-check clean

demo: $(VENV)/demo
	$(BIN)/roipool demo --output build/demo

# Every operator on one region of a photograph, into docs/gallery.png.
gallery: $(VENV)/demo
	$(BIN)/python -m examples.gallery $(ARGS)

# Threads that spin while they wait stop each other where another program has a core.
example: export OMP_WAIT_POLICY ?= passive
example: $(VENV)/examples
	$(BIN)/python -m examples.fast_rcnn $(ARGS)

example-jax: $(VENV)/examples
	$(BIN)/python -m examples.crop_and_classify $(ARGS)

# For example: make example-dask ARGS="--side 40000 --regions 1000000"
example-dask: $(VENV)/examples
	$(BIN)/python examples/dask_zarr/pool_image.py $(ARGS)

test: lint
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile

# Threads, forks, ends of processes and Dask's workers for longer: make stress T=600
stress: export ROIPOOL_STRESS_SECONDS := $(or $(T),60)
stress: $(VENV)/dev
	$(BIN)/python -m pytest -rP tests/test_concurrency.py tests/test_shutdown.py \
	  tests/test_mutated_inputs.py tests/test_dask_failures.py

# The tests that face the core, with the sanitizers of addresses and undefined behaviour, and of
# threads: on Linux, by GCC, which takes up to ten minutes for each to build.
sanitize: | $(BIN)/python
	$(BIN)/python tests/sanitized.py address
	$(BIN)/python tests/sanitized.py thread

# Calls that libFuzzer makes up, on the first of these cores: make fuzz T=60 ARGS=--keep
fuzz: | $(BIN)/python
	$(BIN)/python tests/generated/fuzz.py $(or $(T),600) $(ARGS)

# Libraries too large for every run of the tests, in an environment of their own.
DOORS := .cache/doors
test-doors: $(DOORS)/ready
	$(DOORS)/bin/python -m pytest tests/test_dlpack.py tests/test_paddle.py

# On a machine with a GPU, by a Python that has roipool, PyTorch for that GPU and pytest:
# make test-gpu PYTHON=python3. And the kernels under NVIDIA's compute-sanitizer.
test-gpu:
	ROIPOOL_DEVICE=cuda $(PYTHON) -m pytest tests/test_cuda.py tests/test_triton.py tests/test_devices.py

test-gpu-memcheck:
	ROIPOOL_DEVICE=cuda PYTORCH_NO_CUDA_MEMORY_CACHING=1 \
	  compute-sanitizer --error-exitcode 1 $(PYTHON) -m pytest tests/test_triton.py

# The other libraries of this field, each in an environment of its own in .cache: about 9 GB, most
# of it torchvision's. One alone: make peers ARGS=openvino
peers: $(VENV)/dev
	$(BIN)/python -m benchmarks.environments $(ARGS)

test-peers: peers
	$(BIN)/python -m pytest -rP tests/test_peers.py tests/test_peers_family.py tests/test_peers_compat.py

# 45 odd inputs to every operator, door and peer, each in a process of its own: docs/odd-inputs.md,
# in ten minutes. One library alone: make odd-inputs ARGS="--only torchvision --json-to found.json"
odd-inputs: peers
	PYTHONPATH=tests:. $(BIN)/python -m odd_inputs $(ARGS)

lint: $(VENV)/dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/clang-format --dry-run --Werror csrc/*

format: $(VENV)/dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(BIN)/clang-format -i csrc/*

# Beside the peers that `make peers` made; it says which it leaves out. For example:
# make bench ARGS="--workload roi_align --rounds 3"
bench: $(VENV)/dev
	$(BIN)/python -m benchmarks $(ARGS)

# Against a revision: make bench-check BASE=v0.1.0
BASE ?= HEAD
bench-check: $(VENV)/dev
	$(BIN)/python -m benchmarks.check $(BASE) $(ARGS)

clean:
	rm -rf $(VENV) build .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "roipool needs Python 3.11 or later; name one: make PYTHON=python3.12 $(MAKECMDGOALS)"; \
	  exit 1; }
	$(PYTHON) -m venv $(VENV)

$(DOORS)/ready: $(NATIVE) | $(BIN)/python
	$(BIN)/python -m venv $(DOORS)
	$(DOORS)/bin/pip install --quiet --editable '.[doors]'
	$(DOORS)/bin/python -W ignore -c 'import array_api_strict, mlx.core, paddle, pyarrow'
	@touch $@

$(VENV)/demo $(VENV)/examples $(VENV)/dev: $(VENV)/%: $(NATIVE) | $(BIN)/python
	$(BIN)/pip install --quiet --editable '.[$*]'
	@touch $@
