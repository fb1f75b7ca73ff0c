"""Methods by name, with the files that they need."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from lga_core import ClipModel, Domain, InputError, load_clip, load_motion
from lga_core.checkpoints import load_latent_mapper, load_mocogan
from lga_core.formats import read_metadata
from lga_core.stylegan2 import PrincipalComponents, principal_components

from .methods import LanguageGuided, Mapped, Method, Mocogan, Optimised, RandomWalk

DEFAULT = ("lga", "styleclip", "mocogan")
NUM_SAMPLES = 100_000


@dataclass(frozen=True)
class MethodFiles:
    """Files of methods. work: a folder for what is found once, such as principal directions.

    mocogan: a motion generator. mappers: a folder of StyleCLIP mappers, each of which says its sentence. ablations:
    a folder of motion models of this generator, each named as it is to be called.
    """

    work: Path
    mocogan: Path | None = None
    mappers: Path | None = None
    ablations: Path | None = None


Chooser = Callable[[Domain, MethodFiles], Method]


def _lga(domain: Domain, sources: MethodFiles) -> Method:
    return LanguageGuided(domain, domain.motion, domain.clip)


def _styleclip(domain: Domain, sources: MethodFiles) -> Method:
    return Optimised(domain, "paper", "StyleCLIP, as the paper compares with it")


def _styleclip_own(domain: Domain, sources: MethodFiles) -> Method:
    return Optimised(domain, "styleclip", "StyleCLIP, with its own weights")


def _mapper(domain: Domain, sources: MethodFiles) -> Method:
    if sources.mappers is None:
        raise InputError("The method mapper needs --mappers DIR: networks that `lga train mapper` made.")
    found = sorted(sources.mappers.rglob("*.safetensors"))
    sentences = [str(read_metadata(path, "latent_mapper").get("sentence")) for path in found]
    return Mapped(dict(zip(sentences, map(load_latent_mapper, found), strict=True)))


def _mocogan(domain: Domain, sources: MethodFiles) -> Method:
    if sources.mocogan is None:
        raise InputError("The method mocogan needs --mocogan FILE: a motion generator from `lga train mocogan`.")
    return Mocogan(load_mocogan(sources.mocogan), _principal(domain, sources))


def _random(domain: Domain, sources: MethodFiles) -> Method:
    return RandomWalk(_principal(domain, sources))


def _principal(domain: Domain, sources: MethodFiles) -> PrincipalComponents:
    with tqdm(total=NUM_SAMPLES, desc="principal directions", disable=None) as bar:

        def on_step(done: int, _: int) -> None:
            bar.update(done - bar.n)

        return principal_components(domain.generator, NUM_SAMPLES, sources.work, on_step)


CHOOSERS: dict[str, Chooser] = {
    "lga": _lga,
    "styleclip": _styleclip,
    "styleclip-own": _styleclip_own,
    "mapper": _mapper,
    "mocogan": _mocogan,
    "random": _random,
}
ABLATION = "ablation-"


def choose(names: Sequence[str], domain: Domain, sources: MethodFiles) -> tuple[dict[str, Method], dict[str, str]]:
    """The methods of these names, and what to bring for those that lack a file.

    Raises InputError for a name that is none, CheckpointError for a file that does not fit.
    """
    if unknown := [name for name in names if name not in CHOOSERS]:
        raise InputError(f"{unknown[0]!r} is no method. Choose from {', '.join(CHOOSERS)}.")
    methods: dict[str, Method] = {}
    missing: dict[str, str] = {}
    for name in names:
        try:
            methods[name] = CHOOSERS[name](domain, sources)
        except InputError as err:
            missing[name] = str(err)
    return methods | _ablations(domain, sources), missing


def _ablations(domain: Domain, sources: MethodFiles) -> dict[str, Method]:
    if sources.ablations is None:
        return {}
    found = sorted(sources.ablations.glob("*/motion.safetensors")) + sorted(sources.ablations.glob("*.safetensors"))
    if not found:
        raise InputError(f"{sources.ablations} holds no motion models. Give the folder of runs of `lga train motion`.")
    return {
        ABLATION + _name(path): LanguageGuided(
            domain,
            load_motion(path),
            _clip_of(path, domain),
            _name(path).replace("_", " "),
            f"The motion model of {_name(path)}.",
        )
        for path in found
    }


def _clip_of(path: Path, domain: Domain) -> ClipModel:
    """The CLIP that a motion model was trained with: the domain's, or the fine-tuned one beside the file."""
    needed, beside = read_metadata(path, "animator").get("clip_fingerprint"), path.with_name("clip.safetensors")
    if needed in (None, domain.clip.fingerprint):
        return domain.clip
    if beside.is_file():
        clip = load_clip(beside, device=domain.clip.mean.device)
        if clip.fingerprint == needed:
            return clip
    raise InputError(f"{path} was trained with another CLIP. Put its clip.safetensors beside it, as the training did.")


def _name(path: Path) -> str:
    return path.parent.name if path.name == "motion.safetensors" else path.stem
