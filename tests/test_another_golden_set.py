"""Another golden set, made by the same rules with other names of its inputs, passes through the same tests."""

import re
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from golden_rule import GoldenFile, u1
from paths import GOLDEN, ROOT
from safetensors.torch import save_file

from lga_core import Generator, GeneratorConfig
from lga_core.baselines.mocogan_hd import MocoganMotion
from lga_core.baselines.styleclip.latent_optimization import clip_input
from lga_core.checkpoints.layouts import mocogan_hd
from lga_core.stylegan2.pca import PrincipalComponents


def renamed(golden: GoldenFile) -> dict[str, str]:
    """The metadata, with `input.z.5` where it has `input.z.0`, and `input.image.noise.5`."""
    inputs = re.sub(r"'(input\.[a-z.]+?)(\.0)?'", r"'\1.5'", golden.metadata["inputs"])
    return golden.metadata | {"inputs": inputs}


def motion_of_other_noise(golden: GoldenFile) -> dict[str, torch.Tensor]:
    """Nothing but outputs: both inputs are to be made by their rules."""
    names, sizes, k = golden.json("names"), golden.json("constructor"), golden.k
    (product,) = mocogan_hd.read({name: golden.parameter(name, shape) for name, shape in names.items()}, "")
    model = MocoganMotion(product.config)
    model.load_state_dict(product.tensors)
    batch, width, num_frames = int(golden.metadata["batch"]), sizes["z_dim"], int(golden.metadata["n_frames"])
    z = u1("input.z.5", (batch, width), 0, 1, k)
    noise = u1("input.eps.5", (num_frames - 1, batch, width), 0, 1, k)
    pca = PrincipalComponents(golden["pca_comp"], golden["pca_stdev"])
    with torch.no_grad():
        motion, reconstructed = model.rollout(z, noise.transpose(0, 1), pca)
    return {"out": motion, "e_rec": reconstructed.flatten(0, 1)}


def clip_input_of_other_noise(golden: GoldenFile) -> dict[str, torch.Tensor]:
    small, size = u1("input.image.small.5", (1, 3, 32, 32), 0, 3**-0.5, 0), int(golden.metadata["generator_size"])
    noise = u1("input.image.noise.5", (1, 3, size, size), 0, 1, golden.k)
    image = F.interpolate(small, (size, size), mode="bilinear", align_corners=False) + 0.2 * noise
    kept = {name: golden[name] for name in ("w0", "w1", "l2")}
    return {"small": small, "clip_input_every8": clip_input(image)[:, :, ::8, ::8].contiguous(), **kept}


def images_of_other_codes(golden: GoldenFile) -> dict[str, torch.Tensor]:
    kwargs, k = golden.json("init_kwargs"), golden.k
    sizes = {"z_dim": kwargs["z_dim"], "w_dim": kwargs["w_dim"], **kwargs["synthesis_kwargs"]}
    generator = Generator(GeneratorConfig(kwargs["img_resolution"], **sizes))
    generator.load_state_dict({n: golden.parameter(n, tensor.shape) for n, tensor in generator.state_dict().items()})
    z = u1("input.z.5", (3, kwargs["z_dim"]), 0, 1, k)
    ws = u1("input.ws.5", (1, generator.num_ws, kwargs["w_dim"]), 0, 0.8, k)
    with torch.no_grad():
        return {"z": z, "ws_in": ws, "w_psi1": generator.mapping(z), "img_const": generator.synthesis(ws)}


MADE = {
    "mocogan_rnn_small": motion_of_other_noise,
    "styleclip_opt_pieces": clip_input_of_other_noise,
    "nv_sg2_32_skip": images_of_other_codes,
}
TESTS = (
    "tests/test_golden_rule.py",
    "tests/lga_core/baselines/test_golden_baselines.py",
    "tests/lga_core/stylegan2/test_golden_generator.py",
)


@pytest.mark.parametrize("wrong", [False, True])
def test_a_set_with_other_names_of_inputs_passes_and_wrong_numbers_in_it_fail(wrong, tmp_path):
    for name, make in MADE.items():
        golden = GoldenFile(GOLDEN / f"{name}.safetensors")
        tensors = make(golden)
        for output in {"out", "clip_input_every8", "img_const"} & tensors.keys():
            tensors[output] = tensors[output] + 0.01 * wrong
        save_file(tensors, tmp_path / f"{name}.safetensors", renamed(golden))
    command = [sys.executable, "-m", "pytest", "-q", "-m", "golden", "-p", "no:cacheprovider", "--golden-dir", tmp_path]
    done = subprocess.run([*command, *TESTS], cwd=ROOT, capture_output=True, text=True)
    told = {word: int(count) for count, word in re.findall(r"(\d+) (passed|failed)", done.stdout)}
    assert told == ({"passed": 8, "failed": 3} if wrong else {"passed": 11}), done.stdout[-3000:]
