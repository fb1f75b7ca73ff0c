"""A doodle in a photograph, from end to end: it does what it is told, stays who it is, and nothing else moves."""

import pytest

from lga_core import load_domain
from lga_trainer.demo.checks.photo_metrics import photo_figures
from lga_trainer.demo.doodle.domain import DOMAIN


@pytest.fixture(scope="module")
def figures():
    return photo_figures(DOMAIN, load_domain("doodle"), 2, ["smiling", "surprised", "closing eyes"])


def test_doodles_are_found_in_photographs(figures):
    assert figures.missed == 0


def test_what_the_words_name_appears_in_the_photograph(figures):
    assert (figures.rise >= 0.5).float().mean() >= 0.8


def test_they_stay_who_they_are_and_the_photograph_stays_as_it_was(figures):
    assert figures.stay.mean() < 0.1
    assert figures.outside == 0
