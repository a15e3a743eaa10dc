"""Fast R-CNN, small enough to train from scratch on a processor: `python -m examples.fast_rcnn`.

    scenes, proposals, boxes, sampling     what goes in and comes out, in NumPy alone
    model, training, evaluation            the network, in PyTorch
    pictures                               the curve of the losses, and detections

Source: R. Girshick, "Fast R-CNN", ICCV 2015.
"""
