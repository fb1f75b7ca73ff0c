"""Pictures: every mode arrives in the right colours, and whatever is no picture gets one clear line."""

import io
import random
import struct
import zlib

import pytest
import torch
from PIL import Image
from torch.testing import assert_close

from lga_core import InputError, load_image
from lga_core.imaging.images import fit_square, to_nchw, to_nhwc, to_uint8

RED = (200, 40, 60)


def one_colour(image, tmp_path, suffix=".png", **options):
    """The colour, 0..255, that the middle of a saved picture is read as."""
    image.save(tmp_path / f"picture{suffix}", **options)
    return middle(tmp_path / f"picture{suffix}")


def middle(path):
    images = load_image(path)
    n, c, h, w = images.shape
    assert (n, c) == (1, 3) and images.dtype == torch.float32 and images.is_contiguous()
    return ((images[0, :, h // 2, w // 2] + 1) * 127.5).tolist()


def test_black_is_minus_one_and_white_is_one(tmp_path):
    assert one_colour(Image.new("RGB", (8, 8), "black"), tmp_path) == [0, 0, 0]
    assert one_colour(Image.new("RGB", (8, 8), "white"), tmp_path) == [255, 255, 255]


@pytest.mark.parametrize(
    ("mode", "suffix", "colour", "expected"),
    [
        ("RGB", ".png", RED, RED),
        ("1", ".png", 1, (255, 255, 255)),
        ("L", ".png", 77, (77, 77, 77)),
        ("LA", ".png", (100, 255), (100, 100, 100)),
        ("RGBA", ".png", (*RED, 255), RED),
        ("RGBA", ".webp", (*RED, 0), (255, 255, 255)),
        ("RGBA", ".png", (0, 0, 0, 51), (204, 204, 204)),
        ("LA", ".png", (0, 51), (204, 204, 204)),
        ("CMYK", ".jpg", (0, 255, 255, 0), (255, 0, 0)),
        ("YCbCr", ".jpg", (76, 85, 255), (254, 0, 0)),
        ("I;16", ".png", 32768, (127.5, 127.5, 127.5)),
        ("I;16", ".png", 200, (0.78, 0.78, 0.78)),
        ("I", ".tif", 65535, (255, 255, 255)),
        ("I", ".tif", 51, (51, 51, 51)),
        ("F", ".tif", 0.5, (127.5, 127.5, 127.5)),
        ("F", ".tif", 51.0, (51, 51, 51)),
        ("F", ".tif", float("nan"), (0, 0, 0)),
    ],
)
def test_each_mode_arrives_in_its_colours(tmp_path, mode, suffix, colour, expected):
    found = one_colour(Image.new(mode, (16, 16), colour), tmp_path, suffix)
    assert found == pytest.approx(expected, abs=2 if suffix == ".jpg" else 0.01)


def test_palette_pictures_with_and_without_a_transparent_entry(tmp_path):
    image = Image.new("P", (8, 8), 1)
    image.putpalette([0, 0, 0, *RED])
    assert one_colour(image, tmp_path) == pytest.approx(RED)
    assert one_colour(image, tmp_path, transparency=1) == [255, 255, 255]
    assert one_colour(image, tmp_path, ".gif") == pytest.approx(RED)


def test_rgb_with_one_transparent_colour(tmp_path):
    assert one_colour(Image.new("RGB", (8, 8), RED), tmp_path, transparency=RED) == [255, 255, 255]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_stands_upright_whatever_its_exif(tmp_path, orientation):
    upright = Image.new("L", (12, 8))
    upright.paste(255, (0, 0, 3, 2))
    turned = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # EXIF orientation -> the transposition it undoes
    stored = upright.transpose(turned[orientation]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "turned.png", exif=exif)
    expected = to_nchw(torch.frombuffer(bytearray(upright.tobytes()), dtype=torch.uint8).reshape(1, 8, 12, 1) / 255)
    assert_close(load_image(tmp_path / "turned.png"), expected)


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
def test_an_animated_file_gives_its_first_frame(tmp_path, suffix):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("white", "black")]
    assert one_colour(frames[0], tmp_path, suffix, save_all=True, append_images=frames[1:]) == [255, 255, 255]


def test_any_size_even_one_pixel(tmp_path):
    Image.new("RGB", (1, 500), RED).save(tmp_path / "thin.png")
    assert load_image(tmp_path / "thin.png").shape == (1, 3, 500, 1)


def png_header(width, height):
    """A PNG that says it is huge, in 57 bytes."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    idat = b"IDAT"
    return (
        b"\x89PNG\r\n\x1a\n"
        + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
        + struct.pack(">I", 0) + idat + struct.pack(">I", zlib.crc32(idat))
    )  # fmt: skip


def picture_bytes(kind):
    out = io.BytesIO()
    Image.effect_noise((64, 64), 50).convert("RGB").save(out, kind)
    return out.getvalue()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", r"empty file \(0 bytes\)"),
        (b"not a picture at all", "not a picture that can be read. Give a PNG"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n", "PostScript"),
        (picture_bytes("PNG")[:-2000], "damaged or cut short"),
        (picture_bytes("JPEG")[:1000], "damaged or cut short"),
        (picture_bytes("TIFF")[:500], "damaged or cut short|not a picture"),
        (png_header(30_000, 10), "30000 x 10 pixels; a side may have 16384"),
        (png_header(30_000, 30_000), r"too large to be a face \(Image size \(900000000 pixels\)"),
        (png_header(0, 10), "damaged|not a picture"),
    ],
)
def test_what_is_no_picture_gets_one_clear_line(tmp_path, content, said):
    path = tmp_path / "bad.png"
    path.write_bytes(content)
    with pytest.raises(InputError, match=said) as caught:
        load_image(path)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)


@pytest.mark.parametrize(("name", "said"), [(".", "is a folder"), ("none.png", "no file at"), ("x" * 999, "long")])
def test_a_path_without_a_picture_gets_one_clear_line(tmp_path, name, said):
    with pytest.raises(InputError, match=said):
        load_image(tmp_path / name)


def test_a_forbidden_file_is_said_to_be_forbidden(tmp_path, monkeypatch):
    def forbidden(*_, **__):
        raise PermissionError(13, "Permission denied")

    (tmp_path / "secret.png").write_bytes(picture_bytes("PNG"))
    monkeypatch.setattr(Image, "open", forbidden)
    with pytest.raises(InputError, match="permission denied"):
        load_image(tmp_path / "secret.png")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
def test_damaged_files_never_end_in_another_error(tmp_path, kind):
    chance = random.Random(0)
    whole = picture_bytes(kind)
    path = tmp_path / "damaged"
    for _ in range(60):
        damaged = bytearray(whole[: chance.randrange(1, len(whole))] if chance.random() < 0.3 else whole)
        for _ in range(chance.randrange(1, 8)):
            damaged[chance.randrange(min(len(damaged), 300))] = chance.randrange(256)
        path.write_bytes(damaged)
        try:
            images = load_image(path)
        except InputError:
            continue
        assert images.shape[:2] == (1, 3)


def test_outside_and_inside_shapes_are_inverses():
    images = torch.rand(2, 3, 4, 5, dtype=torch.float64) * 2 - 1
    assert to_nhwc(images).shape == (2, 4, 5, 3)
    assert_close(to_nchw(to_nhwc(images)), images)
    assert to_nhwc(images * 9).min() == 0 and to_nhwc(images * 9).max() == 1


def test_alpha_is_laid_on_white_and_grey_has_three_channels():
    assert_close(to_nchw(torch.tensor([0.0, 0.0, 0.0, 0.25]).reshape(1, 1, 1, 4)), torch.full((1, 3, 1, 1), 0.5))
    assert_close(to_nchw(torch.full((1, 2, 2, 1), 0.25)), torch.full((1, 3, 2, 2), -0.5))


def test_bytes_are_rounded_and_clamped():
    images = torch.tensor([-2.0, -1.0, 0.0, 1.0, 3.0, 2 * 100.4 / 255 - 1]).reshape(6, 1, 1, 1).expand(6, 3, 1, 1)
    assert to_uint8(images)[:, 0, 0, 0].tolist() == [0, 0, 128, 255, 255, 100]


def test_a_square_is_the_middle_resized():
    images = torch.zeros(1, 3, 40, 100)
    images[..., 30:70] = 1.0
    assert_close(fit_square(images, 10), torch.ones(1, 3, 10, 10))
    noise = torch.randn(1, 3, 160, 160, generator=torch.Generator().manual_seed(0))
    assert fit_square(noise, 20).std() < 0.25  # averaged over 8 x 8 pixels, not picked from among them
    square = torch.rand(1, 3, 16, 16)
    assert torch.equal(fit_square(square, 16), square)
