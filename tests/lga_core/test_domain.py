"""A domain: what a prompt means in it, and files that must belong together."""

import json
import shutil
import warnings

import open_clip
import pytest
import torch
from torch.testing import assert_close

from lga_core import (
    CheckpointError,
    Encoder,
    Generator,
    GeneratorConfig,
    InputError,
    MismatchError,
    MotionConfig,
    MotionModel,
    frames,
    load_domain,
)
from lga_core.checkpoints.models import save_encoder, save_generator, save_motion
from lga_core.clip import save_clip
from lga_core.domain import read_domain, read_motion_card
from lga_core.faces.alignment import Framing
from lga_core.faces.detection.domain_detector import DomainDetector, save_detector
from lga_core.faces.detection.domain_networks import DetectorConfig
from lga_core.formats.fingerprints import fingerprint
from lga_core.inversion.encoder import EncoderConfig
from lga_core.latents import ModelId
from lga_core.motion.prompts import Wording

SENTENCES = {
    "smiling": "The cartoon face is smiling.",
    "closing eyes": "The cartoon face is closing its eyes.",
    "has blonde hair": "The cartoon face has blonde hair.",
    "stormy": "It is stormy.",
}
VOCABULARY = " ".join(SENTENCES.values()) + " sad furious hat ! wears"
CLIP_CONFIG = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 32, "layers": [1, 1, 1, 1], "width": 8, "head_width": 64},
    "text_cfg": {"context_length": 14, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
}
FILES = {part: f"{part}.safetensors" for part in ("generator", "encoder", "clip", "motion")}


def small_generator(seed=0, w_dim=16):
    return Generator(GeneratorConfig(32, z_dim=16, w_dim=w_dim, channel_base=256, channel_max=16), seed)


def small_encoder(w_dim=16):
    sizes = {"input_size": 32, "widths": (4, 4, 4, 4), "units": (1, 1, 1, 1), "heads": "dense", "dense_pool": 2}
    return Encoder(EncoderConfig(num_ws=8, w_dim=w_dim, **sizes)).eval()


def small_motion(code_dim=24):
    return MotionModel(MotionConfig(code_dim, num_ws=8, w_dim=16, hidden_dim=16, mapper_dim=16))


def small_clip(path, embed_dim=24):
    config = {**CLIP_CONFIG, "embed_dim": embed_dim}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = open_clip.CLIP(**config)
    save_clip(path, model, config, open_clip.SimpleTokenizer().encode(VOCABULARY), (0.5,) * 3, (0.25,) * 3)


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    generator = small_generator()
    mark = fingerprint(generator)
    save_generator(folder / FILES["generator"], generator)
    save_encoder(folder / FILES["encoder"], small_encoder(), generator_fingerprint=mark)
    save_motion(folder / FILES["motion"], small_motion(), generator_fingerprint=mark)
    small_clip(folder / FILES["clip"])
    card = {
        "name": "tiny",
        "template": "The cartoon face is {}.",
        "prompts": [{"prompt": prompt, "sentence": sentence} for prompt, sentence in SENTENCES.items()],
        "files": FILES,
        "fingerprint": mark,
    }
    (folder / "domain.json").write_text(json.dumps(card))
    return folder


@pytest.fixture
def folder(made, tmp_path):
    """A domain of one's own, to be spoilt."""
    return shutil.copytree(made, tmp_path / "domain")


@pytest.fixture(scope="module")
def domain(made):
    return load_domain(made)


@pytest.fixture
def images():
    return torch.rand(2, 3, 40, 60, generator=torch.Generator().manual_seed(0)) * 2 - 1


def spoil(folder, **changes):
    card = json.loads((folder / "domain.json").read_text())
    (folder / "domain.json").write_text(json.dumps({**card, **changes}))


@pytest.mark.parametrize(
    ("prompt", "sentence"),
    [
        ("smiling", "The cartoon face is smiling."),
        ("  Smiling. ", "The cartoon face is smiling."),
        ("closing eyes", "The cartoon face is closing its eyes."),
        ("has blonde hair", "The cartoon face has blonde hair."),
        ("stormy", "It is stormy."),
        ("sad", "The cartoon face is sad."),
        ("Sad.", "The cartoon face is Sad."),
        ("sad and furious!", "The cartoon face is sad and furious."),
        ("has a hat", "The cartoon face has a hat."),
        ("is sad", "The cartoon face is sad."),
        ("It is stormy", "It is stormy."),
        ("It is stormy.", "It is stormy."),
        ("The face wears a hat!", "The face wears a hat!"),
        ("A hat appears.", "A hat appears."),
        ("The cartoon face is smiling.", "The cartoon face is smiling."),
    ],
)
def test_a_prompt_becomes_the_sentence_it_stands_for(domain, prompt, sentence):
    assert domain.wording.sentence(prompt) == sentence


@pytest.mark.parametrize("prompt", ["", "  ", ".", "\n"])
def test_an_empty_prompt_is_refused_with_an_example(domain, prompt):
    with pytest.raises(InputError, match="empty.*'smiling'"):
        domain.embed(prompt)


@pytest.mark.parametrize("prompt", ["wumpus", "☃", "微笑", "zany, wumpus"])
def test_an_unknown_prompt_is_refused_though_its_template_is_known(domain, prompt):
    with pytest.raises(InputError, match="does not know any word"):
        domain.motion_for(prompt, torch.zeros(1, 8, 16))


def test_unknown_words_in_a_prompt_are_warned_of_once(domain):
    with pytest.warns(UserWarning, match="'wumpus'") as caught:
        domain.embed("smiling wumpus")
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        domain.embed("smiling")


def test_a_prompt_too_long_is_refused(domain):
    with pytest.raises(InputError, match="tokens"):
        domain.embed("sad " * 30)


def test_the_nearest_of_a_trained_prompt_is_itself(domain):
    assert set(domain.prompts) == set(SENTENCES)
    for prompt in SENTENCES:
        nearest = domain.wording.nearest(domain.clip, prompt)
        assert nearest[0] == (prompt, pytest.approx(1, abs=1e-5))
        assert [cosine for _, cosine in nearest] == sorted((cosine for _, cosine in nearest), reverse=True)
        assert len(nearest) == len(SENTENCES)


def test_a_picture_becomes_a_face_of_its_middle(domain, images):
    ws = domain.invert(images)
    assert ws.shape == (2, 8, 16) and not ws.requires_grad
    assert_close(ws, domain.invert(images[..., 10:50]))
    assert_close(ws[:1], domain.invert(images[:1]))


def test_the_motion_is_the_models_for_the_sentence_and_the_drawn_face(domain):
    ws = torch.randn(2, 8, 16, generator=torch.Generator().manual_seed(0))
    motion = domain.motion_for("smiling", ws, 5, strength=2.0, seed=3)
    with torch.no_grad():
        text = domain.clip.encode_text(["The cartoon face is smiling."])
        picture = domain.clip.encode_images(domain.generator.synthesis(ws))
        assert_close(motion, domain.motion(text, picture, 5, 2.0, 3))
    assert motion.shape == (2, 5, 8, 16) and motion.abs().max() > 0 and not motion.requires_grad


def test_a_clip_begins_with_the_face_itself(domain, images):
    ws = domain.invert(images[:1])
    first = next(frames(domain.generator, ws, domain.motion_for("smiling", ws, 4), chunk=1))
    with torch.no_grad():
        assert_close(first, domain.generator.synthesis(ws))


def test_an_impossible_strength_is_refused(domain):
    with pytest.raises(InputError, match="strength is nan"):
        domain.motion_for("smiling", torch.zeros(1, 8, 16), strength=float("nan"))


def test_a_domain_loads_from_its_folder_or_its_card_ready_to_use(made, domain):
    assert load_domain(str(made / "domain.json")).wording == domain.wording
    for part in (domain.generator, domain.encoder, domain.clip, domain.motion):
        assert not part.training and not any(parameter.requires_grad for parameter in part.parameters())


def test_an_absent_domain_names_the_embedded_ones(tmp_path):
    with pytest.raises(InputError, match="no domain 'horses'. Embedded: 'doodle'"):
        load_domain("horses")
    with pytest.raises(CheckpointError, match=r"domain\.json"):
        load_domain(tmp_path)


def test_an_installation_without_the_embedded_domain_says_how_to_make_it(tmp_path, monkeypatch):
    from lga_core import domain

    monkeypatch.setitem(domain.EMBEDDED, "doodle", tmp_path / "demo")
    with pytest.raises(CheckpointError, match="lga demo build"):
        load_domain("doodle")


@pytest.mark.parametrize("part", FILES)
def test_a_missing_file_is_named(folder, part):
    (folder / FILES[part]).unlink()
    with pytest.raises(CheckpointError, match=f"has no {part}: .*{part}.safetensors is missing"):
        load_domain(folder)


@pytest.mark.parametrize("part", FILES)
def test_a_file_of_another_kind_is_named(folder, part):
    other = "clip" if part != "clip" else "motion"
    shutil.copy(folder / FILES[other], folder / FILES[part])
    with pytest.raises(CheckpointError, match=f"{part}.safetensors"):
        load_domain(folder)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": 3}, "needs a text 'name', but has 3"),
        ({"fingerprint": None}, "needs a text 'fingerprint'"),
        ({"template": "The cartoon face."}, "template with one {}"),
        ({"files": {"generator": "g"}}, "file name for each of generator, encoder, clip, motion"),
        ({"prompts": []}, "needs a list of 'prompts'"),
        ({"prompts": ["smiling"]}, "'prompt' and a 'sentence'"),
        ({"files": {**FILES, "finder": 3}}, "face detector's file name"),
        ({"framing": "FFHQ"}, "numbers 'down', 'eyes' and 'mouth'"),
        ({"framing": {"down": 0.1, "eyes": 2.0}}, "numbers 'down', 'eyes' and 'mouth'"),
        ({"framing": {"down": 0.1, "eyes": 2.0, "mouth": 0}}, "above 0"),
        ({"framing": {"down": float("nan"), "eyes": 2.0, "mouth": 1.8}}, "numbers 'down', 'eyes' and 'mouth'"),
    ],
)
def test_a_card_with_a_fault_is_refused(folder, changes, said):
    spoil(folder, **changes)
    with pytest.raises(CheckpointError, match=said) as caught:
        load_domain(folder)
    assert "domain.json" in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "\x00"])
def test_a_card_that_is_no_json_object_is_refused(folder, text):
    (folder / "domain.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"domain\.json"):
        load_domain(folder)


def test_another_generator_is_noticed_by_its_fingerprint(folder):
    save_generator(folder / FILES["generator"], small_generator(seed=1))
    with pytest.raises(MismatchError, match=r"domain\.json"):
        load_domain(folder)


@pytest.mark.parametrize("part", ["encoder", "motion"])
def test_a_part_made_for_another_generator_is_noticed(folder, part):
    save, model = {"encoder": (save_encoder, small_encoder()), "motion": (save_motion, small_motion())}[part]
    save(folder / FILES[part], model, generator_fingerprint="0123456789abcdef")
    with pytest.raises(MismatchError, match=f"{part}.safetensors"):
        load_domain(folder)


def test_parts_of_other_sizes_are_noticed(folder):
    save_encoder(folder / FILES["encoder"], small_encoder(w_dim=8))
    with pytest.raises(MismatchError, match="encoder.safetensors is for 8 style vectors of width 8"):
        load_domain(folder)


def test_a_motion_for_another_clip_is_noticed(folder):
    small_clip(folder / FILES["clip"], embed_dim=32)
    with pytest.raises(MismatchError, match="embeddings of size 24, but .* of size 32"):
        load_domain(folder)


# What is said without reading a model


def test_a_domains_card_says_all_of_it_and_reads_no_weights(folder, domain):
    for part in ("generator", "encoder", "clip"):
        (folder / FILES[part]).write_text("not tensors at all")
    for path in (folder, folder / "domain.json", str(folder)):
        card = read_domain(path)
        assert card.path == folder / "domain.json"
        assert card.name == "tiny"
        assert card.wording == domain.wording
        assert card.files == {part: folder / name for part, name in FILES.items()}
        assert card.generator == ModelId(fingerprint(domain.generator), "tiny")


def test_the_embedded_domain_has_a_card_and_its_motion_model_says_the_same():
    card = read_domain("doodle")
    said = read_motion_card(card.files["motion"])
    assert card.name == "doodle"
    assert said.generator is not None and said.generator.fingerprint == card.generator.fingerprint
    assert card.motion.wording == card.wording
    assert card.motion.clip is not None


def described(path, **metadata):
    save_motion(path, small_motion(), **metadata)
    return read_motion_card(path)


WORDING = Wording("The cartoon face is {}.", SENTENCES)


def test_a_motion_model_says_what_it_was_made_with(tmp_path):
    marks = {"generator_fingerprint": "0" * 16, "generator": "doodle", "clip_fingerprint": "1" * 16, "clip": "RN50"}
    mean = [0.5] * 24
    card = described(tmp_path / "a.safetensors", **marks, **WORDING.described(), mean_picture=mean)
    assert card.wording == WORDING
    assert card.generator == ModelId("0" * 16, "doodle")
    assert card.clip == ModelId("1" * 16, "RN50")
    assert card.mean_picture is not None
    assert_close(card.mean_picture, torch.tensor([mean]))


def test_a_motion_model_that_says_nothing_gets_the_papers_sentence(tmp_path):
    card = described(tmp_path / "a.safetensors")
    assert card.wording.sentence("smiling") == "The person is smiling."
    assert not card.wording.sentences
    assert card.generator is card.clip is card.mean_picture is None
    assert described(tmp_path / "b.safetensors", clip_fingerprint="1" * 16).clip == ModelId("1" * 16, "unnamed")


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ({"template": "The person.", "prompts": []}, "exactly once"),
        ({"template": 3, "prompts": []}, "text 'template'"),
        ({"template": "The person is {}."}, "list 'prompts'"),
        ({"template": "The person is {}.", "prompts": ["smiling"]}, "'prompt' and a 'sentence'"),
        ({"mean_picture": [0.5] * 23}, "list of 24 numbers"),
        ({"mean_picture": ["0.5"] * 24}, "list of 24 numbers"),
        ({"mean_picture": 0.5}, "list of 24 numbers"),
    ],
)
def test_a_motion_model_that_says_it_wrongly_is_named(tmp_path, metadata, said):
    with pytest.raises(CheckpointError, match=f"a.safetensors: .*{said}"):
        described(tmp_path / "a.safetensors", **metadata)


def test_only_a_motion_model_has_a_motion_card(made):
    with pytest.raises(CheckpointError, match="encoder.safetensors"):
        read_motion_card(made / FILES["encoder"])


def test_words_and_generator_of_a_domain_are_its_own_and_the_clip_its_motion_models(folder):
    marks = {"clip_fingerprint": "1" * 16, "clip": "RN50", "template": "Other words: {}.", "prompts": []}
    save_motion(folder / FILES["motion"], small_motion(), **marks)
    card = read_domain(folder)
    assert card.motion.wording == card.wording
    assert card.motion.generator == card.generator
    assert card.motion.clip == ModelId("1" * 16, "RN50")


def test_a_clip_that_the_motion_model_was_not_trained_with_is_noticed(folder, domain):
    own = {"clip_fingerprint": domain.clip.fingerprint, "clip": "small"}
    save_motion(folder / FILES["motion"], small_motion(), **own)
    load_domain(folder)
    save_motion(folder / FILES["motion"], small_motion(), **{**own, "clip_fingerprint": "1" * 16})
    with pytest.raises(MismatchError) as caught:
        load_domain(folder)
    for words in ("motion.safetensors", "clip.safetensors", "'small' (1111111111111111)", domain.clip.fingerprint):
        assert words in str(caught.value)


# Where its faces are


def test_a_domain_that_says_nothing_of_its_faces_is_framed_as_ffhq_and_has_no_finder(made, domain):
    for said in (read_domain(made), domain):
        assert said.framing == Framing(0.1, 2.0, 1.8)
        assert said.detector is None


def test_a_domain_has_the_framing_and_the_finder_of_its_card(folder):
    detector = DomainDetector(DetectorConfig(((-0.3, 0.0), (0.3, 0.0), (0.0, 0.2), (-0.2, 0.5), (0.2, 0.5))))
    save_detector(folder / "finder.safetensors", detector)
    spoil(folder, files={**FILES, "finder": "finder.safetensors"}, framing={"down": -0.25, "eyes": 2, "mouth": 2.2})
    card, domain = read_domain(folder), load_domain(folder)
    assert card.framing == domain.framing == Framing(-0.25, 2, 2.2)
    assert card.detector == folder / "finder.safetensors" and "finder" not in card.files
    assert domain.detector is not None and domain.detector.config == detector.config


def test_a_finder_that_is_named_and_missing_is_noticed(folder):
    spoil(folder, files={**FILES, "finder": "finder.safetensors"})
    with pytest.raises(CheckpointError, match="has no finder: .*finder.safetensors is missing"):
        read_domain(folder)
