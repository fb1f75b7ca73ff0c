"""The tally: shares, intervals and agreement on answers whose count is known, and files that cannot be counted."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest
import torch
from studies import ASKED, BLUE, PROMPTS, RED, answer, draw_methods, hand_in, read_key

from lga_core import InputError
from lga_trainer import cli
from lga_trainer.metrics.agreement import alpha_interval, krippendorff_alpha
from lga_trainer.metrics.bootstrap import bootstrap_counts
from lga_trainer.study.build import make
from lga_trainer.study.tally import tally


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("evaluation")
    make(*draw_methods(folder / "clips"), folder / "study", seed=1)
    return folder / "study"


def red(pair, question):
    return RED


def blue(pair, question):
    return BLUE


def counts_of(*raters: str) -> torch.Tensor:
    """How many raters put each unit into each category; one string for each rater, "." for what it left out."""
    units = zip(*raters, strict=True)
    return torch.tensor([[column.count(category) for category in "012345"] for column in units]).double()


# Agreement


@pytest.mark.parametrize(
    ("raters", "alpha"),
    [
        (("0100000010", "1110010000"), 0.095),  # section A: two observers, two categories
        (("123321412...", "1233224125.3", ".3332342251.", "12332441251."), 0.743),  # section C
    ],
)
def test_alpha_is_that_of_krippendorffs_published_examples(raters, alpha):
    """Computing Krippendorff's Alpha-Reliability (2011)."""
    width = max(map(len, raters))
    assert round(krippendorff_alpha(counts_of(*(rater.ljust(width, ".") for rater in raters))).item(), 3) == alpha


def test_alpha_is_one_where_all_agree_and_below_zero_where_none_do():
    assert krippendorff_alpha(counts_of("0011", "0011", "0011")) == 1
    assert krippendorff_alpha(counts_of("0101", "1010")) < 0


def test_alpha_of_weighed_units_is_that_of_the_units_repeated(rng):
    counts = (rng.rand(7, 3) * 4).round() + 1
    weights = torch.tensor([2, 0, 1, 3, 1, 0, 2]).double()
    repeated = counts.repeat_interleave(weights.long(), dim=0)
    torch.testing.assert_close(krippendorff_alpha(counts, weights), krippendorff_alpha(repeated))


@pytest.mark.parametrize("raters", [("000", "000"), ("01.", "..1")], ids=["nothing varies", "one vote each"])
def test_there_is_no_alpha_where_nothing_can_be_said(raters):
    assert alpha_interval(counts_of(*raters)) is None


def test_drawing_again_is_counting_draws():
    drawn = torch.randint(7, (5, 7), generator=torch.Generator().manual_seed(3))
    counted = torch.stack([row.bincount(minlength=7) for row in drawn]).double()
    assert bootstrap_counts(7, 5, torch.Generator().manual_seed(3)).equal(counted)


# Shares


def test_shares_are_votes_for_the_first_method_question_by_question(study, tmp_path):
    def mixed(pair, question):
        return {"words": RED, "person": BLUE, "real": RED if pair["prompt"] == PROMPTS[0] else BLUE}[question]

    found = tally(study, [hand_in(tmp_path, answer(study, rater, mixed)) for rater in "AB"], tmp_path)
    assert found["methods"] == [RED, BLUE]
    assert [found["questions"][question]["share"]["mean"] for question in (*ASKED, "all")] == [1, 0, 0.5, 0.5]
    assert [found["questions"][question]["share"]["votes"] for question in (*ASKED, "all")] == [8, 8, 8, 24]
    assert [found["prompts"][prompt]["real"]["mean"] for prompt in PROMPTS] == [1, 0]
    assert found["questions"]["real"]["alpha"]["mean"] == 1
    assert found["questions"]["real"]["share"]["low"] < 0.25  # raters agree; it is the pairs that vary
    assert found["questions"]["words"]["alpha"] is None
    assert found["votes_per_pair"] == {"mean": 2, "least": 2, "most": 2}


def test_sides_do_not_matter_to_shares_and_a_leaning_to_one_is_told(study, tmp_path):
    told = answer(study, "LEFTY", red)
    for row in told["answers"]:
        row |= dict.fromkeys(ASKED, "left")
    key = read_key(study)["pairs"]
    reds = sum(key[row["pair"]][row["left"]] == RED for row in told["answers"])
    found = tally(study, [hand_in(tmp_path, told)], tmp_path)
    assert found["left"]["mean"] == found["raters"][0]["left"] == 1
    assert found["questions"]["words"]["share"]["mean"] == reds / 4
    assert "raters preferred a side" in (tmp_path / "tally.html").read_text()


def test_raters_who_see_a_part_count_with_that_part(tmp_path):
    make(*draw_methods(tmp_path / "clips"), tmp_path / "study", each=2, seed=0)
    names = list(read_key(tmp_path / "study")["pairs"])
    files = [
        hand_in(tmp_path, answer(tmp_path / "study", "A", red, pairs=names[:2])),
        hand_in(tmp_path, answer(tmp_path / "study", "B", blue, pairs=names[1:3])),
    ]
    found = tally(tmp_path / "study", files)
    assert found["questions"]["words"]["share"]["mean"] == 0.5
    assert found["votes_per_pair"] == {"mean": 1, "least": 0, "most": 2}


def test_the_interval_holds_what_raters_and_pairs_vary(study, tmp_path):
    """Raters who disagree leave it wide open; a vote that all share closes it."""
    files = [hand_in(tmp_path, answer(study, f"R{i}", red if i % 2 else blue)) for i in range(6)]
    share = tally(study, files, tmp_path)["questions"]["all"]["share"]
    assert share["mean"] == 0.5
    assert share["low"] <= 1 / 6 and share["high"] >= 5 / 6
    share = tally(study, [files[1], files[3]], tmp_path)["questions"]["all"]["share"]
    assert (share["low"], share["high"]) == (1, 1)


# Files that do not count


def change(told, **changes):
    return told | changes


def at_first(told, **changes):
    """The first pair's answers changed."""
    return told | {"answers": [told["answers"][0] | changes, *told["answers"][1:]]}


SPOILT = {
    "empty": (lambda told: b"", "is not JSON"),
    "cut short": (lambda told: json.dumps(told).encode()[:200], "is not JSON"),
    "no text": (lambda told: b"\xff\xfe\x00\x81", "is not JSON"),
    "deep": (lambda told: b"[" * 100_000, "is not JSON"),
    "a list": (lambda told: [], "not an object"),
    "another kind": (lambda told: change(told, format="notes"), "is not a file of answers"),
    "no answers": (lambda told: change(told, answers=None), "is not a file of answers"),
    "another study": (lambda told: change(told, study="abc"), "answers study 'abc'"),
    "no rater": (lambda told: change(told, rater=" "), "has no rater code"),
    "a number for a rater": (lambda told: change(told, rater=7), "has no rater code"),
    "a rater that is no code": (lambda told: change(told, rater="<i>\ud800"), "has no rater code"),
    "half done": (lambda told: change(told, answers=told["answers"][:2]), "2 of 4 pairs are answered"),
    "a question left out": (
        lambda told: change(told, answers=[*told["answers"][:3], {"pair": "p004", "left": "x", "words": "left"}]),
        "3 of 4 pairs are answered",
    ),
    "not finished": (lambda told: change(told, finished=None), "has no time of completion"),
    "a pair twice": (lambda told: change(told, answers=told["answers"][:1] * 4), "a pair twice"),
    "too many": (lambda told: change(told, answers=told["answers"] + told["answers"][:1]), "or too many"),
    "an unknown pair": (lambda told: at_first(told, pair="p999"), "is not an answer"),
    "a pair that is a list": (lambda told: at_first(told, pair=[]), "is not an answer"),
    "an unknown side": (lambda told: at_first(told, words="both"), "is not an answer"),
    "an unknown clip": (lambda told: at_first(told, left="clip"), "is not an answer"),
    "a row that is none": (lambda told: change(told, answers=[*told["answers"], 3]), "is not an answer"),
    "seconds that are none": (lambda told: at_first(told, seconds="long"), "is not an answer"),
    "endless seconds": (lambda told: at_first(told, seconds=float("inf")), "is not an answer"),
    "half a letter": (lambda told: at_first(told, words="\ud800"), "is not an answer"),
}


@pytest.mark.parametrize(("spoil", "fragment"), SPOILT.values(), ids=SPOILT)
def test_a_file_that_cannot_be_counted_is_named_and_the_others_count(spoil, fragment, study, tmp_path, capsys):
    good = hand_in(tmp_path, answer(study, "GOOD", red))
    spoilt = spoil(answer(study, "BAD", blue))
    bad = tmp_path / "answers-BAD.json"
    bad.write_bytes(spoilt if isinstance(spoilt, bytes) else json.dumps(spoilt).encode())
    found = tally(study, [good, bad], tmp_path)
    assert [row["rater"] for row in found["raters"]] == ["GOOD"]
    assert found["questions"]["all"]["share"]["mean"] == 1
    assert [row["file"] for row in found["left_out"]] == ["answers-BAD.json"]
    assert fragment in found["left_out"][0]["why"]
    assert fragment in capsys.readouterr().out
    with pytest.raises(InputError, match="None of the 1 files"):
        tally(study, [bad], tmp_path)


def test_of_a_raters_two_files_the_one_finished_later_counts_in_either_order(study, tmp_path):
    early = hand_in(tmp_path, answer(study, "r1", blue, finished="2026-01-02T00:00:00.000Z"), "answers-1.json")
    late = hand_in(tmp_path, answer(study, "R1", red, finished="2026-01-03T00:00:00.000Z"), "answers-2.json")
    for files in ([early, late], [late, early]):
        found = tally(study, files, tmp_path)
        assert [row["file"] for row in found["raters"]] == ["answers-2.json"]
        assert found["questions"]["all"]["share"]["votes"] == 12
        assert "answers-2.json counts instead" in found["left_out"][0]["why"]


def test_a_later_file_that_is_damaged_does_not_undo_the_earlier(study, tmp_path):
    whole = hand_in(tmp_path, answer(study, "R1", red), "answers-1.json")
    told = answer(study, "R1", blue, finished="2027-01-01T00:00:00.000Z")
    half = hand_in(tmp_path, told | {"answers": told["answers"][:1]}, "answers-2.json")
    assert tally(study, [whole, half], tmp_path)["questions"]["all"]["share"]["mean"] == 1


def test_a_missing_file_is_named(study, tmp_path):
    found = tally(study, [hand_in(tmp_path, answer(study, "R1", red)), tmp_path / "none.json"], tmp_path)
    assert "none.json cannot be read" in found["left_out"][0]["why"]


@pytest.mark.parametrize("key", [None, "", "[]", '{"format": "lga-study-key"}'])
def test_without_its_key_nothing_can_be_counted(key, study, tmp_path):
    if key is not None:
        (tmp_path / "key.json").write_text(key)
    with pytest.raises(InputError, match="key.json"):
        tally(tmp_path, [hand_in(tmp_path, answer(study, "R1", red))])


# What it writes


def test_the_command_prints_the_table_beside_the_papers_and_writes_every_file(study, tmp_path, capsys):
    for rater in ("R1", "R2", "R3"):
        hand_in(tmp_path / "answers", answer(study, rater, red if rater != "R3" else blue))
    (tmp_path / "answers" / "notes.json").write_text("not ours")
    assert cli.main(["study", "tally", str(study), str(tmp_path / "answers"), "--out", str(tmp_path / "tally")]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"what the words say\? \| 0\.667 \| 0\.333 \| .* \| 12 \| .* \| 0\.728 \|", printed)
    assert "0.763" in printed and "0.762" in printed
    files = {path.name: path.read_text() for path in (tmp_path / "tally").iterdir()}
    assert set(files) == {"tally.json", "tally.csv", "votes.csv", "tally.html"}
    assert json.loads(files["tally.json"])["raters"][0]["rater"] == "R1"
    shares = {(row["prompt"], row["question"]): row for row in csv.DictReader(files["tally.csv"].splitlines())}
    assert shares["", "words"]["share"] == shares[PROMPTS[1], "real"]["share"] == "0.6667"
    votes = list(csv.DictReader(files["votes.csv"].splitlines()))
    assert len(votes) == 3 * 4 * 3
    assert sum(vote["chosen"] == RED for vote in votes) == 24


def test_the_page_of_the_tally_stands_alone(study, tmp_path):
    key = (study / "key.json").read_text().replace(RED, "<i>").replace("smiling", "</table>")
    (tmp_path / "key.json").write_text(key)
    tally(tmp_path, [hand_in(tmp_path, answer(tmp_path, "R1", lambda pair, question: "<i>"))])
    page = (tmp_path / "tally.html").read_text()
    assert "<script" not in page and "<link" not in page and "src=" not in page
    assert "<i>" not in page and "&lt;i&gt;" in page
    assert "&lt;/table&gt;" in page
    assert "<svg" in page


def test_the_same_answers_give_the_same_figures(study, tmp_path):
    files = [hand_in(tmp_path, answer(study, rater, red if rater < "C" else blue)) for rater in "ABCD"]
    assert tally(study, files, tmp_path / "one") == tally(study, files[::-1], tmp_path / "other")


def test_a_folder_without_answers_is_one_line(study, tmp_path, capsys):
    assert cli.main(["study", "tally", str(study), str(tmp_path)]) == 2
    assert "There are no files called answers*.json" in capsys.readouterr().err
