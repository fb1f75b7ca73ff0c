"""Nodes between a photograph and the square that a generator draws: find, align, give back details, paste."""

from __future__ import annotations

import torch

from ..lga_core import Images, align, find_faces, paste_back
from ..lga_core.faces import (
    Alignment,
    add_details,
    central_square,
    crop,
    keep_photo,
    plot_expressions,
    read_expressions,
)
from ..lga_core.faces.detection import (
    Detector,
    FoundFace,
    SelectionRule,
    choose,
    draw_faces,
    follow,
    installed_detectors,
    missing_detectors,
    ordered,
    read_points,
)
from ..lga_core.imaging import to_nchw, to_nhwc
from ..lga_core.shapes import ImagesNHWC
from .faces import gathered, picture
from .host import (
    Progress,
    choices,
    file_state,
    frame_rate,
    image_of,
    missing_model,
    model_files,
    model_folders,
    model_path,
    result_device,
    say,
)
from .types import ALIGNMENT, GENERATOR, PLACES, ROOT, LoadedGenerator, Places

CATEGORY = f"{ROOT}/photo"
AUTOMATIC, BY_HAND = "automatic", "by hand"
WHICH = ("largest", "best", "left to right", "nearest")
CHUNK = 8
"""Frames that are worked on between two steps of the progress bar."""


class FindFaces:
    DESCRIPTION = (
        "Find the face in a photo, or follow one through a video's frames: where its eyes, nose and mouth are. Those "
        "finders are asked that are installed; nothing is downloaded. Where none finds it, mark it by hand."
    )
    SEARCH_ALIASES = ["face detection", "face detector", "landmarks", "mediapipe", "select face"]
    CATEGORY = CATEGORY
    RETURN_TYPES, RETURN_NAMES = (PLACES, "IMAGE", "STRING"), ("places", "image", "report")
    OUTPUT_TOOLTIPS = (
        "Where the chosen face is, in each picture. To Align Face.",
        "The first picture with all its faces marked and numbered.",
        "How many faces there are and who found them, in words.",
    )
    FUNCTION = "find"

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "image": ("IMAGE", {"tooltip": "A photo, or a video's frames, of any size."}),
                "finder": choices(
                    (AUTOMATIC, BY_HAND),
                    "automatic asks the generator's own finder, then MediaPipe, YuNet and OpenCV, as far as they are "
                    "there. by hand takes the points below.",
                ),
                "which": choices(
                    WHICH,
                    "Of several faces: the largest, the one that is found most surely, by number from left to right, "
                    "or the one nearest to x and y. In a video it is then followed.",
                ),
                "index": (
                    "INT",
                    {"default": 0, "min": 0, "max": 999, "tooltip": "Which one in that order; 0 is the first."},
                ),
                "x": ("FLOAT", _percent("For nearest: how far from the left, in percent of the width.")),
                "y": ("FLOAT", _percent("For nearest: how far from the top, in percent of the height.")),
                "points": (
                    "STRING",
                    {
                        "default": "",
                        "dynamicPrompts": False,
                        "placeholder": "40%,45% 60%,45% 50%,57% 42%,68% 58%,68%",
                        "tooltip": "For by hand: x,y of the left eye, the right eye, the nose and the left and right "
                        "corner of the mouth, as they are in the picture, in pixels or percent.",
                    },
                ),
            },
            "optional": {
                "generator": (GENERATOR, {"tooltip": "Its domain's own finder is asked first, where it has one."})
            },
            "hidden": {"node": "UNIQUE_ID"},
        }

    def find(self, image, finder, which, index, x, y, points, generator: LoadedGenerator | None = None, node=None):
        count, height, width, _ = image.shape
        if finder == BY_HAND:
            found = read_points(points, height, width).expand(count, -1, -1)
            faces = [FoundFace(found[0], 1.0, BY_HAND)]
        else:
            own = None if generator is None or generator.finder is None else generator.finder.ready()
            near = (x / 100 * width, y / 100 * height)
            faces, found = _followed(image, own, which, index, near)
        report = _report(faces, found)
        say(report, node, warning=bool(found.isnan().any()))
        return Places(found, height, width), image_of(draw_faces(to_nchw(image[:1]), faces)), report


def _percent(tooltip: str) -> dict:
    return {"default": 50.0, "min": 0.0, "max": 100.0, "step": 0.1, "tooltip": tooltip}


def _followed(image: ImagesNHWC, own: Detector | None, which: SelectionRule, index: int, near: tuple[float, float]):
    """The faces of the first picture in order, and the points of the chosen one in each. `own`: the domain's finder."""
    folder = next(iter(model_folders("face")), None)
    finders = installed_detectors(folder, own)
    progress, images = Progress(len(image)), (to_nchw(one) for one in image.split(1))
    if len(image) == 1:
        faces = ordered(find_faces(next(images), finders, missing_detectors(folder)), which, near)
        progress.step()
        return faces, choose(faces, which, index, near).points[None]
    points = follow(images, finders, which, index, near, on_frame=lambda _: progress.step())
    known = [FoundFace(each, 1.0, "") for each in points[:1] if not each.isnan().any()]
    return known, points


def _report(faces: list[FoundFace], found: torch.Tensor) -> str:
    missing = int(found.isnan().any(dim=(1, 2)).sum())
    if len(found) > 1:
        lost = f"; in {missing} it is not found, and Align Face fills in its place" if missing else ""
        return f"The face was followed through {len(found)} frames{lost}."
    who = ", ".join(sorted({face.finder for face in faces}))
    return f"{len(faces)} face{'s' * (len(faces) != 1)} ({who})."


class AlignFace:
    DESCRIPTION = (
        "Cut the face out, upright and framed as the generator draws faces, and remember where it came from. In a "
        "video the square glides instead of shaking."
    )
    SEARCH_ALIASES = ["face crop", "ffhq align", "crop face", "straighten face"]
    CATEGORY = CATEGORY
    RETURN_TYPES, RETURN_NAMES = ("IMAGE", ALIGNMENT), ("image", "alignment")
    OUTPUT_TOOLTIPS = (
        "The faces, upright squares. To Invert with e4e.",
        "Where they came from. To Paste Back.",
    )
    FUNCTION = "align"

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "generator": (GENERATOR, {"tooltip": "Whose faces they are to be framed like."}),
                "image": ("IMAGE", {"tooltip": "The photo, or the video's frames."}),
                "size": (
                    "INT",
                    {
                        "default": 0,
                        "min": 0,
                        "max": 4096,
                        "tooltip": "Side of the squares in pixels; 0 is the generator's own. Larger ones keep more of "
                        "the photo for Detail Transfer.",
                    },
                ),
                "smoothing": (
                    "FLOAT",
                    {
                        "default": 4.0,
                        "min": 0.0,
                        "max": 100.0,
                        "step": 0.5,
                        "tooltip": "For a video: over how many frames the square's movement is calmed. 0 follows every "
                        "tremble.",
                    },
                ),
            },
            "optional": {
                "places": (PLACES, {"tooltip": "From Find Faces. Without it the picture's central square is taken."})
            },
        }

    def align(self, generator: LoadedGenerator, image, size, smoothing, places: Places | None = None):
        alignment = _squares(generator, image, smoothing, places)
        size = size or generator.model.module.config.resolution
        cut = (crop(to_nchw(image[part]), alignment.part(part.start, part.stop), size) for part in _parts(len(image)))
        return gathered(cut, Progress(len(image))), alignment


def _squares(generator: LoadedGenerator, image: ImagesNHWC, smoothing: float, places: Places | None) -> Alignment:
    count, height, width, _ = image.shape
    if places is None:
        return central_square(height, width)
    places.check_of(height, width, count)
    alignment = align(places.points, height, width, generator.framing)
    return alignment.smoothed(smoothing) if len(alignment) > 1 else alignment


class DetailTransfer:
    DESCRIPTION = (
        "Give back what the generator could not draw: skin, hair and background of the photo, which move along "
        "with the face. An unmoved face becomes the photo's own again."
    )
    SEARCH_ALIASES = ["restore details", "high frequency", "texture transfer", "residual"]
    CATEGORY = CATEGORY
    RETURN_TYPES, RETURN_NAMES = ("IMAGE",), ("frames",)
    OUTPUT_TOOLTIPS = ("The frames with the photo's details, as large as the aligned picture. To Paste Back.",)
    FUNCTION = "transfer"

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "image": (
                    "IMAGE",
                    {"tooltip": "The aligned picture, from Align Face. It may be larger."},
                ),
                "still": (
                    "IMAGE",
                    {"tooltip": "What the generator draws of it unmoved, from Invert or Refine."},
                ),
                "frames": ("IMAGE", {"tooltip": "The clip, from Synthesize Frames."}),
                "finest": (
                    "FLOAT",
                    {
                        "default": 0.0,
                        "min": 0.0,
                        "max": 1.0,
                        "step": 0.005,
                        "tooltip": "Details smaller than this, in sides of the square, stay away: for a noisy photo.",
                    },
                ),
                "coarsest": (
                    "FLOAT",
                    {
                        "default": 1.0,
                        "min": 0.01,
                        "max": 1.0,
                        "step": 0.01,
                        "tooltip": "Differences larger than this stay away: below 1 the generator's own light and "
                        "colours are kept.",
                    },
                ),
            },
            "optional": {"mask": ("MASK", {"tooltip": "Where to, in the aligned square. Without it: everywhere."})},
        }

    def transfer(self, image, still, frames, finest, coarsest, mask=None):
        def detailed(part: slice) -> Images:
            source, rest, drawn = (to_nchw(_own(each, part)) for each in (image, still, frames))
            share = None if mask is None else _own(mask, part)[:, None]
            return add_details(source, rest, drawn, share, finest, coarsest)

        return (gathered(map(detailed, _parts(len(frames))), Progress(len(frames)), shown=True),)


def _parts(count: int) -> list[slice]:
    """Frames 0 .. count - 1, a few at a time."""
    return [slice(start, min(start + CHUNK, count)) for start in range(0, count, CHUNK)]


def _own(images: torch.Tensor, part: slice) -> torch.Tensor:
    """The pictures of some frames, or the one that serves them all."""
    return images if len(images) == 1 else images[part]


class PasteBack:
    DESCRIPTION = (
        "Put the animated face back into its photo, at the photo's full size and without a seam. What lies "
        "outside the mask stays the photo's, bit for bit."
    )
    SEARCH_ALIASES = ["composite face", "uncrop", "blend face", "stitch"]
    CATEGORY = CATEGORY
    RETURN_TYPES, RETURN_NAMES = ("IMAGE", "MASK"), ("images", "mask")
    OUTPUT_TOOLTIPS = ("The photo, moving. To Create Video.", "How much of each pixel is the face's.")
    FUNCTION = "paste"

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "image": ("IMAGE", {"tooltip": "The photo, or the video's frames, as Align Face had them."}),
                "frames": ("IMAGE", {"tooltip": "The animated face, from Synthesize Frames or Detail Transfer."}),
                "alignment": (ALIGNMENT, {"tooltip": "From Align Face."}),
            },
            "optional": {
                "still": (
                    "IMAGE",
                    {
                        "tooltip": "The face without motion, of the frames' size, from Invert or Refine: its colours "
                        "are matched to the photo's, and the frames' by as much. Not needed after Detail Transfer."
                    },
                ),
                "mask": (
                    "MASK",
                    {"tooltip": "Where the face goes: painted on the photo, or on the square. Without it: an oval."},
                ),
            },
        }

    def paste(self, image, frames, alignment: Alignment, still=None, mask=None):
        count, (height, width) = max(len(image), len(frames)), image.shape[1:3]
        images = torch.empty(count, height - height % 2, width - width % 2, 3, device=result_device())
        masks, progress = images.new_empty(images.shape[:3]), Progress(count)
        for i in range(count):
            own = slice(i, i + 1)
            photo, face = (to_nchw(_own(each, own)) for each in (image, frames))
            rest = None if still is None else to_nchw(_own(still, own))
            share = None if mask is None else _own(mask, own)[:, None]
            pasted = paste_back(photo, face, alignment.part(i, i + 1), share, rest)
            whole = keep_photo(to_nhwc(pasted.images), _own(image, own), pasted.mask)
            images[i], masks[i] = (each[0, : images.shape[1], : images.shape[2]] for each in (whole, pasted.mask[:, 0]))
            progress.step(1, picture(pasted.images))
        return images, masks


class ReadExpressions:
    DESCRIPTION = (
        "Read expressions off real faces, frame by frame: MediaPipe's 52 blendshapes, such as mouthSmileLeft, jawOpen "
        "and eyeBlinkRight. No loss of the motion models has seen it, so that it can tell whether the words came true."
    )
    SEARCH_ALIASES = ["blendshapes", "arkit", "measure expression", "mediapipe face"]
    CATEGORY = CATEGORY
    RETURN_TYPES, RETURN_NAMES = ("IMAGE", "STRING", "STRING"), ("plot", "table", "report")
    OUTPUT_TOOLTIPS = (
        "The expressions that move most, over time.",
        "All numbers as CSV: a line a frame.",
        "What moved most, in words.",
    )
    FUNCTION = "read"

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "image": ("IMAGE", {"tooltip": "Frames of one real face."}),
                "model": choices(
                    [file for file in model_files("face") if file.endswith(".task")],
                    "MediaPipe's Face Landmarker, in models/lga/face.",
                ),
                "fps": frame_rate("Frames a second, for the plot's time in seconds."),
            },
            "hidden": {"node": "UNIQUE_ID"},
        }

    @classmethod
    def VALIDATE_INPUTS(cls, model):
        return model is None or missing_model("face", model) or True

    @classmethod
    def IS_CHANGED(cls, image, model, fps, node=None):
        return file_state(model_path("face", model))

    def read(self, image, model, fps, node=None):
        progress, images = Progress(len(image)), (to_nchw(one) for one in image.split(1))
        found = read_expressions(images, model_path("face", model), lambda _: progress.step())
        report = "Moved most: " + ", ".join(f"{name} by {change:.2f}" for name, change in found.movers()) + "."
        say(report, node)
        return image_of(plot_expressions(found, "Expressions", fps)), found.as_csv(), report
