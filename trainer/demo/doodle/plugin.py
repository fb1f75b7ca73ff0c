"""What the doodle domain brings to training and evaluation."""

from pathlib import Path

from ...domain_plugin import DomainPlugin
from ..plugin import embedded_plugin
from . import ASSETS
from .domain import DOMAIN


def plugin(folder: Path = ASSETS) -> DomainPlugin:
    return embedded_plugin(DOMAIN, folder)
