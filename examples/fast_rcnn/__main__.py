"""The command: `python -m examples.fast_rcnn --help`."""

import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn, track

from examples.fast_rcnn.evaluation import Detections, average_precision, detect
from examples.fast_rcnn.pictures import draw_detections, draw_losses
from examples.fast_rcnn.pooling import RoIOp, RoIPool
from examples.fast_rcnn.sampling import SCENES
from examples.fast_rcnn.scenes import Scene, scene
from examples.fast_rcnn.training import Seconds, Trained, train

EXPECTED = 0.80  # mAP at IoU 0.5 of the default training
PICTURED = 5  # scenes, the first of the test
MEAN_OVER = 100  # steps, of the losses that are told

Steps = Annotated[int, typer.Option(min=1, help=f"Each of {SCENES} new scenes.")]
TestScenes = Annotated[int, typer.Option(min=1, help="To evaluate on; none was trained on.")]
Seed = Annotated[int, typer.Option(min=0, help="Of the scenes, the weights and the sampling.")]
Threads = Annotated[int, typer.Option(min=1, help="Other numbers round sums otherwise.")]
Op = Annotated[RoIOp, typer.Option(help="Whose roi_pool is trained through.")]
Output = Annotated[Path, typer.Option(help="A folder for pictures, losses and figures.")]

console = Console(highlight=False, soft_wrap=True)


def main(
    steps: Steps = 4000,
    test_scenes: TestScenes = 200,
    seed: Seed = 0,
    threads: Threads = 2,
    roi_op: Op = RoIOp.ROIPOOL,
    output: Output = Path("build/fast_rcnn"),
) -> None:
    """Train a small Fast R-CNN from scratch to find handwritten digits on photographs.

    Fails where the mean average precision at IoU 0.5 on held-out scenes comes out below 0.80.
    """
    roi_pool = _loaded(roi_op)
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise typer.BadParameter(f"{output} cannot be made: {error.strerror}") from None
    torch.set_num_threads(threads)
    with _progress(steps) as tell:
        trained = train(roi_pool, seed, steps, tell)
    _tell_time(trained.seconds, roi_op)
    scenes, found = _detected(trained, seed, test_scenes)
    precision = average_precision(scenes, found)
    mean = float(np.nanmean(precision))
    _tell_precision(precision, mean, test_scenes)
    draw_losses(trained.losses, ("classes", "boxes"), output / "losses.png")
    draw_detections(scenes[:PICTURED], found[:PICTURED], output / "detections.png")
    _save_figures(trained, precision, output)
    console.print(f"losses.png, detections.png, losses.csv and figures.json are in {output}")
    if not mean >= EXPECTED:
        console.print(f"[bold red]mAP {mean:.3f} is below {EXPECTED}[/]: train for more steps")
        sys.exit(1)


def _loaded(roi_op: RoIOp) -> RoIPool:
    try:
        return roi_op.load()
    except ModuleNotFoundError as missing:
        raise typer.BadParameter(
            f"--roi-op {roi_op} needs {missing.name}, which this Python does not have: "
            f"pip install {missing.name}, or leave the option out"
        ) from None


@contextlib.contextmanager
def _progress(steps: int) -> Iterator[Callable[[int, np.ndarray], None]]:
    """A function to tell of each step: a bar on a terminal, and ten lines anywhere."""
    columns = (
        BarColumn(),
        TextColumn("{task.completed} of {task.total} steps, loss {task.fields[loss]:.3f}"),
        TimeRemainingColumn(),
    )
    quiet = not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=quiet) as progress:
        task = progress.add_task("", total=steps, loss=float("nan"))

        def tell(step: int, losses: np.ndarray) -> None:
            classes, boxes = losses[-MEAN_OVER:].mean(axis=0)
            progress.update(task, completed=step + 1, loss=classes + boxes)
            if (step + 1) % max(steps // 10, 1) == 0:
                console.print(f"step {step + 1:5}: classes {classes:.3f}, boxes {boxes:.3f}")

        yield tell


def _detected(trained: Trained, seed: int, count: int) -> tuple[list[Scene], list[Detections]]:
    scenes = [scene("test", seed, i) for i in range(count)]
    shown = track(
        scenes, "testing", transient=True, console=console, disable=not console.is_terminal
    )
    return scenes, [detect(trained.model.predict, each, seed, i) for i, each in enumerate(shown)]


def _tell_time(seconds: Seconds, roi_op: RoIOp) -> None:
    share = seconds.roi_pool / seconds.all
    rest = seconds.all - seconds.roi_pool - seconds.batches
    console.print(
        f"trained in {seconds.all:.1f} s: roi_pool of {roi_op} {seconds.roi_pool:.2f} s, forward "
        f"and backward, [bold]{share:.1%}[/]; scenes and proposals {seconds.batches:.1f} s; the "
        f"rest of the network {rest:.1f} s"
    )


def _tell_precision(precision: np.ndarray, mean: float, count: int) -> None:
    each = ", ".join(f"{digit}: {value:.2f}" for digit, value in enumerate(precision))
    console.print(f"average precision at IoU 0.5 by digit: {each}")
    console.print(f"[bold]mAP@0.5 {mean:.3f}[/] on {count} held-out scenes (COCO's definition)")


def _save_figures(trained: Trained, precision: np.ndarray, output: Path) -> None:
    """The losses of every step, with all their digits, and what the run came to."""
    path = output / "losses.csv"
    np.savetxt(path, trained.losses, "%.17g", ",", header="classes,boxes", comments="")
    known = [None if np.isnan(value) else value for value in precision]
    mean, seconds = float(np.nanmean(precision)), vars(trained.seconds)
    figures = {"map": mean, "precision": known, "seconds": seconds}
    (output / "figures.json").write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    typer.run(main)
