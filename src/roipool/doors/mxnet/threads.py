"""Lets MXNet's threads finish with Python before they are joined.

For custom operators and functions they call Python, also to tell that one is no longer used. At a
fork and at the end MXNet joins them on the thread that keeps Python from them: without this, a fork
after a backward pass hangs, as it does with any custom operator of MXNet 1.9.1.
"""

import atexit
import os
import time

import mxnet as mx


def _finish() -> None:
    try:
        mx.nd.waitall()  # an error that nobody has asked for yet is printed by Python
    finally:
        time.sleep(0.003)  # what is freed after the work is told to Python now


os.register_at_fork(before=_finish)
atexit.register(_finish)
