"""Faces in pictures of any size: who finds them, and where their points are."""

from .choosing import Which, choose, follow, ordered
from .clicked import read_points
from .face import Finder, FoundFace
from .landmarker import MediaPipeFinder, has_mediapipe, open_landmarker, read_blendshapes
from .marking import mark_faces
from .search import find_faces, missing_finders, present_finders

__all__ = [
    "Finder",
    "FoundFace",
    "MediaPipeFinder",
    "Which",
    "choose",
    "find_faces",
    "follow",
    "has_mediapipe",
    "mark_faces",
    "missing_finders",
    "open_landmarker",
    "ordered",
    "present_finders",
    "read_blendshapes",
    "read_points",
]
