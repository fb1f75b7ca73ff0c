"""Nodes that make faces: sampled, inverted from an image, blended, saved."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from PIL import Image

from ..lga_core import Faces, Generator, Images, InputError, WPlus, load_faces, load_image, save_faces
from ..lga_core.faces import crop, handheld_camera
from ..lga_core.imaging import fit_square, to_nchw, to_nhwc, to_uint8
from ..lga_core.inversion import invert
from ..lga_core.motion import ROWS, blend_faces
from ..lga_core.rendering import draw, frame_bytes
from ..lga_core.shapes import ImagesNHWC
from .files import ReadsFile, SavedMenu, SavesFile, save_file, save_inputs
from .host import Progress, make_ready, result_device, say
from .types import ENCODER, FACES, GENERATOR, ROOT, LoadedEncoder, LoadedGenerator
from .widgets import choices, integer, number, seed

CATEGORY = f"{ROOT}/faces"
EXAMPLES = Path(__file__).parent.parent / "faces"
NUM_EXAMPLES = 6
SCENE_SIZE, SCENE_FACE, VIDEO_SIZE = (640, 960), (486.0, 225.0), 384
"""Pixels of the demo photo (height, width), its middle face (x, y), and the side of the demo video."""


def picture(images: Images) -> Image.Image:
    """The last of some drawn frames, for a preview."""
    return Image.fromarray(to_uint8(images[-1:])[0].cpu().numpy())


def gathered(parts: Iterable[Images], progress: Progress, shown: bool = False) -> ImagesNHWC:
    """Images that come in parts, as ComfyUI's IMAGE. Each part advances `progress`, with a preview if `shown`."""
    done = []
    for images in parts:
        done.append(to_nhwc(images).to(result_device()))
        progress.step(len(images), picture(images) if shown else None)
    return torch.cat(done)


def previewing(progress: Progress) -> Callable[..., None]:
    """The `on_step` of an optimisation: it advances `progress`, with a preview of the last face."""
    return lambda _, drawn, *__: progress.step(1, picture(drawn))


def portraits(network: Generator, ws: WPlus, progress: Progress) -> ImagesNHWC:
    """Images of the faces, as ComfyUI's IMAGE. Each advances `progress`."""
    return gathered((draw(network, face) for face in ws.split(1)), progress)


class SampleFace:
    DISPLAY_NAME = "Sample Face"
    DESCRIPTION = "Sample random faces of the domain; each seed gives another face."
    SEARCH_ALIASES = ["random face", "stylegan sample", "seed face", "generate face"]
    CATEGORY = CATEGORY
    RETURN_TYPES, RETURN_NAMES = (FACES, "IMAGE"), ("faces", "image")
    OUTPUT_TOOLTIPS = ("The faces. Connect to Synthesize Frames.", "Images of the faces.")
    FUNCTION = "sample"

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "generator": (GENERATOR, {"tooltip": "StyleGAN2 generator that draws the faces."}),
                "seed": seed(
                    "Random seed; equal seeds give equal faces. A batch uses this seed and the next ones.", changes=True
                ),
                "psi": number(
                    0.7,
                    0.0,
                    1.5,
                    0.05,
                    "Truncation psi: 0 is the average face, 1 the full variety with more artefacts, 0.7 a good "
                    "compromise.",
                ),
                "batch_size": integer(1, 1, 64, "Number of faces."),
            }
        }

    def sample(self, generator: LoadedGenerator, seed, psi, batch_size):
        network = generator.model.ready(frame_bytes(generator.model.module.config))
        ws = network.sample(range(seed, seed + batch_size), psi)
        return Faces(ws.to(result_device()), generator.identity), portraits(network, ws, Progress(batch_size))


class DemoFace:
    DISPLAY_NAME = "Demo Face"
    DESCRIPTION = "An example image for inversion: a drawn face that no network of the doodle domain was trained on."
    SEARCH_ALIASES = ["example image", "doodle", "test image", "sample picture"]
    CATEGORY = CATEGORY
    RETURN_TYPES, RETURN_NAMES = ("IMAGE",), ("image",)
    OUTPUT_TOOLTIPS = ("The image, 256 x 256 pixels. Connect to Invert with e4e.",)
    FUNCTION = "load"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"number": integer(1, 1, NUM_EXAMPLES, "Number of the example face, from 1 to 6.")}}

    def load(self, number):
        return (to_nhwc(load_image(EXAMPLES / f"face{number}.png")),)


class DemoPhoto:
    DISPLAY_NAME = "Demo Photo"
    DESCRIPTION = (
        "An example photo for face detection and pasting: a room with three drawn faces on its wall. With more than "
        "one frame, a video of it from a moving camera."
    )
    SEARCH_ALIASES = ["example photo", "test video", "sample photo"]
    CATEGORY = CATEGORY
    RETURN_TYPES, RETURN_NAMES = ("IMAGE",), ("image",)
    OUTPUT_TOOLTIPS = ("The photo, or the frames of the video. Connect to Detect Faces and Paste Back.",)
    FUNCTION = "load"

    @classmethod
    def INPUT_TYPES(cls):
        tooltip = "Number of frames. 1 is the whole photo; more are a video in which the camera moves around one face."
        return {"required": {"frames": integer(1, 1, 1000, tooltip)}}

    def load(self, frames):
        scene = load_image(EXAMPLES / "scene.jpg")
        seen = None if frames == 1 else handheld_camera(frames, SCENE_FACE, 210, *SCENE_SIZE)
        return (to_nhwc(scene if seen is None else crop(scene, seen, VIDEO_SIZE)),)


class InvertE4E:
    DISPLAY_NAME = "Invert with e4e"
    DESCRIPTION = (
        "GAN inversion: find the face of the generator that is most similar to an image. Details that the generator "
        "cannot draw are lost, and the report says how close the face is. The image should show one upright face, "
        "framed like the domain's faces, as Align Face gives it; its central square is used."
    )
    SEARCH_ALIASES = ["gan inversion", "e4e", "project image", "encode face", "image to latent"]
    CATEGORY = CATEGORY
    RETURN_TYPES, RETURN_NAMES = (FACES, "IMAGE", "STRING"), ("faces", "image", "report")
    OUTPUT_TOOLTIPS = (
        "The inverted faces, one for each image.",
        "The faces as the generator draws them. Compare with your image.",
        "How close each face is to its image: PSNR, and the share of the image that is reproduced.",
    )
    FUNCTION = "invert"

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "generator": (GENERATOR, {"tooltip": "StyleGAN2 generator that draws the face."}),
                "encoder": (ENCODER, {"tooltip": "Encoder that was trained for this generator."}),
                "image": ("IMAGE", {"tooltip": "One or more images, each of one face."}),
                "refine_steps": integer(
                    20,
                    0,
                    500,
                    "Number of latent optimisation steps after the encoder. 20 bring the face closer; hundreds fit "
                    "details that break when the face moves. 0 uses the encoder alone, as in the paper.",
                ),
            },
            "hidden": {"node": "UNIQUE_ID"},
        }

    def invert(self, generator: LoadedGenerator, encoder: LoadedEncoder, image, refine_steps, node=None):
        encoder.check_fits(generator)
        if not torch.isfinite(image).all():
            raise InputError(
                "The image contains values that are not numbers (NaN or inf). Check the node that made it."
            )
        # Tensors made in the executor's inference mode cannot take part in an optimisation.
        with torch.inference_mode(False):
            make_ready(generator.model, encoder.model, memory=frame_bytes(generator.model.module.config))
            network = generator.model.module
            square = fit_square(to_nchw(image.clone()), network.config.resolution).to(generator.model.device)
            progress = Progress(len(square) * (refine_steps + 2))  # the encoder, the steps, a portrait
            found = invert(network, encoder.model.module, square, refine_steps, on_step=previewing(progress))
        report, faces = str(found), Faces(found.ws.to(result_device()), generator.identity)
        say(report, node, warning=bool(found.unlike.any()))
        return faces, portraits(network, found.ws, progress), report


class BlendFaces:
    DISPLAY_NAME = "Blend Faces"
    DESCRIPTION = "Interpolate between two faces of one generator, in all layers or in some of them (style mixing)."
    SEARCH_ALIASES = ["style mixing", "interpolate faces", "morph", "mix latents"]
    CATEGORY = CATEGORY
    RETURN_TYPES, RETURN_NAMES = (FACES,), ("faces",)
    OUTPUT_TOOLTIPS = ("The mixed faces.",)
    FUNCTION = "blend"

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "faces_a": (FACES, {"tooltip": "Faces at amount 0."}),
                "faces_b": (FACES, {"tooltip": "Faces at amount 1: one for all of faces_a, or one for each."}),
                "amount": number(
                    0.5,
                    -1.0,
                    2.0,
                    0.05,
                    "Interpolation weight: 0 is faces_a, 1 is faces_b; values outside exaggerate the difference.",
                ),
                "layers": choices(
                    ROWS,
                    "Layers that are blended; the others stay those of faces_a. Coarse layers control pose and shape, "
                    "middle ones the features, fine ones texture and, in large generators, colour.",
                ),
            }
        }

    def blend(self, faces_a: Faces, faces_b: Faces, amount, layers):
        faces_a.check_same_generator(faces_b)
        return (faces_a.with_ws(blend_faces(faces_a.ws, faces_b.ws, amount, layers)),)


class SaveFaces(SavesFile):
    DISPLAY_NAME = "Save Faces"
    DESCRIPTION = "Save faces to a file in ComfyUI's output folder, under lga/faces. Load Faces reads it."
    SEARCH_ALIASES = ["save latent", "export face", "store face"]
    CATEGORY = CATEGORY

    @classmethod
    def INPUT_TYPES(cls):
        return save_inputs("faces", FACES, "Faces to save.", "face")

    def save(self, faces: Faces, filename_prefix, node=None):
        return save_file("faces", filename_prefix, lambda path: save_faces(path, faces), node)


class LoadFaces(ReadsFile):
    DISPLAY_NAME = "Load Faces"
    DESCRIPTION = "Load faces from a file of Save Faces. Only the generator they were made for can draw them."
    SEARCH_ALIASES = ["load latent", "import face", "open face"]
    CATEGORY = CATEGORY
    RETURN_TYPES, RETURN_NAMES = (FACES,), ("faces",)
    OUTPUT_TOOLTIPS = ("The faces. Connect to Synthesize Frames.",)
    FUNCTION = "load"
    MENU = SavedMenu("faces", "faces")

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {cls.MENU.name: cls.MENU.declared()}}

    def load(self, file):
        return (load_faces(*self.MENU.files(file)),)
