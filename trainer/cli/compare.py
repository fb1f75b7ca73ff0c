"""`lga compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def compare(
    before: Annotated[Path, Parameter("A", help="Folder of the first evaluation.")],
    after: Annotated[Path, Parameter("B", help="Folder of the second evaluation.")],
    /,
) -> None:
    """Compare two evaluations of one domain, metric by metric."""
    from ..evaluation.compare import compare, markdown

    print(markdown(compare(before, after)))
