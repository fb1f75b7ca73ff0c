"""Nodes that draw: the frames of a clip, and a quick look at a motion."""

from __future__ import annotations

import torch

from ..lga_core import Faces, Generator, Motion, Movement, WPlus
from ..lga_core.imaging import contact_sheet, evenly, to_nhwc
from ..lga_core.motion import plot_motion, stacked
from ..lga_core.rendering import chunk_size, film, frame_bytes, grid_shape, in_step
from ..lga_core.stylegan2 import for_motion
from ..lga_core.stylegan2.inference import fastest_dtype
from .faces import picture
from .host import Progress, choices, frame_rate, free_memory, image_of, new_output, result_device
from .types import FACES, GENERATOR, MOTION, ROOT, LoadedGenerator

CATEGORY = f"{ROOT}/render"
GRID, IN_TURN, IN_STEP = "grid", "one after another", "frame by frame"
FULL, HALF = "full", "half"
SHEET_FRAMES = 8


class SynthesizeFrames:
    DESCRIPTION = (
        "Draw the clip: the faces, moved by the motion, a few frames at a time with a live preview. Send frames and "
        "fps to Create Video, then to Save Video."
    )
    SEARCH_ALIASES = ["render", "draw frames", "animate face", "stylegan synthesis", "decode"]
    CATEGORY = CATEGORY
    RETURN_TYPES, RETURN_NAMES = ("IMAGE", "FLOAT"), ("frames", "fps")
    OUTPUT_TOOLTIPS = ("The clip's frames, in order. To Create Video.", "Frames a second. To Create Video.")
    FUNCTION = "synthesize"

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "generator": (GENERATOR, {"tooltip": "The StyleGAN2 that the faces were made for."}),
                "faces": (FACES, {"tooltip": "The face to move, or several."}),
                "motion": (MOTION, {"tooltip": "The motion: one for all the faces, or each its own."}),
                "fps": frame_rate(
                    "Frames a second, passed on to Create Video. It changes how fast the clip plays, not how many "
                    "frames it has."
                ),
                "layout": choices(
                    (GRID, IN_TURN, IN_STEP),
                    "For several faces: grid shows them side by side in one picture, one after another plays their "
                    "clips in turn. frame by frame: they are one face in a video's frames, and each moves by its frame "
                    "of the motion, whose last one holds.",
                ),
                "precision": choices(
                    (FULL, HALF),
                    "half is several times faster on a graphics card, and on processors that calculate in bfloat16, "
                    "with differences that nobody sees; frames that it cannot draw are drawn again in full.",
                ),
            }
        }

    def synthesize(self, generator: LoadedGenerator, faces: Faces, motion: Movement, fps, layout, precision):
        generator.check_draws(faces, motion)
        device = generator.model.device
        dtype = fastest_dtype(device) if precision == HALF else torch.float32
        network = generator.model.ready(frame_bytes(generator.model.module.config, dtype, device))
        chunk = chunk_size(network.config, free_memory(device), dtype, device)
        ws, offsets = faces.ws.to(device), motion.offsets.to(device)
        network, ws = for_motion(network, ws, offsets)
        (rows, columns), size = grid_shape(len(ws)) if layout == GRID else (1, 1), network.config.resolution
        total = {GRID: motion.num_frames, IN_TURN: motion.num_frames * len(ws), IN_STEP: len(ws)}[layout]
        frames = torch.empty(total, rows * size, columns * size, network.config.img_channels, device=result_device())
        progress, done = Progress(total), 0
        for images in _drawn(layout, network, ws, offsets, chunk, dtype):
            frames[done : done + len(images)] = to_nhwc(images)
            done += len(images)
            progress.step(len(images), picture(images))
        return frames, fps


def _drawn(layout: str, network: Generator, ws: WPlus, offsets: Motion, chunk: int, dtype: torch.dtype):
    if layout == IN_STEP:
        return in_step(network, ws, offsets, chunk, dtype)
    return film(network, ws, offsets, chunk, side_by_side=layout == GRID, dtype=dtype)


class PreviewMotion:
    DESCRIPTION = (
        "Look before you draw: eight frames of the clip on one sheet, and a plot of how much each frame and each layer "
        "moves."
    )
    SEARCH_ALIASES = ["contact sheet", "plot motion", "motion graph", "inspect motion"]
    CATEGORY = CATEGORY
    RETURN_TYPES, RETURN_NAMES = ("IMAGE",), ("image",)
    OUTPUT_TOOLTIPS = ("Sheet and plot in one picture.",)
    OUTPUT_NODE = True
    FUNCTION = "preview"

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "generator": (GENERATOR, {"tooltip": "The StyleGAN2 that the faces were made for."}),
                "faces": (FACES, {"tooltip": "The face to move, or several."}),
                "motion": (MOTION, {"tooltip": "The motion to look at."}),
                "fps": frame_rate("Frames a second, for the plot's time in seconds."),
            }
        }

    def preview(self, generator: LoadedGenerator, faces: Faces, motion: Movement, fps):
        generator.check_draws(faces, motion)
        shown, device = evenly(motion.num_frames, SHEET_FRAMES), generator.model.device
        ws, offsets = faces.ws.to(device), motion.offsets[:, shown].to(device)
        network, ws = for_motion(generator.model.ready(), ws, offsets)
        progress, drawn = Progress(len(shown)), []
        for images in film(network, ws, offsets, chunk=len(ws)):
            drawn.append(images)
            progress.step(len(images))  # without a picture, which would stay where the sheet should be
        caption = f"Frames {', '.join(map(str, shown))} of {motion.num_frames}"
        plot = plot_motion(motion.offsets, "How much the motion moves, and where", fps)
        sheet = stacked([contact_sheet(torch.cat(drawn), caption), plot])
        path, reference = new_output("lga/motion", ".png", "temp")
        sheet.save(path, compress_level=4)
        return {"ui": {"images": [reference]}, "result": (image_of(sheet),)}
