"""StyleCLIP as a baseline: codes that are optimised, mappers, and global directions in StyleSpace."""

import re
from dataclasses import replace

import open_clip
import pytest
import torch
import torch.nn.functional as F
from factories import tiny_generator_config
from torch.testing import assert_close

from lga_core import (
    CheckpointError,
    ClipModel,
    Generator,
    GeneratorConfig,
    InputError,
    MismatchError,
    convert,
    frames,
    inspect,
    load_generator,
)
from lga_core.baselines.styleclip.channel_relevance import (
    ChannelRelevance,
    RelevanceConfig,
    measure_relevance,
    style_statistics,
    survey_resolution,
    surveyed_channels,
)
from lga_core.baselines.styleclip.global_directions import (
    BETAS,
    automatic_beta,
    imagenet_sentences,
    style_direction,
    text_direction,
)
from lga_core.baselines.styleclip.interpolation import linear_motion
from lga_core.baselines.styleclip.latent_mapper import LatentMapper, LatentMapperConfig
from lga_core.baselines.styleclip.latent_optimization import (
    OPTIMIZATIONS,
    LatentOptimization,
    clip_distance,
    clip_input,
    clip_similarity,
    learning_rate,
    optimize_latent,
)
from lga_core.checkpoints.models import load_latent_mapper, save_latent_mapper
from lga_core.stylegan2.inference.engine import prepared
from lga_core.stylegan2.stylespace import StyleSpace, generator_for_motion, is_stylespace_motion

FEW = RelevanceConfig(num_samples=50, num_faces=2, cutoff=4)


@pytest.fixture(scope="module")
def generator() -> Generator:
    config = tiny_generator_config(32, mapping_layers=2)
    return Generator(config, 3).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def clip() -> ClipModel:
    text = {"context_length": 16, "vocab_size": 49408, "width": 8, "heads": 1, "layers": 1}
    vision = {"image_size": 16, "layers": 2, "width": 16, "head_width": 8, "patch_size": 4}
    config = {"embed_dim": 8, "vision_cfg": vision, "text_cfg": text}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return ClipModel("tiny", open_clip.CLIP(**config), config, (0.5, 0.5, 0.5), (0.3, 0.3, 0.3))


@pytest.fixture(scope="module")
def space(generator) -> StyleSpace:
    return StyleSpace(generator)


@pytest.fixture
def words(clip):
    return clip.encode_text(["a smiling face"]).detach()


# Optimisation


def test_optimising_brings_clip_nearer_to_the_words_and_leaves_the_generator_alone(generator, clip, words):
    ws, settings = generator.sample([0, 1]), LatentOptimization(l2=0.0, identity=0.0, steps=40)
    before = {name: tensor.clone() for name, tensor in generator.state_dict().items()}
    offsets = optimize_latent(generator, clip, ws, words, settings)
    far = [clip_distance(clip, generator.synthesis(each), words) for each in (ws, ws + offsets)]
    assert (far[1] < 0.8 * far[0]).all()
    assert all(torch.equal(before[name], tensor) for name, tensor in generator.state_dict().items())
    assert not offsets.requires_grad


def test_each_face_is_optimised_as_if_alone(generator, clip, words):
    ws, settings = generator.sample([0, 1]), LatentOptimization(steps=5)
    identity = lambda images: images.flatten(1)  # noqa: E731
    together = optimize_latent(generator, clip, ws, words, settings, identity)
    assert_close(
        together[1:], optimize_latent(generator, clip, ws[1:], words, settings, identity), atol=1e-5, rtol=1e-4
    )


def test_the_papers_weights_hold_a_face_back_more_than_styleclips(generator, clip, words):
    ws, short = generator.sample([0]), {"steps": 60}
    paper, own = (
        optimize_latent(generator, clip, ws, words, replace(OPTIMIZATIONS[name], **short), plain)
        for name in ("paper", "styleclip")
    )
    assert paper.norm() < 0.5 * own.norm()


def plain(images):
    return images.flatten(1)


def test_the_identity_term_keeps_the_picture(generator, clip, words):
    ws, relevance_directions = generator.sample([0]), []
    for weight in (0.0, 10.0):
        settings = LatentOptimization(l2=0.0, identity=weight, steps=30)
        drawn = generator.synthesis(ws + optimize_latent(generator, clip, ws, words, settings, plain))
        relevance_directions.append(1 - F.cosine_similarity(plain(drawn), plain(generator.synthesis(ws))))
    assert relevance_directions[1] < 0.5 * relevance_directions[0]


def test_an_identity_term_without_a_network_is_left_out_and_said_so(generator, clip, words):
    ws = generator.sample([0])
    with pytest.warns(UserWarning, match="identity term is left out"):
        found = optimize_latent(generator, clip, ws, words, LatentOptimization(identity=1.0, steps=3))
    assert torch.equal(found, optimize_latent(generator, clip, ws, words, LatentOptimization(identity=0.0, steps=3)))


def test_the_first_step_goes_nowhere_and_the_rate_falls_to_almost_nothing():
    settings = LatentOptimization()
    assert learning_rate(0, settings) == 0 and learning_rate(150, settings) == 0.1
    assert 0 < learning_rate(299, settings) < 1e-4


def test_what_a_step_raises_stops_the_optimisation(generator, clip, words):
    def stop(done, drawn):
        assert drawn.shape == (1, 3, 32, 32) and not drawn.requires_grad
        if done == 2:
            raise KeyboardInterrupt
        assert done < 2

    with pytest.raises(KeyboardInterrupt):
        optimize_latent(generator, clip, generator.sample([0]), words, OPTIMIZATIONS["styleclip"], on_step=stop)


def test_it_works_where_gradients_are_switched_off_and_no_steps_change_nothing(generator, clip, words):
    ws = generator.sample([0])
    with torch.no_grad():
        assert optimize_latent(generator, clip, ws, words, LatentOptimization(l2=0, identity=0, steps=3)).any()
    assert not optimize_latent(generator, clip, ws, words, LatentOptimization(identity=0, steps=0)).any()


@pytest.mark.parametrize(("size", "target"), [(64, 224), (256, 224), (16, 224), (128, 64), (32, 32)])
def test_clips_input_is_repeated_pixels_averaged(rng, size, target):
    images = rng.randn(1, 3, size, size)
    times = target // torch.tensor(size).gcd(torch.tensor(target)).item()
    repeated = F.interpolate(images, scale_factor=times, mode="nearest")
    assert_close(clip_input(images, target), F.avg_pool2d(repeated, repeated.shape[-1] // target))


def test_clip_may_see_colours_as_it_was_trained_to(generator, clip, words):
    drawn = generator.synthesis(generator.sample([0]))
    pixels = ((clip_input(drawn, 16) + 1) / 2 - clip.mean) / clip.std
    found = clip_distance(clip, drawn, words, normalized=True)
    assert_close(found, 1 - F.normalize(clip.model.encode_image(pixels)) @ words[0])
    assert (found - clip_distance(clip, drawn, words)).abs() > 1e-4


@pytest.mark.parametrize("wrong", [{"steps": -1}, {"l2": -0.1}, {"lr": float("nan")}, {"rampdown": 0.0}])
def test_impossible_settings_are_refused_by_name(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        LatentOptimization(**wrong)


def test_words_of_another_clip_are_refused(generator, clip):
    with pytest.raises(MismatchError, match=r"\[1, 5\].*\[n 8\]"):
        optimize_latent(generator, clip, generator.sample([0]), torch.ones(1, 5))


def test_the_straight_way_begins_at_the_face_and_ends_at_the_edit(rng):
    offsets = rng.randn(2, 6, 8)
    motion = linear_motion(offsets, 16)
    assert not motion[:, 0].any() and torch.equal(motion[:, -1], offsets)
    assert_close(motion[:, 3], offsets * 3 / 15)
    assert linear_motion(offsets, 1).shape == (2, 1, 6, 8)
    with pytest.raises(InputError, match="num_frames is 0"):
        linear_motion(offsets, 0)


def test_the_similarity_of_images_and_a_text_is_the_mean_cosine(clip, rng):
    images, text = rng.rand(2, 3, 32, 32).float() * 2 - 1, F.normalize(rng.randn(1, 8).float(), dim=1)
    expected = F.cosine_similarity(clip.encode_images(images), text).mean()
    assert clip_similarity(clip, images, text) == pytest.approx(expected.item(), abs=1e-6)


# The latent mapper


def test_rows_without_a_network_of_their_own_do_not_move(rng):
    mapper = LatentMapper(LatentMapperConfig(8, ("medium",)))
    motion = mapper.motion(rng.randn(2, 12, 8).float(), 4)
    still = [row for row in range(12) if not motion[:, :, row].any()]
    assert still == [0, 1, 2, 3, 8, 9, 10, 11]


def test_a_mapper_fits_generators_with_few_rows(rng):
    assert LatentMapper(LatentMapperConfig(8))(rng.randn(1, 6, 8).float()).shape == (1, 6, 8)


def test_faces_are_mapped_as_if_alone(rng):
    mapper, ws = LatentMapper(LatentMapperConfig(8), seed=1), rng.randn(3, 12, 8).float()
    assert_close(mapper(ws)[1:2], mapper(ws[1:2]))


@pytest.mark.parametrize("levels", [(), ("fine", "coarse"), ("all", "fine"), ("hair",)])
def test_levels_that_no_mapper_has_are_refused(levels):
    with pytest.raises(ValueError, match="levels"):
        LatentMapperConfig(8, levels)


def test_a_saved_mapper_moves_as_before(tmp_path, rng):
    mapper, ws = LatentMapper(LatentMapperConfig(8, ("coarse", "fine"), 2, 0.3), 1), rng.randn(1, 12, 8).float()
    save_latent_mapper(tmp_path / "m.safetensors", mapper)
    loaded = load_latent_mapper(tmp_path / "m.safetensors")
    assert loaded.config == mapper.config and torch.equal(loaded.motion(ws), mapper.motion(ws))


def test_a_mapper_gives_its_strength_of_what_its_networks_say_and_refuses_faces_of_another_width(rng):
    mapper, ws = LatentMapper(LatentMapperConfig(8, strength=0.3), 1), rng.randn(2, 12, 8).float()
    assert_close(mapper.offsets(ws), 0.3 * mapper(ws))
    with pytest.raises(MismatchError, match="width 8, but the faces' vectors have width 16"):
        mapper.offsets(rng.randn(1, 12, 16).float())


PUBLISHED = {"coarse": "course_mapping", "medium": "medium_mapping", "fine": "fine_mapping", "all": "mapping"}


def published_mapper(mapper: LatentMapper, prefix: str = "") -> dict:
    """A mapper's tensors by the names that StyleCLIP's trainer gives them."""
    return {
        f"{prefix}mapper.{PUBLISHED[level]}.mapping.{int(layer) + 1}.{end}": tensor
        for name, tensor in mapper.state_dict().items()
        for level, layer, end in [name.split(".")]
    }


@pytest.mark.parametrize("levels", [("coarse", "medium", "fine"), ("all",), ("medium", "fine")])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_published_mapper_opens_with_its_generator(levels, prefix, tmp_path, generator):
    from foreign_files import writers

    mapper = LatentMapper(LatentMapperConfig(8, levels), seed=2)
    decoder = {f"{prefix}decoder.{name}": t for name, t in writers.rosinality_tensors(generator).items()}
    options = {"description": "a smiling face", "mapper_type": "LevelsMapper"}
    state = {"state_dict": published_mapper(mapper, prefix) | decoder, "opts": options, "latent_avg": torch.zeros(8)}
    torch.save(state, tmp_path / "m.pt")

    kinds = [model["kind"] for model in inspect(tmp_path / "m.pt")["models"]]
    assert kinds == ["latent_mapper", "generator"]
    first, second = convert(tmp_path / "m.pt")
    loaded, ws = load_latent_mapper(first), generator.sample([0])
    assert torch.equal(loaded.motion(ws), mapper.motion(ws))
    assert_close(load_generator(second).synthesis(ws), generator.synthesis(ws))


def test_a_mapper_in_style_space_and_a_damaged_one_are_refused_by_name(tmp_path):
    tensors = published_mapper(LatentMapper(LatentMapperConfig(8)))
    for name, state, said in [
        ("styles", {"mapper.mapper_0.mapping.1.weight": torch.zeros(8, 8)}, "StyleSpace"),
        ("damaged", {**tensors, "mapper.fine_mapping.mapping.2.weight": torch.zeros(4, 8)}, "another variant"),
        ("cut", dict(list(tensors.items())[:-1]), "fine.3.bias.*None"),
    ]:
        torch.save({"state_dict": state}, tmp_path / f"{name}.pt")
        with pytest.raises(CheckpointError, match=said):
            convert(tmp_path / f"{name}.pt")


# StyleSpace


@pytest.mark.parametrize("architecture", ["skip", "resnet", "orig"])
def test_the_wide_generator_draws_the_same_faces_and_edits_of_their_styles(architecture, rng):
    config = GeneratorConfig(16, w_dim=6, z_dim=8, channel_base=64, channel_max=8, architecture=architecture)
    generator = Generator(config, 4).eval().requires_grad_(False).double()
    space, ws = StyleSpace(generator), rng.randn(2, 6, 6)
    assert_close(space.wide.synthesis(space.widened(ws)), generator.synthesis(ws))

    edit = rng.randn(2, space.num_channels)
    with edited(space, edit):
        need = generator.synthesis(ws)
    assert_close(space.wide.synthesis(space.widened(ws) + space.offsets(edit)), need)


class edited:
    """The definition: a hook that adds an offset to each convolution's style."""

    def __init__(self, space, edit):
        self.parts = zip(space.convs, edit.split(space.widths, dim=1), strict=True)

    def __enter__(self):
        self.hooks = [
            conv.affine.register_forward_hook(lambda module, args, style, part=part: style + part)
            for conv, part in self.parts
        ]

    def __exit__(self, *error):
        for hook in self.hooks:
            hook.remove()


def test_styles_are_what_the_convolutions_take(generator, space):
    ws, taken = generator.sample([0]), []
    hooks = [c.affine.register_forward_hook(lambda m, a, style: taken.append(style)) for c in space.convs]
    generator.synthesis(ws)
    for hook in hooks:
        hook.remove()
    assert_close(space.styles(ws), torch.cat(taken, dim=1))


def test_a_wide_generator_is_like_any_other(generator, space):
    seen, ws = space.wide.sample([3], psi=0.5), generator.sample([3], psi=0.5)
    assert_close(seen, space.widened(ws))
    assert_close(prepared(space.wide, torch.float32)(seen), generator.synthesis(ws), atol=1e-4, rtol=1e-4)


def test_an_edit_adds_to_a_motion_in_w_plus(generator, space, rng):
    ws, motion = generator.sample([0]), rng.randn(1, 3, 8, 8).float()
    edit = linear_motion(space.offsets(rng.randn(1, space.num_channels).float()), 3)
    clip = torch.cat(list(frames(space.wide, space.widened(ws), space.widened(motion) + edit)))
    with edited(space, edit[:, 1, :, 8:].flatten()[kept(space)][None]):
        need = generator.synthesis(ws + motion[:, 1])
    assert_close(clip[1:2], need, atol=1e-4, rtol=1e-4)
    with pytest.raises(MismatchError, match="8 rows of width 16"):
        space.widened(space.widened(ws))


def kept(space):
    """Which of the wide rows' numbers are channels."""
    width = max(space.widths)
    return torch.tensor([row * width + k for row, n in enumerate(space.widths) for k in range(n)])


def test_what_draws_a_motion_is_wide_where_it_moves_styles_and_else_what_was_given(generator, space, rng):
    ws, motion = generator.sample([0]), rng.randn(1, 3, 8, 8).float()
    assert not is_stylespace_motion(generator, motion)
    assert generator_for_motion(generator, ws, motion) == (generator, ws)
    edit = linear_motion(space.offsets(rng.randn(1, space.num_channels).float()), 3)
    assert is_stylespace_motion(generator, edit)
    wide, faces = generator_for_motion(generator, ws, edit)
    assert torch.equal(faces, space.widened(ws))
    assert_close(wide.synthesis(faces + edit[:, 2]), space.wide.synthesis(faces + edit[:, 2]))
    assert not is_stylespace_motion(generator, edit[..., :-1])


# Relevance


def test_statistics_are_those_of_many_faces(generator, space):
    mean, deviation = style_statistics(space, RelevanceConfig(num_samples=5000, psi=0.7, cutoff=2))
    z = torch.randn(5000, 8, generator=torch.Generator().manual_seed(9))
    styles = space.styles(generator.truncate(generator.broadcast(generator.mapping(z)), 0.7, 2))
    assert_close(mean, styles.mean(dim=0), atol=0.1, rtol=0)
    assert_close(deviation, styles.std(dim=0), atol=0.02, rtol=0.06)


def test_a_channels_direction_is_that_of_its_pictures(generator, space, clip):
    found, channel = measure_relevance(space, clip, FEW), 11
    faces = generator.truncate(
        generator.broadcast(generator.mapping(torch.randn(2, 8, generator=torch.Generator().manual_seed(1)))), 0.7, 4
    )
    total = torch.zeros(8)
    for face in faces.split(1):
        ends = []
        for sign in (1, -1):
            edit, end = torch.zeros(1, space.num_channels), found.mean + sign * 5 * found.deviation
            edit[0, channel] = end[channel] - space.styles(face)[0, channel]
            with edited(space, edit):
                ends.append(clip.encode_images(generator.synthesis(face, max_resolution=16))[0])
        total += F.normalize(ends[0] - ends[1], dim=0)
    assert_close(found.directions[channel], F.normalize(total, dim=0), atol=1e-3, rtol=0)


def test_channels_finer_than_what_clip_sees_are_left_alone(generator, space, clip):
    assert survey_resolution(generator, clip) == 16
    channels = surveyed_channels(space, clip, FEW)
    assert len(channels) == sum(space.widths[:5]) and space.convs[5].noise_const.shape[0] == 32
    assert not measure_relevance(space, clip, FEW).directions[len(channels) :].any()


def test_a_relevance_that_was_stopped_goes_on_where_it_was(space, clip, tmp_path):
    def stop(done, total):
        if done:
            raise KeyboardInterrupt

    whole = measure_relevance(space, clip, FEW)
    with pytest.raises(KeyboardInterrupt):
        measure_relevance(space, clip, FEW, tmp_path, stop)
    steps = []
    resumed = measure_relevance(space, clip, FEW, tmp_path, lambda done, total: steps.append((done, total)))
    assert steps[0][0] == 40 and steps[-1] == (40, 40)
    assert_close(resumed.directions, whole.directions)
    measure_relevance(space, clip, FEW, tmp_path, stop)  # finished: nothing is left to do
    assert len(list(tmp_path.iterdir())) == 1


def test_a_relevance_can_be_stopped_while_faces_are_sampled(space, clip, tmp_path):
    def stop(done, total):
        assert (done, total) == (0, 40)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure_relevance(space, clip, FEW, tmp_path, stop)
    assert not list(tmp_path.iterdir())


def test_another_generator_clip_or_survey_has_a_file_of_its_own(space, clip, tmp_path):
    measure_relevance(space, clip, FEW, tmp_path)
    other = StyleSpace(Generator(space.generator.config, 5).eval().requires_grad_(False))
    measure_relevance(other, clip, FEW, tmp_path)
    measure_relevance(space, clip, RelevanceConfig(num_samples=50, num_faces=1), tmp_path)
    assert len(list(tmp_path.iterdir())) == 3


def test_a_damaged_relevance_is_refused(space, clip, tmp_path):
    measure_relevance(space, clip, FEW, tmp_path)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(CheckpointError, match=re.escape(str(path))):
        measure_relevance(space, clip, FEW, tmp_path)


# From words to an edit


def published_edit(found: ChannelRelevance, towards, beta: float):
    """The rule as published, with its division."""
    agreement = found.directions @ towards
    agreement = torch.where(agreement.abs() < beta, 0, agreement)
    return agreement / agreement.abs().max() * found.deviation


@pytest.fixture
def found(rng) -> ChannelRelevance:
    directions = F.normalize(rng.randn(60, 8), dim=1)
    return ChannelRelevance(rng.randn(60), rng.rand(60) + 0.1, directions)


def towards_(rng):
    return F.normalize(rng.randn(8), dim=0)


def test_an_edit_is_the_published_one(found, rng):
    towards = towards_(rng)
    for beta in (0.0, 0.1, 0.3):
        direction = style_direction(found, towards, beta)
        assert_close(direction.styles, published_edit(found, towards, beta))
        assert direction.beta == beta and not direction.lowered
        assert direction.num_channels == int(((found.directions @ towards).abs() >= beta).sum())


def test_a_beta_that_leaves_no_channel_makes_the_published_picture_none_and_ours_is_drawn(generator, space, clip):
    """The paper found black pictures for "crying" and "stunned": maximum of nothing, division by zero."""
    found = measure_relevance(space, clip, FEW)
    towards = text_direction(clip, ["crying"], ["a face"])
    ws, beta = space.widened(generator.sample([0])), 1.0
    published = published_edit(found, towards, beta)
    assert published.isnan().all()
    black = space.wide.synthesis(ws + space.offsets(3 * published[None]))
    assert not black.isfinite().any()

    with pytest.warns(UserWarning, match=r"beta = 1 .*lowered to 0\.\d+"):
        direction = style_direction(found, towards, beta, min_channels=7)
    assert direction.lowered and direction.asked == 1.0 and direction.num_channels == 7
    drawn = torch.cat(list(frames(space.wide, ws, direction.motion(space, 3.0, 4))))
    assert drawn.isfinite().all() and (drawn[-1] - drawn[0]).abs().max() > 0.01


def test_the_automatic_beta_is_the_largest_that_leaves_enough():
    agreement = torch.linspace(-0.3003, 0.3003, 61)
    for min_channels in (5, 20, 30):
        beta = automatic_beta(agreement, min_channels)
        left = [int((agreement.abs() >= each).sum()) for each in (beta, beta + 0.01)]
        assert left[0] > min_channels >= left[1]
    assert automatic_beta(agreement, 60) == BETAS[-1] == 0.1


def test_the_automatic_beta_is_lowered_in_silence(found, rng, recwarn):
    weak = ChannelRelevance(found.mean, found.deviation, 0.01 * found.directions)
    direction = style_direction(weak, towards_(rng), min_channels=9)
    assert direction.num_channels == 9 and not direction.lowered and not recwarn


def test_impossible_edits_are_refused(found, space, rng):
    with pytest.raises(InputError, match="beta is 2"):
        style_direction(found, towards_(rng), 2.0)
    with pytest.raises(MismatchError, match="CLIP of size 8"):
        style_direction(found, torch.ones(5))
    with pytest.raises(InputError, match="No style channel"):
        style_direction(ChannelRelevance(found.mean, found.deviation, 0 * found.directions), towards_(rng))
    direction = style_direction(found, towards_(rng))
    with pytest.raises(MismatchError, match="60 style channels"):
        direction.motion(space)
    with pytest.raises(InputError, match="alpha is nan"):
        direction.motion(space, float("nan"))


def test_alpha_is_linear_and_its_sign_turns_an_edit_round(space, rng):
    found = ChannelRelevance(*(rng.rand(space.num_channels) for _ in range(2)), rng.randn(space.num_channels, 8))
    direction = style_direction(found, towards_(rng))
    assert_close(direction.motion(space, -6.0, 5), -2 * direction.motion(space, 3.0, 5))


def test_a_text_direction_leads_from_one_mean_to_the_other(clip):
    target, neutral = imagenet_sentences("smile"), imagenet_sentences("face")
    assert len(target) == 80 and "a photo of a smile." in target
    means = [F.normalize(clip.encode_text(texts).mean(dim=0), dim=0) for texts in (target, neutral)]
    assert_close(text_direction(clip, target, neutral), F.normalize(means[0] - means[1], dim=0))
    with pytest.raises(InputError, match="has one embedding for"):
        text_direction(clip, ["a face"], ["a face"])
