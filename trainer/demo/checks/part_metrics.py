"""Figures of the domain's parts on freshly drawn faces: judge, generator, CLIP, encoder."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from tqdm import tqdm

from lga_core import Domain

from ..attribute_map import AttributeMap
from ..embedded_domain import EmbeddedDomain
from ..stages.adversarial_finetuning import sharpness
from ..stages.clip_model import zero_shot
from ..stages.encoder import inverted
from ..stages.judge import Judge, areas_under_roc, judged

FACES_SEED = 40_961


def part_figures(
    described: EmbeddedDomain, domain: Domain, judge: Judge, attribute_map: AttributeMap, num_faces: int = 512
) -> dict:
    """Every part's figures on faces from a seed that no training used."""
    attributes, _ = described.attributes.sample(num_faces, torch.Generator().manual_seed(FACES_SEED))
    renders = described.render(attributes)
    ws = domain.generator.broadcast(attribute_map.to_w(attributes))
    with torch.no_grad():
        faces = torch.cat([domain.generator.synthesis(chunk) for chunk in tqdm(ws.split(16), desc="faces")])
    return {
        "judge": judge_figures(described, judge, renders, faces, attributes),
        "generator": generator_figures(renders, faces),
        "clip": clip_figures(described, domain, attribute_map),
        "encoder": encoder_figures(domain, judge, renders[:200], faces[:200], ws[:200]),
    }


def decibels(a: Float[Tensor, "n 3 h w"], b: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n"]:
    """PSNR of each pair, for pictures in -1..1."""
    return -10 * torch.log10(((a.clamp(-1, 1) - b.clamp(-1, 1)) / 2).square().mean(dim=(1, 2, 3)))


def judge_figures(described: EmbeddedDomain, judge: Judge, renders: Tensor, faces: Tensor, attributes: Tensor) -> dict:
    on_renders, on_faces = (
        areas_under_roc(judge, described.lexicon, images, attributes) for images in (renders, faces)
    )
    return {
        "auc_renders": sum(on_renders.values()) / len(on_renders),
        "auc_generated": sum(on_faces.values()) / len(on_faces),
        "worst_renders": min(on_renders.items(), key=lambda item: item[1]),
        "worst_generated": min(on_faces.items(), key=lambda item: item[1]),
    }


def generator_figures(renders: Tensor, faces: Tensor) -> dict:
    score = decibels(renders, faces)
    return {
        "psnr": score.mean().item(),
        "psnr_worst_5_percent": score.quantile(0.05).item(),
        "sharpness": sharpness(faces) / sharpness(renders),
    }


def clip_figures(described: EmbeddedDomain, domain: Domain, attribute_map: AttributeMap, num_faces: int = 48) -> dict:
    def generated(attributes: Tensor) -> Tensor:
        return domain.generator.synthesis(domain.generator.broadcast(attribute_map.to_w(attributes)))

    faces = described.attributes.sample_neutral(num_faces, torch.Generator().manual_seed(FACES_SEED + 1))
    on_faces = zero_shot(described, domain.clip, generated, faces)
    on_renders = zero_shot(described, domain.clip, described.render, faces)
    return {
        "zero_shot_generated": sum(on_faces.values()) / len(on_faces),
        "zero_shot_renders": sum(on_renders.values()) / len(on_renders),
        "worst_generated": min(on_faces.items(), key=lambda item: item[1]),
    }


def encoder_figures(
    domain: Domain, judge: Judge, renders: Tensor, faces: Tensor, ws: Tensor, optimised: int = 16
) -> dict:
    """Renders that no training saw, inverted. `faces` and `ws` are the true codes' pictures and the codes.

    The first `optimised` of them also by the best code that optimisation finds from the true one, and by the inversion
    that artists get: the encoder's code, refined.
    """
    with torch.no_grad():
        codes = inverted(domain.encoder, renders)
        back = torch.cat([domain.generator.synthesis(chunk) for chunk in codes.split(16)])
        refined = domain.generator.synthesis(domain.invert(renders[:optimised]))
    seen, seen_again = judged(judge, renders).logits > 0, judged(judge, back).logits > 0
    best = best_code(domain, renders[:optimised], ws[:optimised])
    return {
        "psnr": decibels(renders, back).mean().item(),
        "psnr_true_code": decibels(renders, faces).mean().item(),
        "psnr_first": decibels(renders[:optimised], back[:optimised]).mean().item(),
        "psnr_refined": decibels(renders[:optimised], refined).mean().item(),
        "psnr_first_optimised_code": decibels(renders[:optimised], best).mean().item(),
        "attributes_kept": ((seen & seen_again).sum(dim=1) / seen.sum(dim=1).clamp(min=1)).mean().item(),
        "attributes_agreeing": (seen == seen_again).float().mean().item(),
    }


def best_code(domain: Domain, pictures: Tensor, ws: Tensor, steps: int = 60) -> Tensor:
    """Pictures of W+ codes optimised from the true ones: what no encoder can be expected to beat."""
    codes = ws.clone().requires_grad_()
    optimizer = torch.optim.Adam([codes], lr=0.03)
    for _ in tqdm(range(steps), desc="best codes"):
        optimizer.zero_grad()
        F.mse_loss(domain.generator.synthesis(codes), pictures).backward()
        optimizer.step()
    with torch.no_grad():
        return domain.generator.synthesis(codes)
