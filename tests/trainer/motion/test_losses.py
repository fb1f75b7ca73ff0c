"""The losses of a motion's training: equal to the authors' published code, to their equations as plain loops, and with
the properties that their docstrings promise."""

import math
import re

import pytest
import torch
from open_clip import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD
from torch.nn.functional import normalize

from lga_trainer.data.augmentation import augment, official_view, sample_augmentations
from lga_trainer.motion import losses

GOLDEN = pytest.mark.golden("training losses")


def unit(x):
    return normalize(x, dim=-1)


def gradient(loss, x):
    """d loss / d x by automatic differentiation."""
    x = x.clone().requires_grad_()
    return torch.autograd.grad(loss(x), x)[0]


# Against the authors' code


def by_number(golden, pattern):
    """Stored tensors whose whole name matches `pattern`, with the number in it; at least one."""
    found = [(name, match[1]) for name in golden.names if (match := re.fullmatch(pattern, name))]
    assert found, f"{golden} has nothing like {pattern}"
    return found


def check(golden, name, actual):
    """As golden.check; small elements may be off by as much as the largest one."""
    limits = golden.tolerance()
    expected = golden[name]
    atol = max(limits["atol"], limits["rtol"] * expected.abs().max().item())
    torch.testing.assert_close(actual, expected, rtol=limits["rtol"], atol=atol)


@GOLDEN
def test_the_official_contrast_is_the_reference_in_value_and_gradient(golden):
    images, texts = golden["image_features"], golden["text_features"]
    for name, temperature in by_number(golden, r"contrastive_t([\d.]+)"):

        def loss(features, temperature=float(temperature)):
            own = torch.arange(len(features))
            return losses.contrastive_official(unit(features), unit(texts), own, temperature)

        check(golden, name, loss(images))
        check(golden, f"{name}_grad_image_features", gradient(loss, images))


@GOLDEN
def test_the_cosine_is_the_reference(golden):
    images, texts = unit(golden["image_features"]), unit(golden["text_features"])
    own = torch.arange(len(images))
    check(golden, "cosine_list", losses.cosine(images, texts, own))
    check(golden, "cosine_single_text", losses.cosine(images, texts[:1], own * 0))


@GOLDEN
@pytest.mark.parametrize(
    "named, loss",
    [("2rd", losses.smoothness), ("reg", losses.w_reg_first_last), ("1st", losses.first_difference)],
    ids=["second difference", "first and last", "first difference"],
)
def test_the_losses_of_offsets_are_the_reference(golden, named, loss):
    for name, num_frames in by_number(golden, rf"loss_{named}_n(\d+)"):
        check(golden, name, loss(golden[f"deltas_n{num_frames}"]))


@GOLDEN
def test_what_the_official_view_shows_to_clip_is_the_reference(golden):
    mean, std = (torch.tensor(x).view(1, 3, 1, 1) for x in (OPENAI_DATASET_MEAN, OPENAI_DATASET_STD))
    seen = official_view(golden["image"], 224, mean, std)
    assert seen.shape == (*golden["image"].shape[:2], 224, 224)
    check(golden, "preprocessed_corner", seen[:, :, ::32, ::32])


# Against their equations


@pytest.fixture
def told(rng):
    """Features [3 c] of pictures, sentences [5 c], and which of them is each picture's."""
    return unit(rng.randn(3, 8)), unit(rng.randn(5, 8)), torch.tensor([4, 0, 2])


def similarities(features, sentences):
    return [[sum(a * b for a, b in zip(f, s, strict=True)) for s in sentences.tolist()] for f in features.tolist()]


def test_contrastive_is_minus_the_log_of_the_true_sentence_s_share(told):
    features, sentences, true = told
    rows = [[math.exp(s / 0.1) for s in row] for row in similarities(features, sentences)]
    terms = [-math.log(row[k] / sum(row)) for row, k in zip(rows, true.tolist(), strict=True)]
    assert losses.contrastive(features, sentences, true, 0.1).item() == pytest.approx(sum(terms) / 3)


def test_the_official_contrast_counts_the_true_sentence_among_the_others(told):
    features, sentences, true = told
    rows = list(zip(similarities(features, sentences), true.tolist(), strict=True))
    terms = [math.log(1 + sum(math.exp((s - row[k]) / 0.1) for s in row)) for row, k in rows]
    assert losses.contrastive_official(features, sentences, true, 0.1).item() == pytest.approx(sum(terms) / 3)


def test_where_every_picture_is_its_sentence_contrast_is_zero_and_the_official_form_log_2():
    features, true = torch.eye(6).double(), torch.arange(6)
    assert losses.contrastive(features, features, true).item() == pytest.approx(0, abs=1e-4)
    assert losses.contrastive_official(features, features, true).item() == pytest.approx(math.log(2), abs=1e-4)
    assert losses.cosine(features, features, true).item() == pytest.approx(0, abs=1e-12)


def test_the_official_gradient_is_a_known_part_of_infonce_s(told):
    """(1 + S) / (2 + S) of it, S being the sum over the others: 0.5 to 1."""
    features, sentences, true = (told[0][:1], told[1], told[2][:1])
    ours = gradient(lambda f: losses.contrastive(f, sentences, true, 0.5), features)
    theirs = gradient(lambda f: losses.contrastive_official(f, sentences, true, 0.5), features)
    cosines = (features @ sentences.T)[0]
    others = ((cosines - cosines[true]) / 0.5).exp().sum().item() - 1
    torch.testing.assert_close(theirs, ours * (1 + others) / (2 + others))


def test_a_sentence_that_is_no_one_s_pushes_all_the_same(told):
    """Negatives are free: all of the vocabulary, and not only the batch's."""
    features, sentences, true = told
    few = losses.contrastive(features, sentences[true], torch.arange(3))
    assert losses.contrastive(features, sentences, true) > few


@pytest.fixture
def motion(rng):
    return rng.randn(2, 5, 3, 4)


def squares(x):
    return sum(value**2 for value in x.flatten().tolist())


def test_w_reg_summed_is_equation_9(motion):
    """Sum over frames of the squared distance to the source, of every sample."""
    total = sum(squares(frame) for clip in motion for frame in clip)
    assert losses.w_reg(motion, "sum").item() == pytest.approx(total)


def test_w_reg_is_a_mean_over_elements_summed_over_frames(motion):
    per_frame = [squares(motion[:, t]) / motion[:, t].numel() for t in range(5)]
    assert losses.w_reg(motion).item() == pytest.approx(sum(per_frame))
    assert losses.latent_reg(motion).item() == pytest.approx(sum(per_frame))


def test_sums_are_as_many_times_the_means_as_the_paper_s_size_says():
    """36 864 and 18 432 at 18 rows of 512 and four frames."""
    steady, bent = torch.ones(1, 4, 18, 512), torch.tensor([0.0, 1.0, 0.0, 1.0]).view(1, 4, 1, 1).expand(1, 4, 18, 512)
    assert losses.w_reg(steady, "sum").item() / (losses.w_reg(steady) / 4).item() == pytest.approx(36_864)
    assert losses.smoothness(bent, "sum").item() / losses.smoothness(bent).item() == pytest.approx(18_432)


def test_first_and_last_alone_decide_the_official_w_reg(motion, rng):
    value = losses.w_reg_first_last(motion)
    assert value.item() == pytest.approx(squares(motion[:, 4] - motion[:, 0]) / 24)
    assert losses.w_reg_first_last(motion, "sum").item() == pytest.approx(squares(motion[:, 4] - motion[:, 0]))
    motion[:, 1:4] = rng.randn(2, 3, 3, 4)
    assert losses.w_reg_first_last(motion) == value


def test_path_is_equation_10(motion):
    """Squared differences of successive steps, frames 1 to T - 2."""
    steps = [motion[:, t + 1] - motion[:, t] for t in range(4)]
    bends = [squares(after - before) for before, after in zip(steps, steps[1:], strict=False)]
    assert losses.smoothness(motion, "sum").item() == pytest.approx(sum(bends))
    assert losses.smoothness(motion).item() == pytest.approx(sum(bends) / (2 * 3 * 12))


def test_a_straight_even_path_costs_nothing_and_a_pause_does(rng):
    even = rng.randn(2, 1, 3, 4) + torch.arange(6).view(1, 6, 1, 1) * rng.randn(2, 1, 3, 4)
    assert losses.smoothness(even).item() == pytest.approx(0, abs=1e-24)
    assert losses.smoothness(even[:, [0, 1, 2, 2, 3, 4]]) > 0.01
    assert losses.first_difference(even) > 0.01


def test_first_difference_is_the_squared_step(motion):
    steps = sum(squares(motion[:, t + 1] - motion[:, t]) for t in range(4))
    assert losses.first_difference(motion, "sum").item() == pytest.approx(steps)
    assert losses.first_difference(motion).item() == pytest.approx(steps / (2 * 4 * 12))
    assert losses.first_difference(motion[:, :1].expand(-1, 5, -1, -1)) == 0


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("loss", [losses.w_reg, losses.w_reg_first_last, losses.smoothness, losses.first_difference])
def test_a_motion_of_twice_the_size_costs_four_times_as_much(motion, loss, reduction):
    torch.testing.assert_close(loss(2 * motion, reduction), 4 * loss(motion, reduction))


# Likely faces


def faces_along(rng, *scales, n=4000):
    """W whose directions, turned at random, vary so much."""
    turn = torch.linalg.qr(rng.randn(len(scales), len(scales)))[0]
    return rng.randn(n, len(scales)) * torch.tensor(scales).double() @ turn.T, turn


def test_whitened_faces_vary_alike_in_every_direction_they_vary_in(rng):
    w, turn = faces_along(rng, 3.0, 2.0, 1.0, 0.0)
    white = w @ losses.covariance_power(w, floor=0.0001, power=-0.5) @ turn
    used = torch.cov(w.T).trace() / 3
    torch.testing.assert_close(torch.cov(white.T)[:3, :3] / used, torch.eye(3).double(), atol=0.01, rtol=0)


def test_colouring_undoes_whitening(rng):
    w, _ = faces_along(rng, 3.0, 1.0, 0.1)
    product = losses.covariance_power(w, power=0.5) @ losses.covariance_power(w, power=-0.5)
    torch.testing.assert_close(product, torch.eye(3).double())


def test_unlikeliness_is_the_mahalanobis_length_of_the_last_offset(rng):
    w, _ = faces_along(rng, 2.0, 1.0, 0.5)
    motion = rng.randn(2, 4, 6, 3)
    white = losses.covariance_power(w, floor=0.0, power=-0.5)
    inverse = torch.linalg.inv(torch.cov(w.T) / (torch.cov(w.T).trace() / 3))
    lengths = [(row @ inverse @ row).item() / 3 for row in motion[:, -1].reshape(-1, 3)]
    assert losses.w_mahalanobis(motion, white).item() == pytest.approx(sum(lengths) / len(lengths))


def test_where_no_face_varies_costs_a_hundred_times_more(rng):
    w, turn = faces_along(rng, 1.0, 1.0, 1.0, 0.0)
    white = losses.covariance_power(w, power=-0.5)
    usual, strange = (losses.w_mahalanobis(turn[:, i].view(1, 1, 1, 4), white).item() for i in (0, 3))
    assert strange / usual == pytest.approx(100, rel=0.1)


# Pictures


def test_pixels_is_a_weighted_l1_of_each_sample(rng):
    ours, theirs, weight = rng.rand(2, 3, 4, 4), rng.rand(2, 3, 4, 4), rng.rand(2, 1, 4, 4)
    expected = sum(
        abs((ours - theirs)[n, c, y, x].item()) * weight[n, 0, y, x].item()
        for n in range(2) for c in range(3) for y in range(4) for x in range(4)
    )  # fmt: skip
    assert losses.masked_l1(ours, theirs, weight).item() == pytest.approx(expected / 96)


def test_identity_is_one_minus_the_cosine(rng):
    ours = unit(rng.randn(3, 8))
    assert losses.identity(ours, ours).item() == pytest.approx(0)
    assert losses.identity(ours, -ours).item() == pytest.approx(2)


# Looks


def test_a_look_that_changes_nothing_shows_the_picture_itself(rng):
    pictures = rng.rand(2, 3, 16, 16) * 2 - 1
    plain = torch.tensor([1.0, 0, 0, 0, 1, 0, 1, 0, 0, 0]).expand(2, 10)
    torch.testing.assert_close(augment(pictures, plain), pictures, atol=1e-6, rtol=0)


def test_a_mirrored_tinted_look_is_the_mirrored_tinted_picture(rng):
    pictures = rng.rand(1, 3, 16, 16) * 0.5
    look = torch.tensor([[-1.0, 0, 0, 0, 1, 0, 1.1, 0.1, 0.0, -0.1]])
    expected = pictures.flip(3) * 1.1 + torch.tensor([0.1, 0.0, -0.1]).view(1, 3, 1, 1)
    torch.testing.assert_close(augment(pictures, look), expected, atol=1e-6, rtol=0)


def test_looks_differ_from_picture_to_picture_keep_the_range_and_let_gradients_through(rng):
    pictures = (rng.rand(1, 3, 16, 16) * 2 - 1).expand(4, -1, -1, -1).float().requires_grad_()
    views = augment(pictures, sample_augmentations(4, torch.Generator().manual_seed(0)), size=8)
    assert views.shape == (4, 3, 8, 8)
    assert views.abs().max() <= 1
    assert not torch.allclose(views[0], views[1], atol=0.05)
    assert torch.autograd.grad(views.sum(), pictures)[0].abs().sum() > 0


def test_half_of_all_looks_are_mirrored_and_none_is_far_off():
    looks = sample_augmentations(2000, torch.Generator().manual_seed(0))
    across = looks[:, 0]
    assert 0.45 < (across < 0).float().mean() < 0.55
    zoom = looks[:, :2].norm(dim=1)
    assert 0.75 - 1e-4 <= zoom.min() < 0.76 and 1.09 < zoom.max() <= 1.1 + 1e-4
    assert looks[:, 6].sub(1).abs().max() < 0.5


def test_tones_hold_coarse_colours_and_let_shapes_change():
    sources = torch.zeros(2, 3, 64, 64)
    darker, moved = sources - 0.5, sources.clone()
    moved[:, :, ::2], moved[:, :, 1::2] = 0.5, -0.5  # as large a change, none of it coarse
    held = torch.tensor([1.0, 0.0])
    assert losses.coarse_color_l1(darker, sources, held).item() == pytest.approx(0.25)  # the second sample is not held
    assert losses.coarse_color_l1(moved, sources, held).item() == pytest.approx(0, abs=1e-6)
