"""Training from scratch: the same losses on every run of one seed and number of threads."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from examples.fast_rcnn.model import FastRCNN, losses
from examples.fast_rcnn.pooling import RoIPool, Timed
from examples.fast_rcnn.sampling import batch

# Momentum and weight decay are the paper's. The rate first rises, for a tenth of the steps: this
# network starts from random weights, the paper's from ImageNet's.
RATE, RISE, MOMENTUM, DECAY = 0.02, 0.1, 0.9, 5e-4


@dataclass(frozen=True)
class Seconds:
    """Where the time of the training went."""

    all: float
    roi_pool: float  # forward and backward
    batches: float  # scenes drawn, proposals and their sampling


@dataclass(frozen=True)
class Trained:
    """A network and how it came to be."""

    model: FastRCNN
    losses: np.ndarray  # (steps, 2) of classes and of boxes
    seconds: Seconds


def train(
    roi_pool: RoIPool,
    seed: int,
    steps: int,
    tell: Callable[[int, np.ndarray], None] = lambda step, losses: None,
) -> Trained:
    """Train a network; after each step `tell` is given its number and the losses so far."""
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True)
    timed = Timed(roi_pool)
    model = FastRCNN(timed)
    optimizer = torch.optim.SGD(model.parameters(), RATE, MOMENTUM, weight_decay=DECAY)
    rate = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / (RISE * steps), (1 - step / steps) / (1 - RISE))
    )
    curve, batches = np.zeros((steps, 2)), 0.0
    start = time.perf_counter()
    for step in range(steps):
        drawn = time.perf_counter()
        given = [torch.from_numpy(array) for array in batch(seed, step)]
        batches += time.perf_counter() - drawn
        curve[step] = _step(model, optimizer, *given)
        rate.step()
        tell(step, curve[: step + 1])
    seconds = Seconds(time.perf_counter() - start, timed.seconds, batches)
    return Trained(model.eval(), curve, seconds)


def _step(
    model: FastRCNN, optimizer: torch.optim.Optimizer, *given: torch.Tensor
) -> tuple[float, float]:
    images, rois, labels, targets = given
    scores, offsets = model(images, rois)
    of_classes, of_boxes = losses(scores, offsets, labels, targets)
    optimizer.zero_grad()
    (of_classes + of_boxes).backward()
    optimizer.step()
    return of_classes.item(), of_boxes.item()
