"""Clips: the right frames at the right times, constant memory, and never half a file."""

import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import pytest
import torch
from paths import ROOT
from PIL import Image

from lga_core import InputError, MismatchError, OutputError, load_image, write_clip
from lga_core.imaging.contact_sheets import contact_sheet, evenly, write_contact_sheet

SUFFIXES = [".mp4", ".webp", ".gif"]


def moving_square(num_frames=16, h=32, w=48, chunk=5):
    """Chunks of a white square that walks over a colourful ground; no two frames are alike."""
    ground = torch.stack(torch.meshgrid(torch.linspace(-0.8, 0.8, h), torch.linspace(-0.8, 0.8, w), indexing="ij"))
    ground = torch.cat([ground, torch.zeros(1, h, w)])
    clip = ground.repeat(num_frames, 1, 1, 1)
    for index in range(num_frames):
        clip[index, :, 8:24, index : index + 16] = 1.0
    yield from clip.split(chunk)


def read(path):
    """Frames [t h w 3] as 0..255, and the seconds at which each begins, with the end of the last one."""
    if path.suffix == ".mp4":
        with av.open(str(path)) as container:
            frames = list(container.decode(video=0))
            times = [float(frame.time) for frame in frames] + [container.duration / av.time_base]
            pixels = [torch.from_numpy(frame.to_ndarray(format="rgb24", src_colorspace="ITU709")) for frame in frames]
        return torch.stack(pixels).float(), times
    pixels, times = [], [0.0]
    with Image.open(path) as image:
        for index in range(image.n_frames):
            image.seek(index)
            rgb = image.convert("RGB")
            values = torch.frombuffer(bytearray(rgb.tobytes()), dtype=torch.uint8)
            pixels.append(values.reshape(rgb.height, rgb.width, 3))
            times.append(times[-1] + image.info["duration"] / 1000)
    return torch.stack(pixels).float(), times


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_clip_holds_its_frames(tmp_path, suffix):
    path = write_clip(tmp_path / f"clip{suffix}", moving_square(), 10)
    frames, _ = read(path)
    expected = (torch.cat(list(moving_square())).permute(0, 2, 3, 1) + 1) * 127.5
    assert frames.shape == expected.shape
    error = (frames - expected).abs().mean(dim=(1, 2, 3))
    assert error.max() < 6, error
    assert (frames[:, 12:20].mean(dim=(1, 3)).argmax(dim=1) > 0)[1:].all()  # The square walked.


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("fps", [10, 12.5, Fraction(30000, 1001)])
def test_frames_come_at_their_times(tmp_path, suffix, fps):
    _, times = read(write_clip(tmp_path / f"clip{suffix}", moving_square(), fps))
    unit = {".mp4": 1e-5, ".webp": 1e-3, ".gif": 1e-2}[suffix]
    assert times == pytest.approx([index / float(fps) for index in range(17)], abs=unit)


@pytest.mark.parametrize("suffix", [".webp", ".gif"])
def test_webp_and_gif_play_in_a_loop(tmp_path, suffix):
    with Image.open(write_clip(tmp_path / f"clip{suffix}", moving_square(), 10)) as image:
        assert image.info["loop"] == 0


def test_mp4_is_what_every_player_takes(tmp_path):
    path = write_clip(tmp_path / "clip.mp4", moving_square(), 24)
    content = path.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")  # Plays while it is still being fetched.
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt, stream.average_rate) == ("h264", "yuv420p", 24)
        assert (stream.codec_context.colorspace, stream.codec_context.color_range) == (1, 1)  # BT.709, limited


@pytest.mark.parametrize(
    ("rgb", "yuv"),
    [((0, 255, 0), (173, 42, 26)), ((255, 0, 0), (63, 102, 240)), ((255, 255, 255), (235, 128, 128))],
)
def test_mp4_colours_are_those_of_bt709(tmp_path, rgb, yuv):
    colour = (torch.tensor(rgb) / 127.5 - 1).reshape(1, 3, 1, 1).expand(2, 3, 16, 16)
    with av.open(str(write_clip(tmp_path / "clip.mp4", [colour], 10))) as container:
        planes = next(container.decode(video=0)).to_ndarray(format="yuv420p")  # y above u above v
    assert (planes[8, 8], planes[17, 8], planes[21, 8]) == pytest.approx(yuv, abs=2)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_same_frames_give_the_same_file(tmp_path, suffix):
    def content(chunk):
        return write_clip(tmp_path / f"clip{suffix}", moving_square(h=64, w=96, chunk=chunk), 10).read_bytes()

    assert len({content(chunk) for chunk in (3, 4, 16, 16, 16)}) == 1


def test_odd_sides_grow_by_their_last_row_and_column_in_mp4(tmp_path):
    with pytest.warns(UserWarning, match="47 x 31 grow to 48 x 32"):
        frames, _ = read(write_clip(tmp_path / "clip.mp4", moving_square(h=31, w=47), 10))
    assert frames.shape == (16, 32, 48, 3)
    expected = (torch.cat(list(moving_square(h=31, w=47))).permute(0, 2, 3, 1) + 1) * 127.5
    assert (frames[:, :31, :47] - expected).abs().mean() < 6
    assert (frames[:, 31, :47] - expected[:, 30]).abs().mean() < 6
    assert (frames[:, :31, 47] - expected[:, :, 46]).abs().mean() < 6
    assert read(write_clip(tmp_path / "clip.webp", moving_square(h=31, w=47), 10))[0].shape == (16, 31, 47, 3)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_one_frame_is_a_clip(tmp_path, suffix):
    frames, times = read(write_clip(tmp_path / f"clip{suffix}", moving_square(1), 10))
    assert len(frames) == 1 and times == pytest.approx([0, 0.1])


def test_still_parts_of_a_gif_do_not_flicker(tmp_path):
    frames, _ = read(write_clip(tmp_path / "clip.gif", moving_square(), 10))
    assert (frames[:, 25:] - frames[:1, 25:]).abs().mean() < 1


PEAKS = """
import resource, sys, torch
from lga_core import write_clip
def chunks(num_frames):
    ground = torch.linspace(-1, 1, 3 * 128 * 128).reshape(1, 3, 128, 128)
    for start in range(0, num_frames, 10):
        yield ground.roll(start // 10, 3).repeat(10, 1, 1, 1)
for num_frames in (50, 1200):
    for suffix in (".mp4", ".webp", ".gif"):
        write_clip(sys.argv[1] + suffix, chunks(num_frames), 10)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="resource is a Unix module")
def test_memory_does_not_grow_with_the_number_of_frames(tmp_path):
    """1,200 frames stay within 30 MB of 50 frames' peak; kept as bytes they alone would take 59 MB, as floats 236."""
    run = subprocess.run(
        [sys.executable, "-c", PEAKS, tmp_path / "clip"],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    peaks = [float(line) for line in run.stdout.split()]  # a high-water mark: it only rises
    assert peaks[-1] - peaks[2] < (30 if sys.platform == "linux" else 30 * 1024), peaks  # macOS counts in bytes.


class Interrupted(BaseException):
    """Stands for KeyboardInterrupt, which would stop the tests themselves."""


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("chunks_before", [0, 2])
@pytest.mark.parametrize("error", [Interrupted, ValueError])
def test_nothing_is_left_when_a_frame_fails(tmp_path, suffix, chunks_before, error):
    def failing():
        for index, images in enumerate(moving_square()):
            if index == chunks_before:
                raise error("stop")
            yield images

    (tmp_path / f"clip{suffix}").write_bytes(b"the clip of yesterday")
    with pytest.raises(error, match="stop"):
        write_clip(tmp_path / f"clip{suffix}", failing(), 10)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"the clip of yesterday"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_is_replaced_and_nothing_else_stays(tmp_path, suffix):
    (tmp_path / f"clip{suffix}").write_bytes(b"the clip of yesterday")
    write_clip(tmp_path / f"clip{suffix}", moving_square(), 10)
    assert [path.name for path in tmp_path.iterdir()] == [f"clip{suffix}"]
    assert len(read(tmp_path / f"clip{suffix}")[0]) == 16


def test_places_that_cannot_be_written_are_named(tmp_path, monkeypatch):
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "file").write_bytes(b"")
    for name, said in [
        ("clip.avi", "should end in one of .mp4, .webp, .gif"),
        ("clip", "should end in"),
        ("none/clip.mp4", "There is no folder"),
        ("file/clip.mp4", "There is no folder"),
        ("folder.mp4", "is a folder"),
    ]:
        with pytest.raises(OutputError, match=said):
            write_clip(tmp_path / name, moving_square(), 10)
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(OutputError, match="may not be written to"):
        write_clip(tmp_path / "clip.mp4", moving_square(), 10)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.mp4"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_full_disk_is_said_to_be_full(tmp_path, monkeypatch, suffix):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OutputError, match="No space left on device.. Make room"):
        write_clip(tmp_path / f"clip{suffix}", moving_square(), 10)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("fps", [0, -1, float("nan"), float("inf"), 1000])
def test_an_impossible_frame_rate_is_refused(tmp_path, fps):
    with pytest.raises(InputError, match=f"cannot have {fps} frames a second"):
        write_clip(tmp_path / "clip.mp4", moving_square(), fps)
    assert not list(tmp_path.iterdir())


def test_a_gif_cannot_be_faster_than_players_play_it(tmp_path):
    with pytest.raises(InputError, match="at most 50"):
        write_clip(tmp_path / "clip.gif", moving_square(), 60)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_no_frames_and_changing_frames_are_refused(tmp_path, suffix):
    with pytest.raises(InputError, match="no frames"):
        write_clip(tmp_path / f"clip{suffix}", [], 10)
    with pytest.raises(MismatchError, match="one size"):
        write_clip(tmp_path / f"clip{suffix}", [*moving_square(), *moving_square(h=16)], 10)
    assert not list(tmp_path.iterdir())


def test_chosen_frames_are_even_with_the_first_and_the_last():
    assert evenly(16, 6) == [0, 3, 6, 9, 12, 15]
    assert evenly(5, 8) == [0, 1, 2, 3, 4] and evenly(9, 1) == [0] and evenly(2000, 2) == [0, 1999]


def test_a_contact_sheet_shows_the_source_the_frames_and_the_caption():
    frames = torch.cat(list(moving_square(16, 64, 64)))
    source = torch.full((1, 3, 100, 100), -1.0)
    sheet = contact_sheet(frames, "The cartoon face is smiling.", source, count=4)
    assert sheet.width == 5 * 68 + 4
    assert sheet.getpixel((36, 36)) == (0, 0, 0)  # the source, resized to the frames
    for column, index in enumerate(evenly(16, 4)):
        colour = ((frames[index, :, 10, 10] + 1) * 127.5).round().int().tolist()
        assert sheet.getpixel((4 + 68 * (column + 1) + 10, 4 + 10)) == tuple(colour)
    caption = sheet.crop((0, 72, sheet.width, sheet.height)).convert("L")
    assert caption.getextrema()[0] < 100
    left, _, right, _ = Image.eval(caption, lambda value: 255 - value).getbbox()
    assert left >= 3 and 100 < right < sheet.width


def test_large_frames_are_scaled_down_on_a_contact_sheet():
    assert contact_sheet(torch.zeros(2, 3, 512, 1024), "wide").width == 2 * 260 + 4


@pytest.mark.parametrize(
    "caption",
    ["", "word " * 400, "x" * 5000, "微笑んでいる顔 🙂 ‏שלום", "line\nbreak\ttab\x00\x1b", "\ud800 lone surrogate", "é"],
)
def test_any_caption_fits_on_the_sheet(tmp_path, caption):
    path = write_contact_sheet(tmp_path / "sheet.png", torch.zeros(8, 3, 32, 32), caption)
    assert load_image(path).shape[-2] < 40 + 4 * 30
    assert [path.name for path in tmp_path.iterdir()] == ["sheet.png"]


def test_a_long_caption_is_wrapped_inside_the_sheet():
    sheet = contact_sheet(torch.zeros(4, 3, 64, 64), "an expression that takes many words to say " * 20)
    margin = sheet.crop((sheet.width - 4, 72, sheet.width, sheet.height)).convert("L")
    assert margin.getextrema() == (255, 255)


def test_a_contact_sheet_is_a_png_in_a_folder_that_exists(tmp_path):
    with pytest.raises(OutputError, match=r"\.png"):
        write_contact_sheet(tmp_path / "sheet.jpg", torch.zeros(1, 3, 8, 8), "")
    with pytest.raises(OutputError, match="no folder"):
        write_contact_sheet(tmp_path / "none" / "sheet.png", torch.zeros(1, 3, 8, 8), "")
