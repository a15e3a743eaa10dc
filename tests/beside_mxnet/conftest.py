"""Run by the Python of MXNet's environment, which tests/test_mxnet.py makes; elsewhere left out."""

import importlib.util
import warnings

if importlib.util.find_spec("mxnet") is None:
    collect_ignore_glob = ["*"]
else:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MXNet 1.9.1 uses names that NumPy 1.23 warns of
        import mxnet  # noqa: F401


def pytest_configure(config):
    config.addinivalue_line("filterwarnings", r"ignore::DeprecationWarning:mxnet\.")
