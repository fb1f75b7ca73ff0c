"""Files that torch.save writes: the community's generators, encoders, official motion models, CLIP, W+
codes; and some that are none of these."""

import argparse
import warnings
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from foreign_files.writers_pickle import Container, fir_filter, random_tensors, save_torch
from safetensors.torch import save_file
from torch import Tensor

from lga_core import Encoder, Generator, GeneratorConfig, MotionModel

State = OrderedDict[str, Tensor]


def state_dict(tensors: Mapping[str, Tensor], prefix: str = "") -> State:
    """As Module.state_dict() makes it: an OrderedDict with version numbers in an attribute."""
    state = OrderedDict((prefix + name, tensor) for name, tensor in tensors.items())
    state._metadata = OrderedDict({"": {"version": 1}})
    return state


def write_state_dict(path: Path, tensors: Mapping[str, Tensor], container: Container = "zip") -> Path:
    """A bare state dict, as the identity networks are published."""
    return save_torch(path, state_dict(tensors), container)


def write_pivot(path: Path, ws: Tensor) -> Path:
    """A W+ code as PTI stores it: a bare tensor [1, num_ws, w_dim]."""
    return save_torch(path, ws.reshape(1, *ws.shape[-2:]), device="cuda:0")


# ---- the community's generators (rosinality) ----


def rosinality_tensors(generator: Generator, noises: bool = True) -> State:
    """`g_ema` by its names there, the blur kernels included. w_avg has no place in it."""
    config, ours = generator.config, dict(generator.state_dict())
    state: dict[str, Tensor] = {}
    for i in range(config.mapping_layers):
        for end in ("weight", "bias"):
            state[f"style.{i + 1}.{end}"] = ours[f"mapping.fc{i}.{end}"]
    state["input.input"] = ours["synthesis.b4.const"][None]
    state |= _styled(ours, "b4.conv1", "conv1") | _to_rgb(ours, "b4", "to_rgb1")
    for j, resolution in enumerate(config.block_resolutions[1:]):
        state |= _styled(ours, f"b{resolution}.conv0", f"convs.{2 * j}")
        state[f"convs.{2 * j}.conv.blur.kernel"] = 4 * fir_filter()
        state |= _styled(ours, f"b{resolution}.conv1", f"convs.{2 * j + 1}")
        state |= _to_rgb(ours, f"b{resolution}", f"to_rgbs.{j}")
        state[f"to_rgbs.{j}.upsample.kernel"] = 4 * fir_filter()
    if noises:
        state |= _noises(config, ours)
    return state_dict(state)


def _styled(ours: Mapping[str, Tensor], layer: str, name: str) -> dict[str, Tensor]:
    layer = f"synthesis.{layer}"
    return {
        f"{name}.conv.weight": ours[f"{layer}.weight"][None],
        f"{name}.conv.modulation.weight": ours[f"{layer}.affine.weight"],
        f"{name}.conv.modulation.bias": ours[f"{layer}.affine.bias"],
        f"{name}.noise.weight": ours[f"{layer}.noise_strength"].reshape(1),
        f"{name}.activate.bias": ours[f"{layer}.bias"],
    }


def _to_rgb(ours: Mapping[str, Tensor], block: str, name: str) -> dict[str, Tensor]:
    layer = f"synthesis.{block}.torgb"
    return {
        f"{name}.bias": ours[f"{layer}.bias"].reshape(1, -1, 1, 1),
        f"{name}.conv.weight": ours[f"{layer}.weight"][None],
        f"{name}.conv.modulation.weight": ours[f"{layer}.affine.weight"],
        f"{name}.conv.modulation.bias": ours[f"{layer}.affine.bias"],
    }


def _noises(config: GeneratorConfig, ours: Mapping[str, Tensor]) -> dict[str, Tensor]:
    noises = {"noises.noise_0": ours["synthesis.b4.conv1.noise_const"][None, None]}
    for j, resolution in enumerate(config.block_resolutions[1:]):
        for k in (0, 1):
            noises[f"noises.noise_{2 * j + 1 + k}"] = ours[f"synthesis.b{resolution}.conv{k}.noise_const"][None, None]
    return noises


def write_rosinality(
    path: Path,
    generator: Generator,
    *,
    container: Container = "zip",
    prefix: str = "",
    noises: bool = True,
    latent_avg: bool = True,
    training: bool = False,
    device: str = "cpu",
) -> Path:
    """A generator of the community's code, which knows only the `skip` architecture without labels or clamp.

    Args:
        prefix: `module.` as a file from several GPUs has it.
        noises, latent_avg: whether the noise maps and the average face are there.
        training: with g (other weights), d, both optimisers, the arguments and the augmentation's strength.
    """
    config = generator.config
    assert (config.architecture, config.c_dim, config.conv_clamp) == ("skip", 0, None), "not in this layout"
    value: dict[str, Any] = {"g_ema": state_dict(rosinality_tensors(generator, noises), prefix)}
    if latent_avg:
        value["latent_avg"] = generator.w_avg
    if training:
        other = rosinality_tensors(Generator(config, seed=4321), noises)
        critic = random_tensors({"convs.0.0.weight": (8, 3, 1, 1), "final_linear.1.weight": (1, 8)}, seed=0)
        value = {"g": state_dict(other, prefix), "d": state_dict(critic, prefix), **value}
        value |= {
            "g_optim": adam([other]),
            "d_optim": adam([critic]),
            "args": _training_args(config),
            "ada_aug_p": 0.25,
        }
    return save_torch(path, value, container, device)


def adam(groups: list[Mapping[str, Tensor]], lrs: tuple[float, ...] = (0.002,)) -> dict[str, Any]:
    """The state of an Adam after ten steps, one parameter group for each of `groups`."""
    state, param_groups = {}, []
    for group, lr in zip(groups, lrs, strict=True):
        first = len(state)
        for tensor in group.values():
            average = torch.zeros_like(tensor, dtype=torch.float32)
            state[len(state)] = {"step": 10, "exp_avg": average, "exp_avg_sq": average.clone()}
        settings = {"lr": lr, "betas": (0.0, 0.999), "eps": 1e-8, "weight_decay": 0, "amsgrad": False}
        param_groups.append({**settings, "params": list(range(first, len(state)))})
    return {"state": state, "param_groups": param_groups}


def _training_args(config: GeneratorConfig) -> argparse.Namespace:
    sizes = {"size": config.resolution, "latent": config.z_dim, "n_mlp": config.mapping_layers}
    rest = {"path": "/data/faces.lmdb", "iter": 800000, "batch": 4, "r1": 10.0, "ckpt": None, "wandb": False}
    return argparse.Namespace(**rest, **sizes, channel_multiplier=2, augment=True, distributed=False)


# ---- encoders (e4e, pSp) ----


def encoder_tensors(encoder: Encoder) -> State:
    """The encoder's own part by its names there; ours are the same. Batch counters are there, latent_avg is not."""
    return state_dict({name: tensor for name, tensor in encoder.state_dict().items() if name != "latent_avg"})


def _both(encoder: Encoder, generator: Generator) -> State:
    decoder = state_dict(rosinality_tensors(generator), "decoder.")
    return state_dict({**state_dict(encoder_tensors(encoder), "encoder."), **decoder})


def write_e4e(
    path: Path,
    encoder: Encoder,
    generator: Generator,
    *,
    container: Container = "zip",
    start_from_latent_avg: bool = True,
    trainer_extras: bool = False,
    device: str = "cuda:0",
) -> Path:
    """e4e's file: encoder, the generator it was trained with, options, average face.

    `trainer_extras` adds what its training keeps when asked to: steps done, optimiser, discriminator.
    """
    opts = {"stylegan_size": generator.config.resolution, "encoder_type": "Encoder4Editing", "batch_size": 8}
    opts |= {"start_from_latent_avg": start_from_latent_avg, "exp_dir": "/runs/e4e", "device": "cuda:0"}
    opts |= {"lpips_lambda": 0.8, "progressive_steps": [0, 20000, 22000], "checkpoint_path": None}
    value: dict[str, Any] = {"state_dict": _both(encoder, generator), "opts": opts, "latent_avg": encoder.latent_avg}
    if trainer_extras:
        critic = random_tensors({"mapping.1.weight": (8, 8), "mapping.1.bias": (8,)}, seed=0)
        value |= {"global_step": 200000, "best_val_loss": torch.tensor(0.5), "optimizer": adam([critic])}
        value |= {"discriminator_state_dict": state_dict(critic), "discriminator_optimizer_state_dict": adam([critic])}
    return save_torch(path, value, container, device)


def write_psp(
    path: Path,
    encoder: Encoder,
    generator: Generator,
    *,
    container: Container = "zip",
    start_from_latent_avg: bool = True,
    latent_avg: bool = True,
    device: str = "cuda:0",
) -> Path:
    """pSp's file: every row has its own head; the same surroundings with other options."""
    opts = {"output_size": generator.config.resolution, "encoder_type": "GradualStyleEncoder", "input_nc": 3}
    opts |= {"n_styles": encoder.config.num_ws, "start_from_latent_avg": start_from_latent_avg, "learn_in_w": False}
    opts |= {"label_nc": 0, "lpips_lambda": 0.8, "resize_factors": None}
    value: dict[str, Any] = {"state_dict": _both(encoder, generator), "opts": opts}
    if latent_avg:
        value["latent_avg"] = encoder.latent_avg
    return save_torch(path, value, container, device)


# ---- official motion models ----


def lga_tensors(motion: MotionModel, clip: Mapping[str, Tensor], prefix: str = "module.") -> State:
    """The official file's state dict: a fine-tuned CLIP, the mappers, the recurrence."""
    ours = motion.state_dict()
    state = {f"encoder.{name}": tensor for name, tensor in clip.items()}
    for theirs, own in (("v_mapper", "visual"), ("t_mapper", "motion")):
        for i in range(3):  # their index 0 is the normalisation
            for end in ("weight", "bias"):
                state[f"mapper.{theirs}.{i + 1}.{end}"] = ours[f"mapper.{own}.{i}.{end}"]
    for name, tensor in ours.items():
        if name.startswith("recurrent."):
            state[name.replace("recurrent.", "rnn.")] = tensor
    return state_dict(state, prefix)


def write_lga(
    path: Path,
    motion: MotionModel,
    clip: Mapping[str, Tensor],
    *,
    prefix: str = "module.",
    container: Container = "zip",
    arch: str = "RN50",
    optimizer: bool = True,
    device: str = "cuda:0",
) -> Path:
    """An official motion model's .pth. `motion` needs its visual mapper; `clip` is a state dict with CLIP's names."""
    state = lga_tensors(motion, clip, prefix)
    value: dict[str, Any] = {"iter": 5000, "arch": arch, "state_dict": state}
    if optimizer:
        parts = ("encoder.", "rnn.", "mapper.")
        groups = [{k: v for k, v in state.items() if k.startswith(prefix + part)} for part in parts]
        value["optimizer"] = adam([_parameters(group) for group in groups], (1e-5, 1e-3, 1e-3))
    return save_torch(path, value, container, device)


def _parameters(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    buffers = ("running_mean", "running_var", "num_batches_tracked")
    return {name: tensor for name, tensor in tensors.items() if not name.endswith(buffers)}


# ---- CLIP ----


def write_clip(path: Path, clip: Mapping[str, Tensor], *, openai_extras: bool = False, wrapped: bool = False) -> Path:
    """CLIP weights by their usual names, safetensors or torch by the path's ending.

    Args:
        openai_extras: the three numbers that OpenAI's files hold beside the weights, which are then partly fp16.
        wrapped: under `state_dict` with `module.` before the names, as training saves them.
    """
    tensors = {name: tensor.contiguous() for name, tensor in clip.items()}
    if openai_extras:
        halves = ("visual.conv1.weight", "text_projection")
        tensors = {name: tensor.half() if name in halves else tensor for name, tensor in tensors.items()}
        tensors |= {"input_resolution": torch.tensor(224), "context_length": torch.tensor(77)}
        tensors["vocab_size"] = torch.tensor(49408)
    if path.suffix == ".safetensors":
        save_file(tensors, path)
        return path
    if wrapped:
        return save_torch(path, {"epoch": 30, "name": "run", "state_dict": state_dict(tensors, "module.")})
    return write_state_dict(path, tensors)


def write_torchscript(path: Path) -> Path:
    """A TorchScript archive, as OpenAI published CLIP."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # newer versions advise against making such files
        torch.jit.save(torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2)), path)
    return path


# ---- W+ codes ----


def write_latents(path: Path, ws: Tensor | Mapping[str, Tensor], *, device: str = "cpu") -> Path:
    """W+ codes in any of the usual forms, by the path's ending: .pt, .npy (one code), .npz or .safetensors.

    `ws` is one code, [num_ws, w_dim] or [1, num_ws, w_dim], or a dict from names to codes.
    """
    if path.suffix == ".pt":
        save_torch(path, dict(ws) if isinstance(ws, Mapping) else ws, device=device)
    elif path.suffix == ".npy":
        assert isinstance(ws, Tensor), "an .npy file holds one array"
        np.save(path, ws.numpy())
    elif path.suffix == ".npz":
        np.savez(path, **{name: code.numpy() for name, code in _named(ws, "w").items()})
    else:
        save_file({name: code.clone() for name, code in _named(ws, "ws").items()}, path)
    return path


def _named(ws: Tensor | Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    return {name: ws} if isinstance(ws, Tensor) else dict(ws)


# ---- to be refused by name ----


def write_diffusion(path: Path) -> Path:
    """A latent diffusion checkpoint, safetensors or torch by the path's ending."""
    shapes = {
        "model.diffusion_model.input_blocks.0.0.weight": (320, 4, 3, 3),
        "model.diffusion_model.time_embed.0.weight": (8, 8),
        "first_stage_model.encoder.conv_in.weight": (8, 3, 3, 3),
        "cond_stage_model.transformer.text_model.final_layer_norm.weight": (8,),
    }
    tensors = random_tensors(shapes, seed=0)
    if path.suffix == ".safetensors":
        save_file(tensors, path)
        return path
    return save_torch(path, {"global_step": 470000, "state_dict": state_dict(tensors)})


def write_optimizer_only(path: Path, container: Container = "zip") -> Path:
    """What training keeps beside the weights, without the weights."""
    tensors = random_tensors({"a": (8, 8), "b": (8,)}, seed=0)
    return save_torch(path, {"iter": 5000, "optimizer": adam([tensors])}, container)


def write_stylegan1_torch(path: Path) -> Path:
    """A StyleGAN1 of the community's PyTorch code."""
    shapes = {"generator.progression.0.conv1.0.input": (1, 8, 4, 4), "style.1.linear.weight_orig": (8, 8)}
    shapes |= {
        "generator.progression.0.noise1.weight_orig": (1, 8, 1, 1),
        "generator.to_rgb.0.conv.weight_orig": (3, 8, 1, 1),
    }
    return save_torch(
        path, {"generator": state_dict(random_tensors(shapes, 0)), "g_running": state_dict(random_tensors(shapes, 1))}
    )
