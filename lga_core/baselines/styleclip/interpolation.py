"""From an edit of a face to a clip, by linear interpolation in W+ (Hang et al. 2023, IV-B)."""

import torch

from ...motion.editing import stretch
from ...shapes import Motion, WPlus


def linear_motion(offsets: WPlus, num_frames: int) -> Motion:
    """Linear interpolation from zero to offsets [n num_ws w_dim], in even steps: [n num_frames num_ws w_dim].

    The first frame is exactly zero, the last exactly the offsets. Raises InputError for fewer than one frame.
    """
    return stretch(torch.stack([torch.zeros_like(offsets), offsets], dim=1), num_frames)
