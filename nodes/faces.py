"""Nodes that make faces: sampled, found in a picture, blended, saved."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from PIL import Image

from ..lga_core import (
    Encoder,
    Faces,
    Generator,
    Images,
    InputError,
    WPlus,
    load_faces,
    load_image,
    refine,
    save_faces,
)
from ..lga_core.faces import Alignment, crop
from ..lga_core.imaging import fit_square, to_nchw, to_nhwc, to_uint8
from ..lga_core.inversion import reconstruction_score
from ..lga_core.motion import ROWS, blend_faces
from ..lga_core.rendering import draw, frame_bytes
from ..lga_core.shapes import ImagesNHWC
from .files import Loads, Saves, file_input, keep, save_inputs
from .host import Progress, choices, make_ready, result_device, saved_path, say
from .types import ENCODER, FACES, GENERATOR, ROOT, LoadedEncoder, LoadedGenerator

CATEGORY = f"{ROOT}/faces"
EXAMPLES = Path(__file__).parent.parent / "faces"
NUM_EXAMPLES = 6
VIDEO_SIZE = 384
"""Side of the demo video's frames, in pixels."""
POOR = 0.6
"""Below this share of a picture explained by the encoder alone, the domain's faces do not look like the picture:
doodles have .97 and up, anything else .33 and below (a flat grey .63)."""


def picture(images: Images) -> Image.Image:
    """The last of some drawn frames, for a preview."""
    return Image.fromarray(to_uint8(images[-1:])[0].cpu().numpy())


def gathered(parts: Iterable[Images], progress: Progress, shown: bool = False) -> ImagesNHWC:
    """Pictures that come in parts, as ComfyUI's IMAGE: `progress` goes on by each part, and previews it if `shown`."""
    done = []
    for images in parts:
        done.append(to_nhwc(images).to(result_device()))
        progress.step(len(images), picture(images) if shown else None)
    return torch.cat(done)


def stepping(progress: Progress) -> Callable[..., None]:
    """What an optimisation calls at each step: a step of the bar, with the last face as it is drawn now."""
    return lambda _, drawn, *__: progress.step(1, picture(drawn))


def portraits(network: Generator, ws: WPlus, progress: Progress) -> ImagesNHWC:
    """The faces' pictures, as ComfyUI's IMAGE, each a step of `progress`."""
    return gathered((draw(network, face) for face in ws.split(1)), progress)


class SampleFace:
    DESCRIPTION = "Make up faces: each seed is another face of the domain."
    SEARCH_ALIASES = ["random face", "stylegan sample", "seed face", "generate face"]
    CATEGORY = CATEGORY
    RETURN_TYPES, RETURN_NAMES = (FACES, "IMAGE"), ("faces", "image")
    OUTPUT_TOOLTIPS = ("The faces, to be moved and drawn.", "What they look like.")
    FUNCTION = "sample"

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "generator": (GENERATOR, {"tooltip": "The StyleGAN2 that draws the faces."}),
                "seed": (
                    "INT",
                    {
                        "default": 0,
                        "min": 0,
                        "max": 2**63 - 1,
                        "control_after_generate": True,
                        "tooltip": "Which face. The same seed is always the same face; a batch takes this one and the "
                        "next ones.",
                    },
                ),
                "psi": (
                    "FLOAT",
                    {
                        "default": 0.7,
                        "min": 0.0,
                        "max": 1.5,
                        "step": 0.05,
                        "tooltip": "Truncation: 0 is the domain's average face, 1 the full variety with its oddities, "
                        "0.7 a safe choice.",
                    },
                ),
                "batch_size": ("INT", {"default": 1, "min": 1, "max": 64, "tooltip": "How many faces."}),
            }
        }

    def sample(self, generator: LoadedGenerator, seed, psi, batch_size):
        network = generator.model.ready(frame_bytes(generator.model.module.config))
        ws = network.sample(range(seed, seed + batch_size), psi)
        return Faces(ws.to(result_device()), generator.identity), portraits(network, ws, Progress(batch_size))


class DemoFace:
    DESCRIPTION = "A drawn face that no network of the doodle domain has seen: a picture to try inversion with."
    SEARCH_ALIASES = ["example image", "doodle", "test image", "sample picture"]
    CATEGORY = CATEGORY
    RETURN_TYPES, RETURN_NAMES = ("IMAGE",), ("image",)
    OUTPUT_TOOLTIPS = ("The picture, 256 x 256 pixels. To Invert with e4e.",)
    FUNCTION = "load"

    @classmethod
    def INPUT_TYPES(cls):
        tooltip = "Which of the six faces."
        return {"required": {"number": ("INT", {"default": 1, "min": 1, "max": NUM_EXAMPLES, "tooltip": tooltip})}}

    def load(self, number):
        return (to_nhwc(load_image(EXAMPLES / f"face{number}.png")),)


class DemoPhoto:
    DESCRIPTION = (
        "A picture of a room with three drawn faces on its wall, to try finding and pasting with; or a video of it, in "
        "which the camera moves."
    )
    SEARCH_ALIASES = ["example photo", "test video", "sample photo"]
    CATEGORY = CATEGORY
    RETURN_TYPES, RETURN_NAMES = ("IMAGE",), ("image",)
    OUTPUT_TOOLTIPS = ("The picture, or the video's frames. To Find Faces and Paste Back.",)
    FUNCTION = "load"

    @classmethod
    def INPUT_TYPES(cls):
        tooltip = "1 is the whole picture; more are a video in which the camera drifts around the middle face."
        return {"required": {"frames": ("INT", {"default": 1, "min": 1, "max": 1000, "tooltip": tooltip})}}

    def load(self, frames):
        scene = load_image(EXAMPLES / "scene.jpg")
        return (to_nhwc(scene if frames == 1 else crop(scene, _camera(frames), VIDEO_SIZE)),)


def _camera(frames: int) -> Alignment:
    """What a hand-held camera sees: a slow drift, zoom and sway around the middle face."""
    time = torch.linspace(0, 1, frames)
    x, y = 486 + 40 * (2 * torch.pi * time).sin(), 225 + 25 * (2 * torch.pi * time).cos()
    half, turn = 210 + 25 * (torch.pi * time).sin(), 0.08 * (2 * torch.pi * time).sin()
    axis = half[:, None] * torch.stack([turn.cos(), turn.sin()], dim=1)
    return Alignment(torch.stack([x, y], dim=1), axis, 640, 960)


class InvertE4E:
    DESCRIPTION = (
        "Find the face in a picture: the one the generator draws that looks most like it. What the generator cannot "
        "draw is lost, and the report says how close it came. The picture should show one upright face, framed as the "
        "domain's faces are, as Align Face makes it; its central square is used."
    )
    SEARCH_ALIASES = ["gan inversion", "e4e", "project image", "encode face", "image to latent"]
    CATEGORY = CATEGORY
    RETURN_TYPES, RETURN_NAMES = (FACES, "IMAGE", "STRING"), ("faces", "image", "report")
    OUTPUT_TOOLTIPS = (
        "The faces found, one for each picture.",
        "What they look like when the generator draws them: compare with your picture.",
        "How close each face came, in words.",
    )
    FUNCTION = "invert"

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "generator": (GENERATOR, {"tooltip": "The StyleGAN2 that is to draw the face."}),
                "encoder": (ENCODER, {"tooltip": "The encoder made for this generator."}),
                "image": ("IMAGE", {"tooltip": "One or more pictures, each of one face."}),
                "refine_steps": (
                    "INT",
                    {
                        "default": 20,
                        "min": 0,
                        "max": 500,
                        "tooltip": "Steps of optimisation after the encoder's guess. 20 bring the face closer; "
                        "hundreds fit details that later move badly. 0 is the encoder alone, as the paper has it.",
                    },
                ),
            },
            "hidden": {"node": "UNIQUE_ID"},
        }

    def invert(self, generator: LoadedGenerator, encoder: LoadedEncoder, image, refine_steps, node=None):
        encoder.check_fits(generator)
        if not torch.isfinite(image).all():
            raise InputError("The picture holds values that are not numbers. Check the node that made it.")
        # The executor's inference mode would forbid the optimisation; nothing made inside it may take part either.
        with torch.inference_mode(False):
            make_ready(generator.model, encoder.model, memory=frame_bytes(generator.model.module.config))
            network = generator.model.module
            square = fit_square(to_nchw(image.clone()), network.config.resolution).to(generator.model.device)
            progress = Progress(len(square) * (refine_steps + 2))  # a guess, the steps, a portrait
            found, report, poor = self._found(network, encoder.model.module, square, refine_steps, progress)
        say(report, node, warning=poor)
        return Faces(found.to(result_device()), generator.identity), portraits(network, found, progress), report

    def _found(self, generator: Generator, encoder: Encoder, square: Images, steps: int, progress: Progress):
        codes, lines, poor = [], [], False
        average = draw(generator, generator.broadcast(generator.w_avg[None]))
        for number, one in enumerate(square.split(1), start=1):
            with torch.no_grad():
                guess = encoder(one)
            first = reconstruction_score(one, draw(generator, guess), average)
            progress.step()
            codes.append(refine(generator, guess, one, steps, on_step=stepping(progress)))
            near = reconstruction_score(one, draw(generator, codes[-1]), average)
            subject = "The face" if len(square) == 1 else f"Face {number}"
            lines.append(
                f"{subject} comes within {near.decibels.item():.1f} dB of the picture and has "
                f"{max(near.explained.item(), 0):.1%} of what sets it apart from the average face."
            )
            if first.explained.item() < POOR:
                poor = True
                lines.append(
                    f"Of that, the encoder found {max(first.explained.item(), 0):.0%} by itself, which is poor: the "
                    f"picture does not look like this generator's faces. Use one upright face, framed "
                    "as they are, or a generator of its kind."
                )
        return torch.cat(codes), "\n".join(lines), poor


class BlendFaces:
    DESCRIPTION = (
        "Mix two faces of one generator: somewhere between them, or some layers of one with the rest of the other."
    )
    SEARCH_ALIASES = ["style mixing", "interpolate faces", "morph", "mix latents"]
    CATEGORY = CATEGORY
    RETURN_TYPES, RETURN_NAMES = (FACES,), ("faces",)
    OUTPUT_TOOLTIPS = ("The mixed faces.",)
    FUNCTION = "blend"

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "faces_a": (FACES, {"tooltip": "The faces at amount 0."}),
                "faces_b": (FACES, {"tooltip": "The faces at amount 1: one for all of faces_a, or one for each."}),
                "amount": (
                    "FLOAT",
                    {
                        "default": 0.5,
                        "min": -1.0,
                        "max": 2.0,
                        "step": 0.05,
                        "tooltip": "0 is face a, 1 is face b; beyond that, differences are exaggerated.",
                    },
                ),
                "layers": choices(
                    ROWS,
                    "Which layers are taken from face b: coarse ones draw pose and shape, middle ones the features, "
                    "fine ones texture and, in large generators, colour.",
                ),
            }
        }

    def blend(self, faces_a: Faces, faces_b: Faces, amount, layers):
        faces_a.check_same_generator(faces_b)
        return (faces_a.with_ws(blend_faces(faces_a.ws, faces_b.ws, amount, layers)),)


class SaveFaces(Saves):
    DESCRIPTION = "Save faces as a file in ComfyUI's output folder, under lga/faces, for Load Faces."
    SEARCH_ALIASES = ["save latent", "export face", "store face"]
    CATEGORY = CATEGORY

    @classmethod
    def INPUT_TYPES(cls):
        return save_inputs("faces", FACES, "The faces to save.", "face")

    def save(self, faces: Faces, filename_prefix, node=None):
        return keep("faces", filename_prefix, lambda path: save_faces(path, faces), node)


class LoadFaces(Loads):
    DESCRIPTION = "Load faces that Save Faces wrote. They can be drawn by the generator they were made for."
    SEARCH_ALIASES = ["load latent", "import face", "open face"]
    CATEGORY = CATEGORY
    RETURN_TYPES, RETURN_NAMES = (FACES,), ("faces",)
    OUTPUT_TOOLTIPS = ("The faces.",)

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"file": file_input("faces", "faces")}}

    def load(self, file):
        return (load_faces(saved_path(file)),)
