"""The methods by name, built from the files that they need."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from lga_core import ClipModel, Domain, InputError, load_clip, load_motion
from lga_core.checkpoints import load_latent_mapper, load_mocogan
from lga_core.formats import read_metadata
from lga_core.stylegan2 import PrincipalComponents, principal_components

from .methods import LanguageGuided, MappedLatents, Method, Mocogan, OptimizedLatents, RandomWalk

DEFAULT = ("lga", "styleclip", "mocogan")
NUM_SAMPLES = 100_000


@dataclass(frozen=True)
class MethodFiles:
    """Files of the methods. work: a folder for cached results, such as principal components.

    mocogan: a motion generator. mappers: a folder of StyleCLIP mappers, whose metadata hold their sentences.
    ablations: a folder of motion models of this generator, named as in reports.
    """

    work: Path
    mocogan: Path | None = None
    mappers: Path | None = None
    ablations: Path | None = None


MethodFactory = Callable[[Domain, MethodFiles], Method]


def _lga(domain: Domain, files: MethodFiles) -> Method:
    return LanguageGuided(domain, domain.motion, domain.clip)


def _styleclip(domain: Domain, files: MethodFiles) -> Method:
    return OptimizedLatents(domain, "paper", "StyleCLIP, with the paper's weights")


def _styleclip_own(domain: Domain, files: MethodFiles) -> Method:
    return OptimizedLatents(domain, "styleclip", "StyleCLIP, with its own weights")


def _mapper(domain: Domain, files: MethodFiles) -> Method:
    if files.mappers is None:
        raise InputError("The method mapper needs --mappers DIR: latent mappers from `lga train mapper`.")
    found = sorted(files.mappers.rglob("*.safetensors"))
    sentences = [str(read_metadata(path, "latent_mapper").get("sentence")) for path in found]
    return MappedLatents(dict(zip(sentences, map(load_latent_mapper, found), strict=True)))


def _mocogan(domain: Domain, files: MethodFiles) -> Method:
    if files.mocogan is None:
        raise InputError("The method mocogan needs --mocogan FILE: a motion generator from `lga train mocogan`.")
    return Mocogan(load_mocogan(files.mocogan), _components(domain, files))


def _random(domain: Domain, files: MethodFiles) -> Method:
    return RandomWalk(_components(domain, files))


def _components(domain: Domain, files: MethodFiles) -> PrincipalComponents:
    with tqdm(total=NUM_SAMPLES, desc="principal components", disable=None) as bar:

        def on_step(done: int, _: int) -> None:
            bar.update(done - bar.n)

        return principal_components(domain.generator, NUM_SAMPLES, files.work, on_step)


METHODS: dict[str, MethodFactory] = {
    "lga": _lga,
    "styleclip": _styleclip,
    "styleclip-own": _styleclip_own,
    "mapper": _mapper,
    "mocogan": _mocogan,
    "random": _random,
}
ABLATION = "ablation-"


def choose_methods(
    names: Sequence[str], domain: Domain, files: MethodFiles
) -> tuple[dict[str, Method], dict[str, str]]:
    """The methods of these names, and for those that lack a file what to provide.

    Raises InputError for an unknown name, CheckpointError for a file that does not fit.
    """
    if unknown := [name for name in names if name not in METHODS]:
        raise InputError(f"{unknown[0]!r} is not a method. Choose from {', '.join(METHODS)}.")
    methods: dict[str, Method] = {}
    missing: dict[str, str] = {}
    for name in names:
        try:
            methods[name] = METHODS[name](domain, files)
        except InputError as err:
            missing[name] = str(err)
    return methods | _ablations(domain, files), missing


def _ablations(domain: Domain, files: MethodFiles) -> dict[str, Method]:
    if files.ablations is None:
        return {}
    found = sorted(files.ablations.glob("*/motion.safetensors")) + sorted(files.ablations.glob("*.safetensors"))
    if not found:
        raise InputError(
            f"{files.ablations} contains no motion models. Give the folder with the runs of `lga train motion`."
        )
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
    """The CLIP that a motion model was trained with: the domain's, or the fine-tuned clip.safetensors beside it."""
    needed, beside = read_metadata(path, "animator").get("clip_fingerprint"), path.with_name("clip.safetensors")
    if needed in (None, domain.clip.fingerprint):
        return domain.clip
    if beside.is_file():
        clip = load_clip(beside, device=domain.clip.mean.device)
        if clip.fingerprint == needed:
            return clip
    raise InputError(f"{path} was trained with another CLIP. Put that run's clip.safetensors beside it.")


def _name(path: Path) -> str:
    return path.parent.name if path.name == "motion.safetensors" else path.stem
