"""Digits on photographs, cropped from a feature map and read: trained end to end in JAX.

    make example-jax                               from the root of the repository
    make example-jax ARGS="--steps 100"            other options: ARGS=--help

A network that looks at a whole scene once, `roi_pool` under the given boxes, and a classifier of
each: one jitted step, differentiated through the crop. Scenes are those of `examples.fast_rcnn`.
A scene has up to seven digits: padding rows fill up, so one compiled program serves every batch.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import typer
from jax import Array
from rich.console import Console
from rich.progress import track

from examples.fast_rcnn.pictures import draw_losses
from examples.fast_rcnn.scenes import MOST_DIGITS, Split, scene
from roipool import roi_pool

SCENES = 8  # in a batch
POOLED = 7
STRIDE = 4  # of the features
CHANNELS = (3, 16, 32, 64)
HIDDEN = 128
EXPECTED = 0.85  # accuracy of the default training

Params = dict[str, Array]
Batch = tuple[np.ndarray, np.ndarray, np.ndarray]
Steps = Annotated[int, typer.Option(min=1, help=f"Each of {SCENES} new scenes.")]
TestScenes = Annotated[int, typer.Option(min=SCENES, help="To evaluate on; none was trained on.")]
Seed = Annotated[int, typer.Option(min=0, help="Of the scenes and the weights.")]
Output = Annotated[Path, typer.Option(help="A folder for the loss curve.")]

console = Console(highlight=False)
app = typer.Typer(add_completion=False)


@app.command()
def main(
    steps: Steps = 700,
    test_scenes: TestScenes = 200,
    seed: Seed = 0,
    output: Output = Path("build/crop_and_classify"),
) -> None:
    """Train a network in JAX to read the digits in given boxes.

    Fails where fewer than 85 % of the digits of held-out scenes are read.
    """
    params = init(jax.random.key(seed))
    optimiser = optax.adam(optax.cosine_decay_schedule(2e-3, steps))
    state = optimiser.init(params)

    @jax.jit
    def step(params: Params, state: Any, batch: Batch) -> tuple[Params, Any, Array]:
        value, gradient = jax.value_and_grad(loss)(params, batch)
        updates, state = optimiser.update(gradient, state, params)
        return optax.apply_updates(params, updates), state, value

    losses = []
    for batch in track(batches("train", seed, steps), "training", steps, console=console):
        params, state, value = step(params, state, batch)
        losses.append(float(value))
    accuracy = evaluate(params, seed, test_scenes)
    output.mkdir(parents=True, exist_ok=True)
    draw_losses(np.array(losses)[:, None], ("classes",), output / "losses.png")
    console.print(
        f"[bold]{accuracy:.1%}[/] of the digits of {test_scenes} held-out scenes are read"
    )
    console.print(f"loss {np.mean(losses[-50:]):.3f}; its curve is {output / 'losses.png'}")
    if accuracy < EXPECTED:
        console.print(f"[bold red]that is below {EXPECTED:.0%}[/]: train for more steps")
        raise typer.Exit(1)


def batches(split: Split, seed: int, count: int) -> Iterator[Batch]:
    """Images (S, 3, H, W), boxes (S * 7, 5) with padding rows, and labels (S * 7,)."""
    for i in range(count):
        scenes = [scene(split, seed, i * SCENES + n) for n in range(SCENES)]
        images = np.stack([each.image.transpose(2, 0, 1) for each in scenes])
        rois = np.full((SCENES, MOST_DIGITS, 5), -1, np.float32)
        labels = np.zeros((SCENES, MOST_DIGITS), np.int32)
        for n, each in enumerate(scenes):
            found = len(each.labels)
            rois[n, :found, 0] = n
            rois[n, :found, 1:] = each.boxes
            labels[n, :found] = each.labels
        yield images.astype(np.float32) / 128 - 1, rois.reshape(-1, 5), labels.reshape(-1)


def init(key: Array) -> Params:
    """He's initialisation of two convolutions between strides and two dense layers."""
    shapes = {
        **{f"conv{i}": (CHANNELS[i + 1], CHANNELS[i], 3, 3) for i in range(3)},
        "hidden": (CHANNELS[-1] * POOLED**2, HIDDEN),
        "classes": (HIDDEN, 10),
    }
    keys = jax.random.split(key, len(shapes))
    params = {}
    for part, (name, shape) in zip(keys, shapes.items(), strict=True):
        inputs = shape[0] if len(shape) == 2 else shape[1] * 9
        params[name] = jax.random.normal(part, shape) * (2 / inputs) ** 0.5
        params[f"{name}_bias"] = jnp.zeros(shape[1] if len(shape) == 2 else (shape[0], 1, 1))
    return params


def scores(params: Params, images: Array, rois: Array) -> Array:
    """Logits (K, 10) of what is in each box."""
    features = images
    for i, stride in enumerate((2, 2, 1)):
        features = jax.lax.conv(features, params[f"conv{i}"], (stride, stride), "SAME")
        features = jax.nn.relu(features + params[f"conv{i}_bias"])
    crops = roi_pool(features, rois, POOLED, 1 / STRIDE).reshape(len(rois), -1)
    hidden = jax.nn.relu(crops @ params["hidden"] + params["hidden_bias"])
    return hidden @ params["classes"] + params["classes_bias"]


def loss(params: Params, batch: tuple[Array, Array, Array]) -> Array:
    """Cross-entropy, mean over the boxes that are no padding."""
    images, rois, labels = batch
    each = optax.softmax_cross_entropy_with_integer_labels(scores(params, images, rois), labels)
    known = rois[:, 0] >= 0
    return jnp.sum(each * known) / jnp.sum(known)


def evaluate(params: Params, seed: int, count: int) -> float:
    """Share of digits that are read, on so many test scenes or a few fewer."""
    read = jax.jit(lambda *arguments: scores(*arguments).argmax(axis=1))
    right = total = 0
    for images, rois, labels in batches("test", seed, count // SCENES):
        known = rois[:, 0] >= 0
        right += int(np.sum((np.asarray(read(params, images, rois)) == labels)[known]))
        total += int(np.sum(known))
    return right / total


if __name__ == "__main__":
    app()
