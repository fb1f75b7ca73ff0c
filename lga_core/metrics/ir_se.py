"""IR-SE blocks, of which ArcFace's IR-SE50 and the e4e encoder are built (Hu et al. 2018; Deng et al. 2019)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import nn

from ..shapes import Features, FeaturesOut


class SqueezeExcitation(nn.Module):
    """Squeeze-and-excitation (Hu et al. 2018): channels scaled by a gate that sees their means."""

    def __init__(self, channels: int, reduction: int = 16):
        super().__init__()
        squeezed = max(channels // reduction, 1)
        self.fc1 = nn.Conv2d(channels, squeezed, 1, bias=False)
        self.fc2 = nn.Conv2d(squeezed, channels, 1, bias=False)

    def forward(self, x: Features) -> Features:
        gate = self.fc2(F.relu(self.fc1(x.mean(dim=(2, 3), keepdim=True))))
        return x * gate.sigmoid()


class ResidualBlock(nn.Module):
    """The IR-SE bottleneck of the published encoders."""

    def __init__(self, i: int, o: int, stride: int):
        super().__init__()
        if i == o:
            self.shortcut_layer = nn.MaxPool2d(1, stride)  # every stride-th pixel
        else:
            self.shortcut_layer = nn.Sequential(nn.Conv2d(i, o, 1, stride, bias=False), nn.BatchNorm2d(o))
        self.res_layer = nn.Sequential(
            nn.BatchNorm2d(i),
            nn.Conv2d(i, o, 3, padding=1, bias=False),
            nn.PReLU(o),
            nn.Conv2d(o, o, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(o),
            SqueezeExcitation(o),
        )

    def forward(self, x: Features) -> FeaturesOut:
        return self.shortcut_layer(x) + self.res_layer(x)
