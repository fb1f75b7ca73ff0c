"""The encoder equals the published e4e and pSp encoders, on their full size."""

import json
import re

import pytest
import torch
from paths import KEYS

from lga_core import Encoder
from lga_core.inversion.encoder import EncoderConfig


def num_ws(generator_size: int) -> int:
    return 2 * (generator_size.bit_length() - 1) - 2


def built(golden, generator_size: int, **options) -> Encoder:
    """The published encoder for a generator of this size; a gigabyte, so its weights are made once, in place."""
    with torch.device("meta"):
        encoder = Encoder(EncoderConfig(num_ws(generator_size), **options))
    state = {"latent_avg": torch.zeros(encoder.latent_avg.shape)}  # outputs are stored without it
    for name, tensor in encoder.state_dict().items():
        if name not in state:
            value = golden.parameter(name, tensor.shape)
            state[name] = torch.tensor(0) if value is None else value  # a step counter
    encoder.load_state_dict(state, assign=True)
    return encoder.eval().requires_grad_(False)


def check_rows(golden, encoder, generator_size: int) -> None:
    """Every stored code for this generator size; of codes at an early stage, where the file is large, some rows."""
    image, checked = golden.input("image"), 0
    for name in golden.names:
        if match := re.fullmatch(rf"wplus_{generator_size}(?:_stage(\d+))?", name):
            stage = None if match[1] is None else int(match[1])
            rows = encoder.encode_offsets(image, stage)
            golden.check(name, rows[:, : golden[name].shape[1]] if stage is not None else rows)
            checked += 1
    assert checked


def check_backbone(golden, encoder) -> None:
    """What leaves the residual blocks the file has numbers of."""
    seen: dict[str, torch.Tensor] = {}
    for name in golden.names:
        if match := re.fullmatch(r"body(\d+)_corner", name):
            keep = lambda module, args, output, block=match[1]: seen.update({block: output})  # noqa: E731
            encoder.body[int(match[1])].register_forward_hook(keep)
    encoder.encode_offsets(golden.input("image"))
    assert seen
    for block, x in seen.items():
        channels, h, w = golden[f"body{block}_corner"].shape
        golden.check(f"body{block}_corner", x[0, :channels, :h, :w])
        golden.check(f"body{block}_mean_std", torch.stack([x.mean(), x.std()]))


def sizes(golden) -> list[int]:
    return sorted({int(name.split("_")[1]) for name in golden.names if name.startswith("wplus_")})


@pytest.mark.golden("Encoder4Editing")
def test_the_encoder_is_e4e(golden):
    for size in sizes(golden):
        encoder = built(golden, size)
        check_rows(golden, encoder, size)
    check_backbone(golden, encoder)


@pytest.mark.golden("GradualStyleEncoder")
def test_the_encoder_without_row_sharing_is_psp(golden):
    for size in sizes(golden):
        encoder = built(golden, size, row0_shared=False)
        check_rows(golden, encoder, size)
    check_backbone(golden, encoder)


def test_the_published_encoder_has_these_tensors_and_no_others():
    published = json.loads((KEYS / "e4e_encoder_1024.json").read_text())
    with torch.device("meta"):
        state = Encoder(EncoderConfig(18)).state_dict()
    ours = {f"encoder.{name}": list(tensor.shape) for name, tensor in state.items()}
    assert ours.pop("encoder.latent_avg") == [18, 512]  # a file keeps it at its top
    assert ours == published
