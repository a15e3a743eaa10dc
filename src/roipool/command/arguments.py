"""The subcommands: their arguments, their help, and which module does the work."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

import roipool
from roipool.command.operators import (
    DEFAULT,
    choose,
    choose_several,
    names,
    other_rows,
    scales,
    with_options,
)
from roipool.command.words import plain

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)

POOL = f"""Pool regions of feature maps or images into one .npy array (K, C, h, w).

A .npy file is read and the result written piece by piece: neither must fit in memory. A run takes
about 400 MiB at most, beside pages of the files that the system takes back at need; more only of
planes above 256 MiB whose dtype changes. The result appears under its name when it is whole; a run
that fails or is stopped leaves nothing.

ROIS, with corners in image pixels, which by roi_pool both belong to the region:

\b
  .npy   rows [batch_index, x1, y1, x2, y2]; a negative batch_index marks a
         padding row, which gives zeros
  .csv   a header with x1, y1, x2, y2 and batch_index (without it all are of
         image 0); other columns are passed over
  .json  COCO annotations: bbox [x, y, width, height] becomes the inclusive
         corners x, y, x + width - 1, y + height - 1. Images find their
         regions by file_name, others are left out; for an array, the order
         of "images" is the batch index

Others have rows of their own, as .npy or .csv, behind batch_index:

\b
{other_rows()}

Images become uint8 (N, 3, H, W), red green blue, as stored: no rotation mark is applied. An
operator that averages makes them float32. A position-sensitive operator needs a channel for
each bin, and gives one for all of these.

\b
Examples:
  roipool pool features.npy boxes.csv -o pooled.npy --spatial-scale 0.0625
  roipool pool features.npy boxes.csv -o pooled.npy --operator roi_align
  roipool pool photo.jpg annotations.json -o pooled.npy --pooled-size 14 14
"""

EXPLAIN = """Show what becomes of one region: its corners, its bins, what they read, the values.

Without -o as text. Each bin has the colour of its pooled value. A region that is rounded is
dashed as given and scaled, solid as rounded; samples are dots, what wins is marked, and of a mean
pixels are the stronger tinted the more they weigh. Position-sensitive operators have a map for
each bin. Name several operators to see them side by side, with a --roi for each where their rows
differ.

\b
Examples:
  roipool demo --output roipool-demo     (writes the map, among others)
  roipool explain roipool-demo/map.npy --roi 0 0 0 4 4 --spatial-scale 0.7
  roipool explain photo.jpg --roi 0 40 30 160 150 --pooled-size 7 7 -o why.png
  roipool explain roipool-demo/map.npy --roi 0 0 0 4 4 --spatial-scale 0.7 \\
          --operator roi_pool --operator roi_align -o both.png
  roipool explain photo.jpg --roi 0 100 90 120 60 0.3 \\
          --operator roi_align_rotated -o turned.png
"""

INFO = """Show the version, the instruction set and threads in use, and the array libraries found.

\b
Example:
  ROIPOOL_NUM_THREADS=1 ROIPOOL_ISA=baseline roipool info
"""

DEMO = """Check two known answers, pool regions of a photograph, and say what to try next.

\b
Example:
  roipool demo --output roipool-demo
"""

SCALE = "Size of the map / size of the image, 1 / stride.  [default: {}]"
Size = Annotated[tuple[int, int], typer.Option(metavar="H W", help="Bins down and across.")]


def usage_error(error: Exception, arguments: Sequence[str]) -> str | None:
    """Wrong options in one line; None for any other error."""
    tell = getattr(error, "format_message", None)
    if tell is None:
        return None
    names = [command.callback.__name__ for command in app.registered_commands if command.callback]
    command = next((f"{name} " for name in arguments[:1] if name in names), "")
    text = str(tell()).rstrip(".")
    if text.endswith("'DATA'") and command == "pool ":
        text += ": expected DATA and then ROIS"
    return f"{text}; see roipool {command}--help"


def _version(wanted: bool) -> None:
    if wanted:
        print(f"roipool {roipool.__version__}")
        raise typer.Exit


@app.callback(epilog="Start here: roipool demo")
def roipool_command(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Pooling over regions of interest (ROIPooling, RoIAlign), exact and fast."""


@app.command(short_help="Pool regions of arrays or images into a .npy file.", help=POOL)
@with_options
def pool(
    data: Annotated[
        list[Path],
        typer.Argument(
            metavar="DATA",
            help="Feature maps (N, C, H, W) as .npy or .npz, or images (JPEG, PNG) of one size.",
        ),
    ],
    rois: Annotated[Path, typer.Argument(metavar="ROIS", help="Regions: .npy, .csv or .json.")],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="OUT", help="The .npy to write.")],
    pooled_size: Size = (7, 7),
    spatial_scale: Annotated[
        float | None,
        typer.Option(metavar="S", help=SCALE.format("0.0625 for arrays, 1 for images")),
    ] = None,
    argmax: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Write the winners' positions y * W + x too, as .npy."),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, max=1024, help="Threads; no result depends on it."),
    ] = None,
    operator: Annotated[str, typer.Option(metavar="NAME", help=f"{names()}.")] = DEFAULT,
    *,
    options: Mapping[str, Any],
) -> None:
    """Pool regions of feature maps or images into one .npy array (K, C, h, w)."""
    from roipool.command import chunked, progress
    from roipool.command.features import read_features
    from roipool.command.outputs import refuse_overwriting
    from roipool.command.regions import read_regions

    if threads is not None:
        roipool.set_num_threads(threads)
    chosen = choose(operator, options)
    targets = [out] if argmax is None else [out, argmax]
    if argmax is not None:
        chunked.refuse_positions(chosen)
    refuse_overwriting(targets, [*data, rois])
    features = read_features(data)
    scale = chosen.scale(spatial_scale, features.default_scale)
    regions = read_regions(rois, features, chosen.operator.rows)
    job = chunked.Job(features, regions, pooled_size, scale, chosen)
    with progress.bar(len(regions.rows)) as advance:
        chunked.pool_to_file(job, targets, advance)
    print(plain(chunked.summary(job, targets)))


@app.command(short_help="Show what becomes of one region, as text or picture.", help=EXPLAIN)
@with_options
def explain(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A .npy or .npz array, or a photo.")],
    roi: Annotated[
        list[str],
        typer.Option(
            metavar="N X1 Y1 X2 Y2",
            help="The region, as the operator's rows are; N is the image, 0 for a photo.",
        ),
    ],
    pooled_size: Size = (2, 2),
    spatial_scale: Annotated[
        float | None, typer.Option(metavar="S", help=SCALE.format("1.0"))
    ] = None,
    channel: Annotated[int, typer.Option(metavar="C", help="The channel of the result.")] = 0,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", metavar="OUT", help="Draw a .png, .svg or .pdf instead."),
    ] = None,
    bin: Annotated[
        tuple[int, int] | None,
        typer.Option(metavar="I J", help="Show one bin alone, counted from 0 down and across."),
    ] = None,
    operator: Annotated[
        list[str], typer.Option(metavar="NAME", help=f"{names()}; again for one beside it.")
    ] = [DEFAULT],  # noqa: B006
    *,
    options: Mapping[str, Any],
) -> None:
    """Show what becomes of one region: its corners, its bins, what they read, the values."""
    from roipool.command import explain as explaining
    from roipool.command.features import read_features
    from roipool.command.roi import rows_of

    several = choose_several(operator, options)
    each = zip(several, rows_of(roi, several), scales(several, spatial_scale, 1.0), strict=True)
    features = read_features([data])
    first, *others = (
        explaining.explain(features, row, pooled_size, scale, channel, chosen, bin)
        for chosen, row, scale in each
    )
    if out is not None:
        from roipool.command.picture import save_picture

        save_picture(first, out, [data], others)
        print(plain(f"wrote {out}"))
        return
    from rich.console import Console

    from roipool.command.sketch import sketch

    console = Console(highlight=False, soft_wrap=True)
    console.print(*(sketch(found, console.width) for found in (first, *others)), sep="\n\n")


@app.command(short_help="Show version, instruction set, threads, libraries.", help=INFO)
def info() -> None:
    """Show the version, the instruction set and threads in use, and the array libraries found."""
    from roipool.command.installed import report

    print(report())


@app.command(short_help="Check known answers, pool a photo, say what is next.", help=DEMO)
def demo(
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="DIR", help="The folder to write in.")
    ] = Path("roipool-demo"),
) -> None:
    """Check two known answers, pool regions of a photograph, and say what to try next."""
    from roipool.command.demo import demo as run

    if not run(output):
        sys.stdout.flush()
        raise typer.Exit(1)
