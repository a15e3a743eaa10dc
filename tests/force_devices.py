"""A plugin for pytest: PyTorch's CPU gets what other devices have, so that tests may look at it.

python -m pytest -p force_devices tests/test_torch_family.py
"""

import warnings

import torch

from roipool.doors.torch import devices
from roipool.doors.torch.forms import FORMS

library = torch.library.Library("roipool", "IMPL")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # each is registered already
    for form in FORMS.values():
        library.impl(form.name, devices.on_device(form), "CPU", allow_override=True)
