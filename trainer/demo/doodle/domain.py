"""The doodle domain, described for everything that embedded domains share."""

from lga_core import GeneratorConfig

from ..embedded_domain import EmbeddedDomain, Showcase
from . import ASSETS
from .bars import BARS, PART_BARS
from .recipe import STAGES
from .rendering.attributes import ATTRIBUTES
from .rendering.renderer import RENDERER
from .words import LEXICON

DOMAIN = EmbeddedDomain(
    name="doodle",
    assets=ASSETS,
    attributes=ATTRIBUTES,
    renderer=RENDERER,
    lexicon=LEXICON,
    generator=GeneratorConfig(resolution=128, channel_base=4096, channel_max=160, mapping_layers=4),
    prompts="doodle",
    scorers=("clip_renders", "doubter", "doubter2"),
    stages=STAGES,
    part_bars=PART_BARS,
    bars=BARS,
    showcase=Showcase(
        prompts=("smiling", "happy", "sad", "surprised", "crying", "winking", "disgusted", "has blonde hair"),
        seed=50_501,
        video_prompt="smiling",
        face="face{}.png",
        sheet="contact_sheet.png",
        video="smile.gif",
    ),
)
