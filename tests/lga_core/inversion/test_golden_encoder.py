"""The encoder equals the published e4e and pSp encoders, on their full size."""

import json
import re

import pytest
import torch
from paths import KEYS

from lga_core import Encoder
from lga_core.inversion.encoder import EncoderConfig

pytestmark = pytest.mark.long


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


def check(golden, **options) -> None:
    """Every stored code and activation.

    The encoder is built once, for the largest generator of the file. A smaller generator's encoder has the same
    parameters less the last heads, and its code is the first rows of the larger one's
    (`test_an_encoder_of_fewer_rows_gives_the_first_rows`), so that half the work would only repeat the other half.
    """
    encoder = built(golden, max(sizes(golden)), **options)
    seen = watched(golden, encoder)
    image = golden.input("image")
    codes = {
        stage: encoder.encode_offsets(image, stage) for stage in {stage for _, stage in code_names(golden).values()}
    }
    for name, (size, stage) in code_names(golden).items():
        rows = codes[stage][:, : num_ws(size)]
        golden.check(name, rows[:, : golden[name].shape[1]] if stage is not None else rows)
    assert seen
    for block, x in seen.items():
        channels, h, w = golden[f"body{block}_corner"].shape
        golden.check(f"body{block}_corner", x[0, :channels, :h, :w])
        golden.check(f"body{block}_mean_std", torch.stack([x.mean(), x.std()]))


def watched(golden, encoder) -> dict[str, torch.Tensor]:
    """Where what leaves the residual blocks that the file has numbers of will be found, block by block."""
    seen: dict[str, torch.Tensor] = {}
    for name in golden.names:
        if match := re.fullmatch(r"body(\d+)_corner", name):
            keep = lambda module, args, output, block=match[1]: seen.update({block: output})  # noqa: E731
            encoder.body[int(match[1])].register_forward_hook(keep)
    return seen


def code_names(golden) -> dict[str, tuple[int, int | None]]:
    """The codes that the file holds: name -> (generator size, stage of training, None after it). Of codes at an early
    stage, where the file is large, only the first rows are stored."""
    matches = [re.fullmatch(r"wplus_(\d+)(?:_stage(\d+))?", name) for name in golden.names]
    return {match[0]: (int(match[1]), match[2] and int(match[2])) for match in matches if match}


def sizes(golden) -> set[int]:
    return {size for size, _ in code_names(golden).values()}


@pytest.mark.golden("Encoder4Editing")
def test_the_encoder_is_e4e(golden):
    check(golden)


@pytest.mark.golden("GradualStyleEncoder")
def test_the_encoder_without_row_sharing_is_psp(golden):
    check(golden, row0_shared=False)


def test_the_published_encoder_has_these_tensors_and_no_others():
    published = json.loads((KEYS / "e4e_encoder_1024.json").read_text())
    with torch.device("meta"):
        state = Encoder(EncoderConfig(18)).state_dict()
    ours = {f"encoder.{name}": list(tensor.shape) for name, tensor in state.items()}
    assert ours.pop("encoder.latent_avg") == [18, 512]  # a file keeps it at its top
    assert ours == published
