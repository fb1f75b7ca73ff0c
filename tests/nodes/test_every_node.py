"""What holds for each node, run by itself on a tiny domain: kinds, shapes, ranges, and the same again."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter

import pytest
import torch
from pack import CLASSES, call, core, run, same, saved, tensors

N, T, ROWS, WIDTH, STYLES, SIZE = 2, 5, 6, 16, 8, 16
CALLS: dict[str, Callable] = {
    "LGA_LoadDomain": lambda at: {"domain": "tiny/domain.json"},
    "LGA_LoadStyleGAN": lambda at: {"generator": "tiny.safetensors"},
    "LGA_LoadEncoder": lambda at: {"encoder": "tiny.safetensors"},
    "LGA_LoadCLIP": lambda at: {"clip": "tiny.safetensors"},
    "LGA_LoadMotionModel": lambda at: {"motion_model": "tiny.safetensors"},
    "LGA_SampleFace": lambda at: {"generator": at.generator, "seed": 3, "batch_size": N},
    "LGA_DemoFace": lambda at: {"number": 3},
    "LGA_InvertE4E": lambda at: {
        "generator": at.generator,
        "encoder": at.encoder,
        "image": torch.rand(N, 20, 24, 3, generator=torch.Generator().manual_seed(0)),
        "refine_steps": 2,
    },
    "LGA_BlendFaces": lambda at: {"faces_a": at.faces(N), "faces_b": at.faces(1, seed=9), "amount": 0.3},
    "LGA_SaveFaces": lambda at: {"faces": at.faces(N)},
    "LGA_LoadFaces": lambda at: {"file": saved("LGA_SaveFaces", faces=at.faces(N))},
    "LGA_EncodeText": lambda at: {
        "clip": at.clip,
        "motion_model": at.motion_model,
        "text": "smiling: 0.5\nangry",
        "negative": "sad",
        "image": torch.rand(N, 20, 24, 3, generator=torch.Generator().manual_seed(0)),
    },
    "LGA_MotionRollout": lambda at: {
        "motion_model": at.motion_model,
        "text": at.text(image=torch.rand(N, 20, 24, 3)),
        "frames": T,
    },
    "LGA_ChainExpressions": lambda at: {
        "motion_model": at.motion_model,
        "transition": T - 3,
        "hold": 0,
        "text": at.text("sad"),
        "previous": moved(at, frames=3),
    },
    "LGA_ShapeMotion": lambda at: {
        "motion": moved(at),
        "strength": 0.5,
        "ease": "overshoot",
        "keyframes": "0:1, 50%:-1, end:0.5",
        "layers": "custom",
        "custom_layers": "0-2:0.5, 4-",
        "repeat": "loop",
    },
    "LGA_BlendMotions": lambda at: {"motion_a": moved(at, frames=2), "motion_b": at.motion("sad", T), "mode": "add"},
    "LGA_SaveMotion": lambda at: {"motion": moved(at)},
    "LGA_LoadMotion": lambda at: {"file": saved("LGA_SaveMotion", motion=moved(at))},
    "LGA_SynthesizeFrames": lambda at: {"generator": at.generator, "faces": at.faces(N), "motion": moved(at)},
    "LGA_PreviewMotion": lambda at: {"generator": at.generator, "faces": at.faces(N), "motion": moved(at)},
    "LGA_DemoPhoto": lambda at: {"frames": 1},
    "LGA_FindFaces": lambda at: {"image": photo(), "finder": "by hand", "points": POINTS},
    "LGA_AlignFace": lambda at: {"generator": at.generator, "image": photo(), "places": places()},
    "LGA_RefineInversion": lambda at: {
        "generator": at.generator,
        "faces": at.faces(N),
        "image": torch.rand(N, 20, 20, 3, generator=torch.Generator().manual_seed(0)),
        "code_steps": 2,
        "tuning_steps": 2,
    },
    "LGA_SaveTuning": lambda at: {"generator": tuned(at)},
    "LGA_LoadTuning": lambda at: {"generator": at.generator, "file": saved("LGA_SaveTuning", generator=tuned(at))},
    "LGA_DetailTransfer": lambda at: {
        "image": run("LGA_AlignFace", generator=at.generator, image=photo(), places=places(), size=32)[0],
        "still": clip_of(at)[:1],
        "frames": clip_of(at),
    },
    "LGA_PasteBack": lambda at: {
        "image": photo(),
        "frames": clip_of(at),
        "alignment": run("LGA_AlignFace", generator=at.generator, image=photo(), places=places())[1],
    },
    "LGA_LoadIdentity": lambda at: {"identity": "tiny.safetensors"},
    "LGA_IdentityLock": lambda at: {
        "generator": at.generator,
        "faces": at.faces(1),
        "motion": at.motion(frames=T),
        "identity": run("LGA_LoadIdentity", identity="tiny.safetensors")[0],
    },
    "LGA_StyleClipEdit": lambda at: {
        "generator": at.generator,
        "faces": at.faces(N),
        "text": "It is happy.",
        "steps": 3,
        "frames": T,
        "clip": at.clip,
    },
    "LGA_GlobalDirection": lambda at: {
        "generator": at.generator,
        "clip": at.clip,
        "target": "It is happy.",
        "neutral": "It is stormy.",
        "frames": T,
        "survey_faces": 1,
    },
    "LGA_RandomMotion": lambda at: {"generator": at.generator, "faces": at.faces(N), "frames": T},
    "LGA_MeasureAnimation": lambda at: {"frames": clip_of(at), "words": "It is happy.", "clip": at.clip},
}
NEEDS_MEDIAPIPE = {"LGA_ReadExpressions"}
POINTS = "30%,40% 60%,40% 45%,50% 35%,65% 55%,65%"

"""Of each node, inputs for N faces of ROWS x WIDTH numbers and T frames; the others keep their first value."""
every_node = pytest.mark.parametrize("id_", CALLS)


def moved(at, frames: int = T):
    return at.motion(frames=frames, image=torch.rand(N, 20, 24, 3, generator=torch.Generator().manual_seed(1)))


def photo() -> torch.Tensor:
    return torch.rand(1, 36, 40, 3, generator=torch.Generator().manual_seed(2))


def places():
    return run("LGA_FindFaces", image=photo(), finder="by hand", points=POINTS)[0]


def tuned(at):
    inputs = {"faces": at.faces(1), "image": torch.rand(1, 20, 20, 3), "code_steps": 0, "tuning_steps": 1}
    return run("LGA_RefineInversion", generator=at.generator, **inputs)[0]


def clip_of(at) -> torch.Tensor:
    return run("LGA_SynthesizeFrames", generator=at.generator, faces=at.faces(1), motion=at.motion(frames=T))[0]


def is_image(value) -> bool:
    return (
        value.dtype == torch.float32
        and value.ndim == 4
        and value.shape[3] == 3
        and bool(((value >= 0) & (value <= 1)).all())
        and value.std() > 0
    )


def is_loaded(model: str) -> Callable:
    return lambda value: isinstance(value.model.module, attrgetter(model)(core)) and not value.model.module.training


IS_A: dict[str, Callable] = {
    "IMAGE": is_image,
    "LGA_FACES": lambda value: value.ws.shape[1:] == (ROWS, WIDTH) and value.generator.name == "tiny",
    "LGA_TEXT": lambda value: value.embeddings.shape == (len(value.weights), 24) and value.clip.name == "tiny",
    "LGA_MOTION": lambda value: (
        value.offsets.shape[1:] in ((T, ROWS, WIDTH), (T, ROWS, WIDTH + STYLES)) and value.generator.name == "tiny"
    ),
    "LGA_GENERATOR": is_loaded("Generator"),
    "LGA_ENCODER": is_loaded("Encoder"),
    "LGA_CLIP": is_loaded("ClipModel"),
    "LGA_MOTION_MODEL": is_loaded("MotionModel"),
    "STRING": lambda value: isinstance(value, str) and bool(value),
    "FLOAT": lambda value: isinstance(value, float),
    "MASK": lambda value: value.ndim == 3 and bool(((value >= 0) & (value <= 1)).all()) and value.std() > 0,
    "LGA_PLACES": lambda value: value.points.shape == (1, 5, 2) and (value.height, value.width) == (36, 40),
    "LGA_ALIGNMENT": lambda value: len(value) == 1 and (value.height, value.width) == (36, 40),
    "LGA_IDENTITY": is_loaded("metrics.IdentityNetwork"),
}


def test_every_node_is_called_here():
    assert set(CALLS) | NEEDS_MEDIAPIPE == set(CLASSES)


@every_node
def test_a_node_gives_what_its_sockets_say_finite_and_in_full_precision_on_the_cpu(id_, tiny, with_models):
    outputs = run(id_, **CALLS[id_](tiny))
    types = CLASSES[id_].RETURN_TYPES
    assert len(outputs) == len(types)
    assert not [type_ for type_, value in zip(types, outputs, strict=True) if not IS_A[type_](value)]
    for tensor in tensors(outputs):
        assert tensor.device.type == "cpu"
        assert tensor.dtype == torch.float32 or not tensor.is_floating_point()
        assert tensor.isfinite().all()


@every_node
def test_a_node_gives_the_same_again_whatever_the_global_random_state(id_, tiny, with_models):
    inputs, found = CALLS[id_](tiny), []
    for seed in (1, 2):
        torch.manual_seed(seed)
        before = torch.random.get_rng_state()
        found.append(list(tensors(run(id_, **inputs))))
        assert torch.equal(torch.random.get_rng_state(), before)
    first, second = found
    assert len(first) == len(second)
    assert all(map(same, first, second))


@pytest.mark.parametrize(
    "id_", ["LGA_SaveFaces", "LGA_SaveMotion", "LGA_SaveTuning", "LGA_PreviewMotion", "LGA_MeasureAnimation"]
)
def test_what_a_node_writes_is_where_the_frontend_is_told(id_, tiny, here):
    ((file,),) = call(id_, **CALLS[id_](tiny))["ui"].values()
    assert (here / file["type"] / file["subfolder"] / file["filename"]).is_file()
