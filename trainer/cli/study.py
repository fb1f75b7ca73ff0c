"""`lga study make | tally`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from .arguments import DIR, Metavar, Seed, between

study = App("study", help="Ask people which of two methods' videos they prefer.", help_flags=(), version_flags=())


@study.command
def make(
    first: Annotated[Path, Parameter("A_DIR", help="Videos of one method, as PROMPT/FACE.mp4, .webp or .gif.")],
    second: Annotated[Path, Parameter("B_DIR", help="Videos of the other method, under the same names.")],
    /,
    *,
    names: Annotated[
        tuple[str, str] | None,
        Metavar("A B"),
        Parameter(help="Names of the two methods. Raters do not see them.", show_default="the folders' names"),
    ] = None,
    images: Annotated[Path | None, DIR, Parameter(help="Folder of the still faces, as FACE.png.")] = None,
    out: Annotated[Path, DIR, Parameter(help="Folder for the page.")] = Path("out/study"),
    pairs: Annotated[
        int | None,
        Parameter(help="Number of pairs, spread evenly over the prompts.", show_default="all"),
        between(1, 9999),
    ] = None,
    each: Annotated[
        int | None,
        Parameter(
            help="Number of pairs that one rater sees. Raters whose codes end in 1, 2, 3, ... share all pairs evenly.",
            show_default="all",
        ),
        between(1, 9999),
    ] = None,
    seed: Annotated[
        Seed | None,
        Parameter(
            help="Random seed of the order and sides of pairs. Keep it secret: it reveals which video is whose.",
            show_default="random, kept in key.json",
        ),
    ] = None,
    inline: Annotated[
        bool, Parameter(help="Embed all videos in the page, however large it becomes.", negative=())
    ] = False,
) -> None:
    """Make the page on which raters compare two methods' videos of the same faces and prompts.

    The page needs no network and no server. Raters hand back their answers as files.
    """
    from ..study.build import make

    key = make(first, second, out, names=names, images=images, num_pairs=pairs, each=each, seed=seed, inline=inline)
    clips = out / "clips"
    print(f"page:   {(out / 'index.html').resolve()}")
    if clips.is_dir():
        print(f"videos: {clips.resolve()} (send them along with the page)")
    print(f"key:    {(out / 'key.json').resolve()} (keep it secret: it says which video is whose)")
    print(f"{len(key['pairs'])} pairs, {key['each']} for each rater. `lga study tally` counts the raters' files.")


@study.command
def tally(
    study: Annotated[Path, Parameter("STUDY_DIR", help="Folder that `lga study make` wrote.")],
    answers: Annotated[list[Path], Parameter("ANSWERS", help="Files of answers, or folders of such files.")],
    /,
    *,
    out: Annotated[Path | None, DIR, Parameter(help="Folder for the tally.", show_default="STUDY_DIR")] = None,
) -> None:
    """Count raters' answers: preferences with intervals, agreement, and the files that cannot be counted.

    Prints a table and writes tally.json, tally.csv, votes.csv and tally.html.
    """
    from ..study.tally import tally

    tally(study, answers, out)
