"""`lga convert`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from .arguments import Metavar


def convert(
    file: Annotated[Path, Parameter("IN", help="Model file of another project.")],
    out: Annotated[
        Path | None, Parameter("OUT", help="Folder, or .safetensors file, to write.", show_default="the folder of IN")
    ] = None,
    /,
    *,
    only: Annotated[
        str | None,
        Metavar("KIND"),
        Parameter(help="Convert only the model of this kind: generator, encoder, animator, ..."),
    ] = None,
) -> None:
    """Convert a model file of another project into safetensors files of this project, one per model in it.

    Pickle files are read by a restricted reader: no code in them is executed.
    """
    from lga_core import convert

    for path in convert(file, out, only):
        print(path)
