"""The identity network equals the published ArcFace IR-SE50, and files of it are read."""

import pytest
import torch
from foreign_files import writers

from lga_core import CheckpointError, convert
from lga_core.metrics.arcface import IdentityConfig, IdentityNetwork, face_crop, load_identity


def built(golden) -> IdentityNetwork:
    with torch.device("meta"):
        network = IdentityNetwork()
    state = {}
    for name, tensor in network.state_dict().items():
        value = golden.parameter(name, tensor.shape)
        state[name] = torch.tensor(0) if value is None else value
    network.load_state_dict(state, assign=True)
    return network.eval().requires_grad_(False)


@pytest.mark.golden("ArcFace IR-SE-50")
def test_the_network_is_arcface(golden):
    network, whole = built(golden), golden.input("face256")
    golden.check("embedding", network.embed_crop(golden.input("face")))
    golden.check("crop_corner", face_crop(whole)[:, :, :8, :8])
    golden.check("embedding_from_256", network(whole))


def test_a_published_file_is_converted_and_read(tmp_path):
    path = tmp_path / "model_ir_se50.pth"
    torch.save(writers.arcface_tensors(shrink=4), path)
    (file,) = convert(path, tmp_path)
    network = load_identity(file)
    assert network.config == IdentityConfig((16, 32, 64, 128), embed_dim=128)
    features = network(torch.rand(2, 3, 64, 64) * 2 - 1)
    assert torch.allclose(features.norm(dim=1), torch.ones(2), atol=1e-5)


def test_a_facenet_is_refused_by_name(tmp_path):
    path = tmp_path / "facenet.pt"
    torch.save(writers.facenet_tensors(classes=10), path)
    (file,) = convert(path, tmp_path)
    with pytest.raises(CheckpointError, match="ArcFace IR-SE50"):
        load_identity(file)
