"""How good an encoder is: pictures that no step has shown, against what the generator makes of their codes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from lga_core import Encoder, Generator, Images, WPlus
from lga_core.inversion import reconstruction_score

from ..data.images import Draw, Pictures, Shown, compared
from ..metrics.bootstrap import interval
from ..reports.contact_sheets import reconstruction_sheet

CHUNK = 8
NUM_ON_SHEET = 12


@torch.no_grad()
def held_out_metrics(
    encoder: Encoder,
    generator: Generator,
    draw: Draw,
    pictures: Pictures,
    num_pictures: int,
    lpips: Callable[[Images, Images], Float[Tensor, "n"]] | None = None,
    identity: Callable[[Images], Float[Tensor, "n c"]] | None = None,
) -> dict[str, Any]:
    """The figures of each kind of pictures that there are, as JSON; `encoder_metrics` says what they mean.

    explained: the share of what sets a picture apart from the average face that the drawn face has too. w_error: mean
    squared distance of the codes, where they are known, as a share of the average face's. spread: mean squared
    distance of the rows from row 0.
    """
    average = compared(draw(generator.broadcast(generator.w_avg[None]).contiguous()))
    figures = {}
    for kind, shown in pictures.examples(num_pictures).items():
        ws, drawn = inverted(encoder, draw, shown.pictures)
        found = encoder_metrics(shown.pictures, drawn, lpips, identity)
        found["explained"] = reconstruction_score(shown.pictures, drawn, average).explained.mean().item()
        found["spread"] = (ws - ws[:, :1]).square().mean().item()
        if shown.known.any():
            found["w_error"] = relative_error(ws, shown, generator.w_avg)
        figures[kind] = found
    return figures


def relative_error(ws: WPlus, shown: Shown, average: Float[Tensor, "w_dim"]) -> float:
    """Mean squared distance of codes from the true ones, 1 for an encoder that always says the average face."""
    known = shown.known > 0
    off = (ws - shown.ws)[known].square().mean()
    return (off / (average - shown.ws)[known].square().mean()).item()


@torch.no_grad()
def inverted(encoder: Encoder, draw: Draw, pictures: Images) -> tuple[WPlus, Images]:
    """Codes of the pictures, and what is drawn from them, as the losses compare it; a few at a time."""
    codes = [encoder(chunk) for chunk in pictures.split(CHUNK)]
    drawn = [compared(draw(chunk).float()).clamp(-1, 1) for chunk in codes]
    return torch.cat(codes), torch.cat(drawn)


def encoder_sheet(encoder: Encoder, draw: Draw, pictures: Pictures, path: Path) -> None:
    """Pictures of each kind over what the generator makes of their codes, as PNG."""
    shown = [group.pictures for group in pictures.examples(NUM_ON_SHEET).values()]
    given = torch.cat(shown)
    reconstruction_sheet(given, inverted(encoder, draw, given)[1], path)


@torch.no_grad()
def encoder_metrics(
    pictures: Images,
    redrawn: Images,
    perceptual: Callable[[Images, Images], Float[Tensor, "n"]] | None = None,
    identity: Callable[[Images], Float[Tensor, "n c"]] | None = None,
) -> dict[str, Any]:
    """How close the faces that an encoder found come to the pictures [n 3 h w] it was given, as JSON.

    l2: mean squared difference of pixels in -1..1. psnr: the same in dB. lpips: `perceptual`'s distance. identity:
    cosine of `identity`'s unit embeddings. Each {"mean", "low", "high", "worst"}: `worst` is the worst twentieth's
    bound.
    """
    l2 = (pictures.clamp(-1, 1) - redrawn.clamp(-1, 1)).square().mean(dim=(1, 2, 3))
    found = {"l2": l2, "psnr": -10 * torch.log10(l2.clamp(min=1e-10) / 4)}
    if perceptual is not None:
        found["lpips"] = perceptual(pictures, redrawn)
    if identity is not None:
        found["identity"] = (identity(pictures) * identity(redrawn)).sum(dim=1)
    share = {name: 0.95 if name in ("l2", "lpips") else 0.05 for name in found}
    rows = {name: values.double().cpu() for name, values in found.items()}
    return {"num_pictures": len(pictures)} | {
        name: interval(values[None]) | {"worst": values.quantile(share[name]).item()} for name, values in rows.items()
    }
