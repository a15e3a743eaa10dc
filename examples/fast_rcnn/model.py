"""The network: convolutions, pooling of regions, and two heads that look at what was pooled."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from examples.fast_rcnn.pooling import RoIPool
from examples.fast_rcnn.sampling import rows

CLASSES = 11  # background and ten digits
STRIDE = 4  # image pixels per pixel of the feature map
POOLED = 7
CHANNELS = 64
HIDDEN = 128


class FastRCNN(nn.Module):
    """Fast R-CNN with any operator for its pooling: data, rois, pooled_size, spatial_scale."""

    def __init__(self, roi_pool: RoIPool) -> None:
        """With random weights."""
        super().__init__()
        self.roi_pool = roi_pool
        self.backbone = nn.Sequential(
            *_convolution(3, 32, stride=2),
            *_convolution(32, CHANNELS, stride=2),
            *_convolution(CHANNELS, CHANNELS),
            *_convolution(CHANNELS, CHANNELS),
        )
        self.trunk = nn.Sequential(
            nn.Flatten(), nn.Linear(CHANNELS * POOLED**2, HIDDEN), nn.ReLU(inplace=True)
        )
        self.classes = nn.Linear(HIDDEN, CLASSES)
        self.offsets = nn.Linear(HIDDEN, CLASSES * 4)

    def forward(self, images: Tensor, rois: Tensor) -> tuple[Tensor, Tensor]:
        """Scores (K, CLASSES) and offsets (K, CLASSES, 4) of regions (K, 5) of images (N, 3, H, W).

        Images are bytes; rois are rows [image, x1, y1, x2, y2] in pixels of the image.
        """
        features = self.backbone(images / 127.5 - 1)
        pooled = self.roi_pool(features, rois, (POOLED, POOLED), 1 / STRIDE)
        hidden = self.trunk(pooled)
        return self.classes(hidden), self.offsets(hidden).unflatten(1, (CLASSES, 4))

    @torch.inference_mode()
    def predict(self, image: np.ndarray, regions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Probabilities (R, CLASSES) and offsets (R, CLASSES, 4) of regions (R, 4) of an image."""
        images = torch.from_numpy(image).permute(2, 0, 1)[None]
        scores, offsets = self(images, torch.from_numpy(rows(0, regions)))
        return scores.softmax(dim=1).numpy(), offsets.numpy()


def _convolution(channels: int, filters: int, stride: int = 1) -> tuple[nn.Module, ...]:
    return (
        nn.Conv2d(channels, filters, 3, stride, padding=1, bias=False),
        nn.BatchNorm2d(filters),
        nn.ReLU(inplace=True),
    )


def losses(
    scores: Tensor, offsets: Tensor, labels: Tensor, targets: Tensor
) -> tuple[Tensor, Tensor]:
    """The loss of the classes and that of the boxes, each a mean over regions.

        L_cls = -log softmax(scores)[label]
        L_loc = sum over x, y, w, h of smooth_L1(offsets[label] - targets)    0 for background
        smooth_L1(d) = d^2 / 2 where |d| < 1, else |d| - 1/2

    Source: R. Girshick, "Fast R-CNN", ICCV 2015, equations 1 to 3.
    """
    objects = labels.nonzero()[:, 0]
    moved = offsets[objects, labels[objects]]
    apart = functional.smooth_l1_loss(moved, targets[objects], reduction="sum")
    return functional.cross_entropy(scores, labels), apart / len(labels)
