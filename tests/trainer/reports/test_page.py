"""The sheets and the report of a training: what they hold, for whom, and that nothing is fetched or lost."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch
from PIL import Image

from lga_core import load_domain, load_image
from lga_trainer.metrics.bootstrap import percent
from lga_trainer.reports import html
from lga_trainer.reports.contact_sheets import motion_sheet, read_layout, reconstruction_sheet, sheet, wrapped
from lga_trainer.reports.curves import read_metrics
from lga_trainer.reports.page import write_report
from lga_trainer.reports.svg_plots import amplitude_plot, curve

PROMPTS = ["smiling", "<b>sad</b> & blue", "has blonde hair"]
FACTS = {"generator": "tiny, 32 px", "licence of the generator": "MIT & more", "machine": "one core"}


@pytest.fixture(scope="module")
def faces(domain_folder):
    domain = load_domain(domain_folder)
    z = torch.randn(5, 16, generator=torch.Generator().manual_seed(0))
    ws = domain.generator.broadcast(domain.generator.mapping(z)).detach()
    return domain, ws, domain.clip.encode_images(domain.generator.synthesis(ws)).detach()


@pytest.fixture(scope="module")
def run(faces, tmp_path_factory):
    """A run's folder with a sheet, metrics and settings."""
    folder = tmp_path_factory.mktemp("run")
    domain, ws, features = faces
    text = domain.clip.encode_text(["smiling", "sad", "blonde hair"])
    motion_sheet(domain.generator.synthesis, domain.motion, ws, text, features, PROMPTS, folder / "sheet.png", size=32)
    rows = [{"step": s, "motion/total": 2 / s, "motion/path": 0.1, "lr": 1e-3, "seconds": 1.0} for s in range(1, 40)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = {"steps": 40, "losses": {"path": 1.0}, "prompts": {"sentences": ["long"] * 900}}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def row(clip: float, judge: float | None, flag: str | None = None) -> dict:
    return {"clip_top1": clip, "clip_top1_each": {"clip": clip}, "clip_rise": 0.1, "flag": flag} | {
        "judge_top1": None,
        "judge_rise": judge,
    }


def figures(judged: bool = True) -> dict:
    mean = {"mean": 0.5, "low": 0.4, "high": 0.6}
    verdicts = [0.75, 0.25, None] if judged else [None] * 3
    flags = [None, "CLIP may be <fooled>.", None] if judged else [None] * 3
    prompts = {
        name: {"sentence": f"It is {name}."} | row(0.9, verdict, flag)
        for name, verdict, flag in zip(PROMPTS, verdicts, flags, strict=True)
    }
    means = {"clip_top1": mean, "held_out_clip_top1": mean} | ({"judge_rise": mean} if judged else {})
    return {
        "num_faces": 4,
        "num_frames": 16,
        "chance": 1 / 3,
        "encoder_clip": "clip",
        "scorers": ["clip"],
        "judge": "a stub" if judged else None,
        "judge_rule": "when it likes" if judged else None,
        "means": means,
        "prompts": prompts,
        "held_out": {"It is beaming.": {"prompt": "smiling"} | row(0.6, verdicts[0])},
        "first_step_share": 0.06,
        "amplitude": {str(count): 2.0 for count in (4, 8, 16, 32, 64, 128)},
    }


class Page(HTMLParser):
    """What a page says and shows; raises AssertionError where its tags do not match."""

    EMPTY = frozenset({"meta", "img", "br", "use", "path", "defs"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open, self.text, self.images, self.tags = [], "", [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "img":
            self.images.append(dict(attrs))
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data if "style" not in self.open else ""


def written(run: Path, *args) -> Page:
    return Page(write_report(run, *args).read_text(encoding="utf-8"))


def motion_page(run: Path, judged: bool = True, notes: tuple[str, ...] = ()) -> Page:
    return written(run, "Motion for <tiny>", FACTS, figures(judged), [("Every prompt", run / "sheet.png")], notes)


def test_the_page_holds_every_prompt_figure_flag_fact_and_note(run):
    page = motion_page(run, notes=("face_7.jpg was skipped: it is damaged.",))
    said = ["Motion for <tiny>", *PROMPTS, "It is beaming.", "CLIP may be <fooled>.", "MIT & more", "one core"]
    said += ["1 of the 2 prompts known to the judge work", "face_7.jpg was skipped", "losses.path"]
    said += ["6.0 %", "75\u00a0%", "40\u00a0% to 60\u00a0%", "when it likes", "CLIP and judge disagree"]
    for words in said:
        assert words in page.text, words
    assert "long" not in page.text, "long settings are left to config.json"


def test_without_a_judge_the_page_says_that_pictures_decide(run):
    page = motion_page(run, judged=False)
    assert "CLIP recognises 3 of 3 prompts" in page.text
    assert "check the images below" in page.text
    assert "The judge" not in page.text and "Judge" not in page.text and "Disagree" not in page.text


def test_the_page_is_one_file_without_scripts_that_asks_for_nothing(run):
    page = motion_page(run)
    links = [value for _, attrs in page.tags for key, value in attrs.items() if key in ("src", "href", "xlink:href")]
    assert links and all(link.startswith(("data:image/jpeg;base64,", "#")) for link in links)
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in page.tags}
    style = (run / "report.html").read_text().split("<style>")[1].split("</style>")[0]
    assert "url(" not in style and "@import" not in style
    assert "prefers-color-scheme: dark" in style and "@media print" in style
    assert all(image["alt"] for image in page.images)


def test_every_anchor_leads_somewhere(run):
    page = motion_page(run)
    ids = {attrs["id"] for _, attrs in page.tags if "id" in attrs}
    asked = {attrs["href"][1:] for tag, attrs in page.tags if tag == "a"}
    assert asked and asked <= ids


def test_the_sheet_is_taken_apart_into_strips_and_a_row_for_the_head(run):
    page = motion_page(run)
    sizes = [(image["width"], image["height"]) for image in page.images]
    assert sizes[:4] == [("32", "32")] * 4, "before, and the prompts at their last frame"
    assert sizes[4:] == [("128", "32"), ("96", "32")] * 4, "four frames of one face, then three others"


def test_figures_are_kept_as_json(run):
    motion_page(run, notes=("a note",))
    kept = json.loads((run / "report.json").read_text())
    assert kept["figures"] == figures() and kept["facts"] == FACTS and kept["notes"] == ["a note"]
    assert kept["pictures"] == {"sheet.png": "Every prompt"} and kept["last_row"]["step"] == 39


def test_a_large_report_gets_smaller_pictures(run, monkeypatch):
    motion_page(run)
    whole = (run / "report.html").stat().st_size
    monkeypatch.setattr(html, "LIMIT", whole - 1)
    motion_page(run)
    assert (run / "report.html").stat().st_size < whole


def test_a_report_needs_neither_metrics_nor_pictures_nor_config(tmp_path):
    page = written(tmp_path, "Motion", {}, figures(), [], [])
    assert "Training curves" not in page.text and not page.images
    assert "No input was skipped" in page.text


def test_an_encoders_report_has_its_pairs_and_figures(faces, tmp_path):
    domain, ws, _ = faces
    pictures = domain.generator.synthesis(ws)
    reconstruction_sheet(pictures, pictures, tmp_path / "pairs.png", columns=3, size=32)
    found = {"mean": 21.3, "low": 20.8, "high": 21.8, "worst": 17.9}
    told = {"num_pictures": 5, "psnr": found, "l2": found, "explained": 0.87, "something_else": 3}
    page = written(tmp_path, "Encoder", FACTS, {"unseen faces": told}, [("Pairs", tmp_path / "pairs.png")], [])
    for words in ("87\u00a0% on 5 unseen faces", "20.8 to 21.8", "17.9", "something else", "reconstruction"):
        assert words in page.text, words
    sizes = [(image["width"], image["height"]) for image in page.images]
    assert sizes == [("96", "32")] * 2 + [("64", "32")] * 2, "the last rows end where the pictures do"


def test_any_other_picture_is_shown_whole(run):
    Image.new("RGB", (50, 20), "red").save(run / "other.png")
    page = written(
        run, "Motion", {}, figures(), [("Every prompt", run / "sheet.png"), ("Other", run / "other.png")], []
    )
    assert ("50", "20") in [(image["width"], image["height"]) for image in page.images]
    assert "Other" in page.text


def test_metrics_of_a_run_that_was_killed_and_went_on(tmp_path):
    path = tmp_path / "metrics.jsonl"
    rows = [{"step": step, "a/total": float(step)} for step in (20, 40, 60)]
    again = [{"step": step, "a/total": -float(step)} for step in (40, 80)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows + again) + '{"step": 100, "a/to')
    read = read_metrics(path)
    assert [(row["step"], row["a/total"]) for row in read] == [(20, 20.0), (40, -40.0), (80, -80.0)]
    assert read_metrics(tmp_path / "none.jsonl") == []


def test_plots_take_their_colours_and_letters_from_the_page():
    drawn = [curve(range(1, 6001), [1 / s for s in range(1, 6001)], "a/total"), amplitude_plot({4: 1.0, 16: 2.0})]
    for svg in drawn:
        assert "var(--clip)" in svg and "var(--muted)" in svg and "#010" not in svg
        assert not re.search(r"font(-family)?: [^;\"]*DejaVu", svg)
        assert 'role="img"' in svg and "<metadata" not in svg
        assert not re.search(r"fill: #f{6}", svg), "the page's own background"
    assert len(drawn[0]) < 40_000, "6000 points are averaged"
    assert drawn[1] == amplitude_plot({4: 2.0, 16: 4.0}) != amplitude_plot({4: 2.0, 16: 2.0}), "relative to 16 frames"


def test_a_curve_passes_over_what_is_not_finite():
    values = [1.0, float("nan"), float("inf"), 2.0]
    assert "NaN" not in curve([1, 2, 3, 4], values, "a/total")


@pytest.mark.parametrize(
    ("share", "text"), [(0, "0"), (0.001, "<\u00a01"), (0.945, "94"), (0.999, ">\u00a099"), (1, "100")]
)
def test_percent_is_never_0_or_100_for_what_is_not_quite_that(share, text):
    assert percent(share) == f"{text}\u00a0%"


def test_a_sheet_tells_where_its_pictures_are(tmp_path, rng):
    rows = [rng.rand(3, 3, 16, 16).float() * 2 - 1 for _ in range(2)]
    sheet(rows, ["one", "two"], tmp_path / "sheet.png", zoom=2, groups=[("a", 1), ("b", 2)])
    layout = read_layout(tmp_path / "sheet.png")
    assert layout is not None and layout.size == 32 and layout.captions == ("one", "two")
    assert layout.groups == (("a", 1), ("b", 2))
    assert layout.lefts[1] - layout.lefts[0] > 32 and layout.lefts[2] - layout.lefts[1] == 32
    page = load_image(tmp_path / "sheet.png")[0]
    left, top = layout.lefts[2], layout.tops[1]
    shown = page[:, top : top + 32, left : left + 32].reshape(3, 16, 2, 16, 2).mean(dim=(2, 4))
    assert (shown - rows[1][2]).abs().mean() < 0.15
    Image.new("RGB", (8, 8)).save(tmp_path / "plain.png")
    assert read_layout(tmp_path / "plain.png") is None


def test_a_motion_sheet_shows_the_faces_before_and_then_what_the_words_do(faces, tmp_path):
    domain, ws, features = faces
    sizes = []

    def draw(codes):
        sizes.append(len(codes))
        return domain.generator.synthesis(codes)

    text = domain.clip.encode_text(["smiling"])
    motion_sheet(draw, domain.motion, ws, text, features, ["smiling"], tmp_path / "sheet.png", size=32)
    layout, page = read_layout(tmp_path / "sheet.png"), load_image(tmp_path / "sheet.png")[0]
    assert layout is not None and layout.captions == ("before", "smiling") and len(layout.lefts) == 7
    assert max(sizes) <= 4, "faces are drawn a few at a time"

    def cell(r: int, c: int) -> torch.Tensor:
        return page[:, layout.tops[r] : layout.tops[r] + 32, layout.lefts[c] : layout.lefts[c] + 32]

    last = domain.motion(text, features[:4], 16)[:, -1]
    for (r, c), codes in {
        (0, 0): ws[0],
        (0, 6): ws[3],
        (1, 0): ws[0],
        (1, 3): ws[0] + last[0],
        (1, 5): ws[2] + last[2],
    }.items():
        expected = domain.generator.synthesis(codes[None])[0].clamp(-1, 1)
        assert (cell(r, c) - expected).abs().max() < 0.02, (r, c)


def test_a_motion_sheet_of_one_face_and_a_model_without_pictures(faces, tmp_path):
    domain, ws, _ = faces
    motion_sheet(
        domain.generator.synthesis,
        domain.motion,
        ws[:1],
        domain.clip.encode_text(["sad"]),
        None,
        ["sad"],
        tmp_path / "sheet.png",
        size=16,
    )
    layout = read_layout(tmp_path / "sheet.png")
    assert layout is not None and len(layout.lefts) == 4 and len(layout.groups) == 1


def test_long_captions_are_wrapped_and_cut():
    assert wrapped("The cartoon face is smiling.", 136, most=4) == ["The cartoon face", "is smiling."]
    lines = wrapped("word " * 50, 136, most=2)
    assert len(lines) == 2 and lines[1].endswith("…")
