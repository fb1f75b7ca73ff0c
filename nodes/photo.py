"""Nodes between a photo and the generator's square: detect, align, transfer details, paste back, read expressions."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from ..lga_core import Images, align, find_faces
from ..lga_core.faces import (
    Alignment,
    add_details,
    central_square,
    crop,
    paste_frames,
    plot_expressions,
    read_expressions,
)
from ..lga_core.faces.detection import (
    Detector,
    FoundFace,
    SelectionRule,
    choose,
    draw_faces,
    installed_detectors,
    missing_detectors,
    ordered,
    read_points,
    track_face,
)
from ..lga_core.imaging import to_nchw
from ..lga_core.shapes import FacePoints, ImagesNHWC
from .faces import gathered, picture
from .files import ModelMenu, ReadsFile
from .host import Progress, image_of, model_folders, result_device, say
from .types import ALIGNMENT, GENERATOR, PLACES, ROOT, LoadedGenerator, Places
from .widgets import choices, frame_rate, integer, line, number, percent

CATEGORY = f"{ROOT}/photo"
AUTOMATIC, BY_HAND = "automatic", "by hand"
WHICH = ("largest", "best", "left to right", "nearest")
CHUNK = 8
"""Frames that are worked on between two steps of the progress bar."""


class FindFaces:
    DISPLAY_NAME = "Detect Faces"
    DESCRIPTION = (
        "Detect the face in a photo, or track it through the frames of a video: its eyes, nose and mouth corners. Uses "
        "the face detectors that are installed and downloads nothing. If none detects the face, enter its landmarks by "
        "hand."
    )
    SEARCH_ALIASES = ["face detection", "face detector", "landmarks", "mediapipe", "select face"]
    CATEGORY = CATEGORY
    RETURN_TYPES, RETURN_NAMES = (PLACES, "IMAGE", "STRING"), ("places", "image", "report")
    OUTPUT_TOOLTIPS = (
        "Landmarks of the chosen face in each image. Connect to Align Face.",
        "The first image with every detected face marked and numbered.",
        "How many faces were detected, and by which detector.",
    )
    FUNCTION = "find"

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "image": ("IMAGE", {"tooltip": "A photo or the frames of a video, of any size."}),
                "finder": choices(
                    (AUTOMATIC, BY_HAND),
                    "Face detector. automatic: the generator's own, then MediaPipe, YuNet and OpenCV, as far as they "
                    "are installed; the first that detects a face is used. by hand: the landmarks in points.",
                ),
                "which": choices(
                    WHICH,
                    "Order in which faces are counted: by size (largest), by the detector's score (best), from left "
                    "to right, or by distance to x and y (nearest). In a video the chosen face is then tracked.",
                ),
                "index": integer(0, 0, 999, "Number of the face in that order; 0 is the first."),
                "x": percent("For nearest: position from the left edge, in percent of the image's width."),
                "y": percent("For nearest: position from the top edge, in percent of the image's height."),
                "points": line(
                    "40%,45% 60%,45% 50%,57% 42%,68% 58%,68%",
                    "For by hand: x,y of the eye at the left, the eye at the right, the nose, and the left and right "
                    "corners of the mouth, as seen in the image, in pixels or percent.",
                ),
            },
            "optional": {
                "generator": (
                    GENERATOR,
                    {"tooltip": "Generator. Its domain's own face detector, if there is one, is tried first."},
                )
            },
            "hidden": {"node": "UNIQUE_ID"},
        }

    def find(self, image, finder, which, index, x, y, points, generator: LoadedGenerator | None = None, node=None):
        count, height, width, _ = image.shape
        if finder == BY_HAND:
            landmarks = read_points(points, height, width).expand(count, -1, -1)
            faces = [FoundFace(landmarks[0], 1.0, BY_HAND)]
        else:
            own = None if generator is None or generator.detector is None else generator.detector.ready()
            near = (x / 100 * width, y / 100 * height)
            faces, landmarks = _detected(image, own, which, index, near)
        report = _report(faces, landmarks)
        say(report, node, warning=bool(landmarks.isnan().any()))
        return Places(landmarks, height, width), image_of(draw_faces(to_nchw(image[:1]), faces)), report


def _detected(
    image: ImagesNHWC, own: Detector | None, which: SelectionRule, index: int, near: tuple[float, float]
) -> tuple[list[FoundFace], FacePoints]:
    """The faces of the first image in order, and the landmarks of the chosen one in each image.

    own: the face detector of the generator's domain.
    """
    folder = next(iter(model_folders("face")), None)
    detectors = installed_detectors(folder, own)
    progress, images = Progress(len(image)), (to_nchw(one) for one in image.split(1))
    if len(image) == 1:
        faces = ordered(find_faces(next(images), detectors, missing_detectors(folder)), which, near)
        progress.step()
        return faces, choose(faces, which, index, near).points[None]
    landmarks = track_face(images, detectors, which, index, near, on_frame=lambda _: progress.step())
    return [FoundFace(each, 1.0, "") for each in landmarks[:1] if not each.isnan().any()], landmarks


def _report(faces: list[FoundFace], landmarks: FacePoints) -> str:
    if len(landmarks) > 1:
        missing = int(landmarks.isnan().any(dim=(1, 2)).sum())
        gaps = f" In {missing} of them it was not detected; Align Face interpolates its position." if missing else ""
        return f"The face was tracked through {len(landmarks)} frames.{gaps}"
    names = ", ".join(sorted({face.detector for face in faces}))
    return f"{len(faces)} face{'s' * (len(faces) != 1)} detected ({names})."


class AlignFace:
    DISPLAY_NAME = "Align Face"
    DESCRIPTION = (
        "Crop the face, upright and framed like the generator's faces, and record where the crop lies in the photo. In "
        "a video the crop's motion is smoothed."
    )
    SEARCH_ALIASES = ["face crop", "ffhq align", "crop face", "straighten face"]
    CATEGORY = CATEGORY
    RETURN_TYPES, RETURN_NAMES = ("IMAGE", ALIGNMENT), ("image", "alignment")
    OUTPUT_TOOLTIPS = (
        "The aligned faces, as squares. Connect to Invert with e4e.",
        "Where the squares lie in the photo. Connect to Paste Back.",
    )
    FUNCTION = "align"

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "generator": (GENERATOR, {"tooltip": "Generator whose framing of faces the crop follows."}),
                "image": ("IMAGE", {"tooltip": "The photo or the frames of the video."}),
                "size": integer(
                    0,
                    0,
                    4096,
                    "Side of the squares in pixels; 0 is the generator's resolution. Larger squares keep more of the "
                    "photo's details for Detail Transfer.",
                ),
                "smoothing": number(
                    4.0,
                    0.0,
                    100.0,
                    0.5,
                    "Temporal smoothing of the crop in a video, in frames. 0 follows the detected landmarks exactly.",
                ),
            },
            "optional": {
                "places": (
                    PLACES,
                    {"tooltip": "Landmarks from Detect Faces. Without them the central square of the image is used."},
                )
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
    DISPLAY_NAME = "Detail Transfer"
    DESCRIPTION = (
        "Add the details that the inversion lost, such as skin, hair and background, to every frame. They move with "
        "the face. Where the face does not move, the frame equals the photo."
    )
    SEARCH_ALIASES = ["restore details", "high frequency", "texture transfer", "residual"]
    CATEGORY = CATEGORY
    RETURN_TYPES, RETURN_NAMES = ("IMAGE",), ("frames",)
    OUTPUT_TOOLTIPS = ("The frames with the photo's details, at the size of image. Connect to Paste Back.",)
    FUNCTION = "transfer"

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "image": ("IMAGE", {"tooltip": "Aligned image from Align Face. It may be larger than the frames."}),
                "still": (
                    "IMAGE",
                    {"tooltip": "Its reconstruction without motion, from Invert with e4e or Refine Inversion."},
                ),
                "frames": ("IMAGE", {"tooltip": "Frames of the animated face, from Synthesize Frames."}),
                "finest": number(
                    0.0,
                    0.0,
                    1.0,
                    0.005,
                    "Smallest details to transfer, as a share of the square's side. Raise it for a noisy photo.",
                ),
                "coarsest": number(
                    1.0,
                    0.01,
                    1.0,
                    0.01,
                    "Largest differences to transfer, as a share of the square's side. Below 1, lighting and colours "
                    "stay the generator's.",
                ),
            },
            "optional": {
                "mask": ("MASK", {"tooltip": "Where details are added, in the aligned square. Without it: everywhere."})
            },
        }

    def transfer(self, image, still, frames, finest, coarsest, mask=None):
        def detailed(part: slice) -> Images:
            source, rest, drawn = (to_nchw(_own(each, part)) for each in (image, still, frames))
            share = None if mask is None else _own(mask, part)[:, None]
            return add_details(source, rest, drawn, share, finest, coarsest)

        return (gathered(map(detailed, _parts(len(frames))), Progress(len(frames)), shown=True),)


def _parts(count: int) -> Iterator[slice]:
    """Frames 0 .. count - 1, a few at a time."""
    return (slice(start, min(start + CHUNK, count)) for start in range(0, count, CHUNK))


def _own(images: torch.Tensor, part: slice) -> torch.Tensor:
    """The images of some frames, or the one that serves them all."""
    return images if len(images) == 1 else images[part]


class PasteBack:
    DISPLAY_NAME = "Paste Back"
    DESCRIPTION = (
        "Paste the animated face back into its photo, at the photo's full resolution and without a visible seam. "
        "Pixels outside the mask stay exactly as in the photo."
    )
    SEARCH_ALIASES = ["composite face", "uncrop", "blend face", "stitch"]
    CATEGORY = CATEGORY
    RETURN_TYPES, RETURN_NAMES = ("IMAGE", "MASK"), ("images", "mask")
    OUTPUT_TOOLTIPS = ("The photo with the animated face. Connect to Create Video.", "Share of the face in each pixel.")
    FUNCTION = "paste"

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "image": ("IMAGE", {"tooltip": "The photo or video frames that were connected to Align Face."}),
                "frames": ("IMAGE", {"tooltip": "The animated face, from Synthesize Frames or Detail Transfer."}),
                "alignment": (ALIGNMENT, {"tooltip": "Where the face lies in the photo, from Align Face."}),
            },
            "optional": {
                "still": (
                    "IMAGE",
                    {
                        "tooltip": "The face without motion, at the frames' size, from Invert with e4e or Refine "
                        "Inversion: its colours are matched to the photo's, and the frames are corrected equally. Not "
                        "needed after Detail Transfer."
                    },
                ),
                "mask": (
                    "MASK",
                    {"tooltip": "Where the face is pasted, on the photo or on the square. Without it: an ellipse."},
                ),
            },
        }

    def paste(self, image, frames, alignment: Alignment, still=None, mask=None):
        count, (height, width) = max(len(image), len(frames)), image.shape[1:3]
        images = torch.empty(count, height - height % 2, width - width % 2, 3, device=result_device())
        masks, progress = images.new_empty(images.shape[:3]), Progress(count)
        for i, (pasted, share) in enumerate(paste_frames(image, frames, alignment, mask, still)):
            images[i : i + 1], masks[i : i + 1] = pasted, share
            progress.step(1, picture(to_nchw(pasted)))
        return images, masks


class ReadExpressions(ReadsFile):
    DISPLAY_NAME = "Read Expressions"
    DESCRIPTION = (
        "Measure the expressions of a real face in each frame: MediaPipe's 52 blendshapes, such as mouthSmileLeft, "
        "jawOpen and eyeBlinkRight. Motion models are not trained with them, so they judge the result independently."
    )
    SEARCH_ALIASES = ["blendshapes", "arkit", "measure expression", "mediapipe face"]
    CATEGORY = CATEGORY
    RETURN_TYPES, RETURN_NAMES = ("IMAGE", "STRING", "STRING"), ("plot", "table", "report")
    OUTPUT_TOOLTIPS = (
        "Plot of the blendshapes that change most, over time.",
        "All blendshapes as CSV, one row per frame.",
        "The blendshapes that change most.",
    )
    FUNCTION = "read"
    MENU = ModelMenu("model", "face", "MediaPipe Face Landmarker, a .task file in models/lga/face.", suffix=".task")

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "image": ("IMAGE", {"tooltip": "Frames that show one real face."}),
                cls.MENU.name: cls.MENU.declared(),
                "fps": frame_rate("Frames per second, for the plot's time axis in seconds."),
            },
            "hidden": {"node": "UNIQUE_ID"},
        }

    def read(self, image, model, fps, node=None):
        progress, images = Progress(len(image)), (to_nchw(one) for one in image.split(1))
        found = read_expressions(images, self.MENU.files(model)[0], lambda _: progress.step())
        report = "Largest changes: " + ", ".join(f"{name} by {change:.2f}" for name, change in found.movers()) + "."
        say(report, node)
        return image_of(plot_expressions(found, "Expressions", fps)), found.as_csv(), report
