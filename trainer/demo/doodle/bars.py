"""What `lga demo report` asks of the doodle domain."""

from ..checks.motion_metrics import motion_bars
from ..embedded_domain import Bar
from .rendering.attributes import ATTRIBUTES

PART_BARS = (
    Bar("judge: mean AUC on renders", lambda parts: parts["judge"]["auc_renders"], ">= 0.985"),
    Bar("judge: mean AUC on generated faces", lambda parts: parts["judge"]["auc_generated"], ">= 0.97"),
    Bar("generator: PSNR, dB", lambda parts: parts["generator"]["psnr"], ">= 28"),
    Bar("generator: PSNR of the worst 5 %, dB", lambda parts: parts["generator"]["psnr_worst_5_percent"], ">= 25.5"),
    Bar("generator: sharpness against renders", lambda parts: parts["generator"]["sharpness"], "0.97-1.03"),
    Bar("CLIP: zero-shot on generated presets", lambda parts: parts["clip"]["zero_shot_generated"], ">= 0.85"),
    Bar("inversion (encoder and latent optimisation): PSNR, dB", lambda parts: parts["encoder"]["psnr_refined"]),
    Bar("encoder alone: PSNR, dB", lambda parts: parts["encoder"]["psnr"]),
    Bar(
        "the true code: PSNR, dB",
        lambda parts: parts["encoder"]["psnr_true_code"],
        "at most 2 more than the encoder",
    ),
    Bar(
        "encoder alone: attributes preserved, by the judge", lambda parts: parts["encoder"]["attributes_kept"], ">= 0.9"
    ),
)
BARS = motion_bars(ATTRIBUTES, risen=15, top1=0.75, held_out=0.75)
