"""Nodes that draw: the frames of a clip, and a preview of a motion."""

from __future__ import annotations

import torch

from ..lga_core import Faces, Generator, Motion, Movement, WPlus
from ..lga_core.imaging import contact_sheet, evenly, to_nhwc
from ..lga_core.motion import plot_motion, stack_vertically
from ..lga_core.rendering import chunk_size, frame_bytes, frames_per_face, grid_shape, video_frames
from ..lga_core.stylegan2 import generator_for_motion
from ..lga_core.stylegan2.inference import fastest_dtype
from .faces import picture
from .host import Progress, free_memory, image_of, new_output, result_device
from .types import FACES, GENERATOR, MOTION, ROOT, LoadedGenerator
from .widgets import choices, frame_rate

CATEGORY = f"{ROOT}/render"
GRID, IN_TURN, IN_STEP = "grid", "one after another", "frame by frame"
FULL, HALF = "full", "half"
SHEET_FRAMES = 8


class SynthesizeFrames:
    DISPLAY_NAME = "Synthesize Frames"
    DESCRIPTION = (
        "Draw the frames of the clip: the faces, moved by the motion, with a live preview. Connect frames and fps to "
        "Create Video, then Save Video."
    )
    SEARCH_ALIASES = ["render", "draw frames", "animate face", "stylegan synthesis", "decode"]
    CATEGORY = CATEGORY
    RETURN_TYPES, RETURN_NAMES = ("IMAGE", "FLOAT"), ("frames", "fps")
    OUTPUT_TOOLTIPS = (
        "Frames of the clip, in order. Connect to Create Video.",
        "Frames per second. Connect to Create Video.",
    )
    FUNCTION = "synthesize"

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "generator": (GENERATOR, {"tooltip": "StyleGAN2 generator that the faces were made for."}),
                "faces": (FACES, {"tooltip": "One or more faces to animate."}),
                "motion": (MOTION, {"tooltip": "Motion: one for all faces, or one for each."}),
                "fps": frame_rate(
                    "Frames per second, passed on to Create Video. It changes the speed of the video, not its number "
                    "of frames."
                ),
                "layout": choices(
                    (GRID, IN_TURN, IN_STEP),
                    "Layout of several faces. grid: side by side in one image. one after another: their clips in "
                    "turn. frame by frame: the faces are one person in the frames of a video, and each takes its own "
                    "frame of the motion; the motion's last frame is held.",
                ),
                "precision": choices(
                    (FULL, HALF),
                    "Numerical precision. half is several times faster on graphics cards, and on processors that "
                    "support bfloat16, without visible differences. Frames that fail in half are drawn again in full.",
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
        network, ws = generator_for_motion(network, ws, offsets)
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
        return frames_per_face(network, ws, offsets, chunk, dtype)
    return video_frames(network, ws, offsets, chunk, side_by_side=layout == GRID, dtype=dtype)


class PreviewMotion:
    DISPLAY_NAME = "Preview Motion"
    DESCRIPTION = (
        "Preview a motion without drawing the whole clip: eight frames on a contact sheet, and a plot of the motion of "
        "each frame and layer."
    )
    SEARCH_ALIASES = ["contact sheet", "plot motion", "motion graph", "inspect motion"]
    CATEGORY = CATEGORY
    RETURN_TYPES, RETURN_NAMES = ("IMAGE",), ("image",)
    OUTPUT_TOOLTIPS = ("Contact sheet and plot in one image.",)
    OUTPUT_NODE = True
    FUNCTION = "preview"

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "generator": (GENERATOR, {"tooltip": "StyleGAN2 generator that the faces were made for."}),
                "faces": (FACES, {"tooltip": "One or more faces to animate."}),
                "motion": (MOTION, {"tooltip": "Motion to preview."}),
                "fps": frame_rate("Frames per second, for the plot's time axis in seconds."),
            }
        }

    def preview(self, generator: LoadedGenerator, faces: Faces, motion: Movement, fps):
        generator.check_draws(faces, motion)
        shown, device = evenly(motion.num_frames, SHEET_FRAMES), generator.model.device
        ws, offsets = faces.ws.to(device), motion.offsets[:, shown].to(device)
        network, ws = generator_for_motion(generator.model.ready(), ws, offsets)
        progress, drawn = Progress(len(shown)), []
        for images in video_frames(network, ws, offsets, chunk=len(ws)):
            drawn.append(images)
            progress.step(len(images))  # no preview: it would stay in the place of the sheet
        caption = f"Frames {', '.join(map(str, shown))} of {motion.num_frames}"
        plot = plot_motion(motion.offsets, "Motion of each frame and layer", fps)
        sheet = stack_vertically([contact_sheet(torch.cat(drawn), caption), plot])
        path, reference = new_output("lga/motion", ".png", "temp")
        sheet.save(path, compress_level=4)
        return {"ui": {"images": [reference]}, "result": (image_of(sheet),)}
