"""CLIP: towers, vocabulary, text rules and files, with tiny random models; open_clip's own code is the definition."""

import json
import warnings

import open_clip
import pytest
import torch
from safetensors.torch import save_file
from torch.testing import assert_close

from lga_core import CheckpointError, InputError, MismatchError, load_clip
from lga_core.clip import save_clip
from lga_core.formats.native import load_checkpoint, save_checkpoint

CONFIG = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 32, "layers": [1, 1, 1, 1], "width": 8, "head_width": 64},
    "text_cfg": {"context_length": 12, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
}
SENTENCES = ["The cartoon face is smiling.", "The cartoon face is crying."]
MEAN, STD = (0.5, 0.4, 0.3), (0.3, 0.2, 0.25)


@pytest.fixture(scope="module")
def model():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = open_clip.CLIP(**CONFIG).eval()
        for parameter in model.visual.parameters():  # ModifiedResNet starts with dead residual branches.
            if parameter.ndim == 1:
                torch.nn.init.uniform_(parameter, 0.5, 1.5)
    return model


@pytest.fixture(scope="module")
def token_ids():
    tokenizer = open_clip.SimpleTokenizer(context_length=12)
    return [token for sentence in SENTENCES for token in tokenizer.encode(sentence)]


@pytest.fixture(scope="module")
def file(model, token_ids, tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "clip.safetensors"
    save_clip(path, model, CONFIG, token_ids, MEAN, STD, name="tiny", zero_shot=0.9)
    return path


@pytest.fixture(scope="module")
def clip(file):
    return load_clip(file)


@pytest.fixture
def images():
    return torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1


def rewrite(file, path, change):
    """A copy of `file` at `path` whose tensors were changed by `change(tensors)`."""
    checkpoint = load_checkpoint(file, "clip")
    change(checkpoint.tensors)
    save_checkpoint(path, "clip", checkpoint.tensors, checkpoint.architecture, **checkpoint.metadata)
    return path


def test_a_pruned_file_holds_the_whole_models_weights_exactly(model, clip):
    known = sorted(clip.known_tokens)
    for key, value in model.state_dict().items():
        loaded = clip.model.state_dict()[key]
        if key == "token_embedding.weight":
            assert loaded.count_nonzero(dim=1).count_nonzero() == len(known)
            loaded, value = loaded[known], value[known]
        assert torch.equal(loaded, value), key


def test_a_pruned_file_gives_the_whole_models_embeddings(model, clip, images):
    tokens = open_clip.SimpleTokenizer(context_length=12)(SENTENCES)
    normalised = ((images + 1) / 2 - torch.tensor(MEAN).reshape(3, 1, 1)) / torch.tensor(STD).reshape(3, 1, 1)
    with torch.no_grad():
        assert_close(clip.encode_text(SENTENCES), model.encode_text(tokens, normalize=True), atol=1e-6, rtol=0)
        assert_close(clip.encode_images(images), model.encode_image(normalised, normalize=True), atol=1e-6, rtol=0)


def test_a_pruned_file_keeps_only_the_rows_of_its_tokens(file, token_ids):
    assert file.stat().st_size < 4 * sum(p.numel() for p in open_clip.CLIP(**CONFIG).visual.parameters()) + 200_000
    assert load_clip(file).known_tokens == {*token_ids, 0, 49406, 49407}


def test_a_model_trained_on_pruned_rows_becomes_the_same_file(model, clip, token_ids, tmp_path):
    ids = sorted({*token_ids, 0, 49406, 49407})
    pruned = open_clip.CLIP(**{**CONFIG, "text_cfg": {**CONFIG["text_cfg"], "vocab_size": len(ids)}})
    state = model.state_dict()
    pruned.load_state_dict({**state, "token_embedding.weight": state["token_embedding.weight"][ids]})
    save_clip(tmp_path / "c.safetensors", pruned, CONFIG, ids, MEAN, STD)
    loaded = load_clip(tmp_path / "c.safetensors")
    assert_close(loaded.encode_text(SENTENCES), clip.encode_text(SENTENCES), atol=1e-6, rtol=0)


def test_rows_without_their_ids_are_refused(model, tmp_path):
    pruned = open_clip.CLIP(**{**CONFIG, "text_cfg": {**CONFIG["text_cfg"], "vocab_size": 5}})
    with pytest.raises(MismatchError, match="5 rows and 4 token ids"):
        save_clip(tmp_path / "c.safetensors", pruned, CONFIG, [0, 1, 49406, 49407], MEAN, STD)
    with pytest.raises(MismatchError, match="49407"):
        save_clip(tmp_path / "c.safetensors", pruned, CONFIG, [0, 1, 2, 3, 4], MEAN, STD)
    assert not list(tmp_path.iterdir())


def test_the_end_of_the_text_is_where_the_embedding_is_read(clip):
    """open_clip pools at the largest token id; a text of another length must pool at another place."""
    tokens = clip.tokenizer(["The face is smiling.", "smiling"])
    assert tokens.argmax(dim=1).tolist() == [6, 2]
    assert tokens.max() == 49407


def test_embeddings_are_unit_and_a_batch_is_its_members(clip, images):
    text, image = clip.encode_text(SENTENCES), clip.encode_images(images)
    assert text.shape == (2, 24) and image.shape == (3, 24) and clip.embed_dim == 24
    assert_close(text.norm(dim=1), torch.ones(2))
    assert_close(image.norm(dim=1), torch.ones(3))
    assert_close(image[1:2], clip.encode_images(images[1:2]), atol=1e-6, rtol=0)


def test_pictures_of_any_size_are_cropped_and_resized(clip, images):
    large = torch.nn.functional.interpolate(images, scale_factor=2, mode="nearest")
    wide = torch.nn.functional.pad(large, (20, 20, 0, 0), value=1.0)
    assert clip.image_size == 32
    assert torch.equal(clip.encode_images(large), clip.encode_images(wide))


def test_gradients_reach_the_picture_but_not_the_weights(clip, images):
    images.requires_grad_()
    (clip.encode_images(images) @ clip.encode_text(SENTENCES).T).sum().backward()
    assert images.grad is not None and images.grad.abs().sum() > 0
    assert not any(parameter.requires_grad for parameter in clip.parameters())


def test_stages_end_in_what_the_embedding_is_made_of(clip, images):
    stages = clip.stages(images)
    assert [tuple(stage.shape[1:]) for stage in stages] == [(8, 8, 8), (32, 8, 8), (64, 4, 4), (128, 2, 2), (256, 1, 1)]
    embedding = torch.nn.functional.normalize(clip.model.visual.attnpool(stages[-1]), dim=-1)
    assert torch.equal(embedding, clip.encode_images(images))


def test_metadata_comes_back(clip):
    assert clip.name == "tiny" and clip.metadata["zero_shot"] == 0.9


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_ordinary_open_clip_weights_load_by_config(model, images, tmp_path, suffix):
    path = tmp_path / f"weights{suffix}"
    if suffix == ".pt":
        torch.save({"state_dict": {f"module.{key}": value for key, value in model.state_dict().items()}}, path)
    else:
        save_file(model.state_dict(), path)
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    for config in (CONFIG, tmp_path / "config.json"):
        clip = load_clip("tiny", path, config)
        tokens = open_clip.SimpleTokenizer(context_length=12)(SENTENCES)
        with torch.no_grad():
            expected = model.encode_text(tokens, normalize=True)
        assert_close(clip.encode_text(SENTENCES), expected, atol=1e-6, rtol=0)
    assert clip.known_tokens is None and clip.unknown_words("anything at all") == []


def test_a_model_is_found_by_open_clips_own_name(monkeypatch, model, tmp_path):
    monkeypatch.setattr(open_clip, "list_models", lambda: ["Tiny", "Tiny-quickgelu"])
    monkeypatch.setattr(open_clip, "get_model_config", lambda name: dict(CONFIG))
    save_file(model.state_dict(), tmp_path / "w.safetensors")
    with pytest.warns(UserWarning, match="Tiny-quickgelu"):
        assert not is_quick(load_clip("Tiny", tmp_path / "w.safetensors"))


def is_quick(clip):
    return type(clip.model.transformer.resblocks[0].mlp.gelu).__name__ == "QuickGELU"


@pytest.mark.parametrize(
    ("name", "file_name", "argument", "quick"),
    [
        ("Tiny", "rn50.openai.safetensors", None, True),
        ("Tiny-quickgelu", "w.safetensors", None, True),
        ("Tiny", "w.safetensors", True, True),
        ("Tiny", "rn50.openai.safetensors", False, False),
        ("Other", "w.safetensors", None, False),
    ],
)
def test_quick_gelu_is_forced_for_openai_weights(model, tmp_path, name, file_name, argument, quick):
    save_file(model.state_dict(), tmp_path / file_name)
    assert is_quick(load_clip(name, tmp_path / file_name, CONFIG, quick_gelu=argument)) is quick


def test_unknown_words_are_named_and_punctuation_is_not(clip):
    assert clip.unknown_words("The Blorping cartoon, blorping face is zany!?") == ["blorping", "zany"]
    with pytest.warns(UserWarning, match="'zany'"):
        clip.encode_text(["The cartoon face is zany."])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clip.encode_text(SENTENCES)


@pytest.mark.parametrize("text", ["zany wumpus", "微笑", "☃☃", "!!!", "🙂"])
def test_a_text_of_unknown_words_only_is_refused_with_words_that_work(clip, text):
    with pytest.raises(InputError, match="does not know any word of .*cartoon, crying, face"):
        clip.encode_text([text])


@pytest.mark.parametrize("text", ["", "   ", "\n\t", "\x00\x01"])
def test_an_empty_text_is_refused(clip, text):
    with pytest.raises(InputError, match="text is empty"):
        clip.encode_text([text])


def test_a_long_text_is_refused_with_the_part_that_fits(clip):
    with pytest.raises(InputError, match=r"15 tokens.* 10 at most.*'(the face is ){3}the'"):
        clip.encode_text(["the face is " * 5])
    clip.encode_text(["the face is the face is the face is the"])
    with pytest.raises(InputError, match="Not even its first word"):
        clip.encode_text(["q" * 400])


def test_files_that_do_not_fit_are_refused(model, file, tmp_path):
    with pytest.raises(InputError, match="no CLIP file"):
        load_clip(tmp_path / "absent.safetensors")
    with pytest.raises(InputError, match="no CLIP weights file"):
        load_clip("RN50", tmp_path / "absent.safetensors")
    with pytest.raises(InputError, match="no model named 'RN5'"):
        load_clip("RN5", file)
    with pytest.raises(InputError, match="config .* cannot be read"):
        load_clip("x", file, tmp_path / "absent.json")
    with pytest.raises(CheckpointError, match="embed_dim"):
        load_clip("x", file, {"text_cfg": {}})

    short = rewrite(file, tmp_path / "short.safetensors", lambda tensors: tensors.pop("ln_final.bias"))
    with pytest.raises(CheckpointError, match=r"'ln_final.bias': found none, needed shape \[32\]"):
        load_clip(short)
    lost = rewrite(file, tmp_path / "lost.safetensors", lambda t: t.update(token_ids=t["token_ids"][:-1].clone()))
    with pytest.raises(CheckpointError, match="token table"):
        load_clip(lost)
    endless = rewrite(file, tmp_path / "endless.safetensors", lambda t: t["token_ids"][-1:].fill_(49_400))
    with pytest.raises(CheckpointError, match="49407, the end of a text, must be among them"):
        load_clip(endless)
    checkpoint = load_checkpoint(file, "clip")
    for colours, said in [({"mean": [0, 0]}, r"\[0, 0\] as the mean"), ({"std": [1, 0, 1]}, r"\[1, 0, 1\] as the std")]:
        metadata = {**checkpoint.metadata, **colours}
        save_checkpoint(tmp_path / "c.safetensors", "clip", checkpoint.tensors, checkpoint.architecture, **metadata)
        with pytest.raises(CheckpointError, match=said):
            load_clip(tmp_path / "c.safetensors")


def test_weights_of_another_kind_are_refused(model, file, tmp_path):
    (tmp_path / "cut.safetensors").write_bytes(file.read_bytes()[:-100])
    (tmp_path / "page.pt").write_bytes(b"<!DOCTYPE html><html>")
    save_file({"some": torch.zeros(2)}, tmp_path / "some.safetensors")
    for name in ("cut.safetensors", "page.pt", "some.safetensors"):
        with pytest.raises(CheckpointError, match=name):
            load_clip("tiny", tmp_path / name, CONFIG)
    torch.jit.script(torch.nn.Linear(2, 2)).save(tmp_path / "RN50.pt")
    with pytest.raises(CheckpointError, match="TorchScript archive.*safetensors"):
        load_clip("tiny", tmp_path / "RN50.pt", CONFIG)


def test_no_tower_is_fetched_from_elsewhere(file, monkeypatch):
    asked = {}
    monkeypatch.setattr(open_clip, "CLIP", lambda **config: asked.update(config) or 1 / 0)
    with pytest.raises(CheckpointError):
        load_clip("x", file, {**CONFIG, "vision_cfg": {"timm_model_name": "x", "timm_model_pretrained": True}})
    assert asked["vision_cfg"]["timm_model_pretrained"] is False
    for key in ("hf_model_name", "hf_tokenizer_name"):
        with pytest.raises(InputError, match="another library"):
            load_clip("x", file, {**CONFIG, "text_cfg": {key: "x"}})


def test_a_vision_transformer_has_no_stages(images, tmp_path):
    config = {**CONFIG, "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16}}
    save_file(open_clip.CLIP(**config).state_dict(), tmp_path / "vit.safetensors")
    clip = load_clip("vit", tmp_path / "vit.safetensors", config)
    assert clip.encode_images(images).shape == (3, 24)
    with pytest.raises(MismatchError, match="ResNet"):
        clip.stages(images)
