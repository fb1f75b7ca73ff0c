"""Prompt sets: those that are shipped keep their promises, a person's own file is read as meant, or refused by name."""

from __future__ import annotations

import json

import pytest
from open_clip import SimpleTokenizer

from lga_core import InputError, load_domain
from lga_core.domain import read_domain
from lga_core.motion.prompts import Wording
from lga_trainer.data.prompts import KINDS, Prompt, PromptSet, load_prompts, set_names
from lga_trainer.demo.doodle.rendering.attributes import PROMPTS

SHIPPED = {
    "person": "The person is {}.",
    "cartoon": "The cartoon girl is {}.",
    "dog": "The dog is {}.",
    "cat": "The cat is {}.",
    "painting": "The person in the painting is {}.",
    "official": "The person is {}.",
    "doodle": "The cartoon face is {}.",
}
OFFICIAL = """smiling, angry, closing eyes, winking, shocked, pouting, crying, disgusted, appalled, opening mouth,
hatred, surprised, aha, annoyed, awkward, biting tongues, blank stare, confused, duck lips, incredulous, mocking,
nervous, no comment, oh no, serious, stunned, whatever, wtf"""


def words(text: str) -> str:
    return " ".join(text.lower().split()).rstrip(".")


# The sets that are shipped


def test_the_sets_of_the_five_domains_and_the_published_one_are_shipped_with_their_templates():
    assert {name: load_prompts(name).template for name in set_names()} == SHIPPED


def test_the_official_set_is_the_28_words_of_the_authors_code_and_nothing_else():
    prompts = load_prompts("official")
    assert [prompt.prompt for prompt in prompts.prompts] == " ".join(OFFICIAL.split()).split(", ")
    assert prompts.sentences == [f"The person is {prompt.prompt}." for prompt in prompts.prompts]
    assert not any(prompt.paraphrases or prompt.held_out for prompt in prompts.prompts)


@pytest.mark.parametrize("name", sorted(SHIPPED.keys() - {"official"}))
def test_every_prompt_has_words_to_train_on_and_other_words_to_measure(name):
    for prompt in load_prompts(name).prompts:
        assert prompt.paraphrases and prompt.held_out, prompt.prompt


@pytest.mark.parametrize("name", SHIPPED)
def test_no_sentence_belongs_to_two_prompts_and_none_that_measures_is_trained_on(name):
    owners: dict[str, set[str]] = {}
    for prompt in load_prompts(name).prompts:
        trained = {words(sentence) for sentence in (prompt.sentence, *prompt.paraphrases)}
        assert not trained & {words(sentence) for sentence in prompt.held_out}
        for sentence in (prompt.sentence, *prompt.paraphrases, *prompt.held_out):
            owners.setdefault(words(sentence), set()).add(prompt.prompt)
    assert not [sentence for sentence, prompts in owners.items() if len(prompts) > 1]


@pytest.mark.parametrize("name", SHIPPED)
def test_clip_can_read_every_sentence_whole(name):
    tokenizer = SimpleTokenizer()
    for prompt in load_prompts(name).prompts:
        for sentence in (prompt.sentence, *prompt.paraphrases, *prompt.held_out):
            assert 0 < len(tokenizer.encode(sentence)) <= 75


def test_the_doodle_set_is_what_the_embedded_domain_and_its_judge_know():
    prompts, card = load_prompts("doodle"), read_domain("doodle")
    assert [prompt.prompt for prompt in prompts.prompts] == list(PROMPTS)
    assert prompts.wording == Wording(card.wording.template, dict(card.wording.sentences))


# A text file


@pytest.fixture
def written(tmp_path):
    """A prompt set from a file with this text."""

    def write(text: str, name: str = "mine.txt") -> PromptSet:
        (tmp_path / name).write_bytes(text.encode())
        return load_prompts(tmp_path / name)

    return write


def test_a_text_file_has_a_prompt_a_line_other_words_after_bars_and_a_template(written):
    prompts = written("# my dog\ntemplate: The dog is {}.\n\nsmiling | grinning | happy  # two more\n ears up \n")
    assert (prompts.name, prompts.template) == ("mine", "The dog is {}.")
    assert prompts.prompts == (
        Prompt("smiling", "The dog is smiling.", ("The dog is grinning.", "The dog is happy.")),
        Prompt("ears up", "The dog is ears up."),
    )


def test_a_text_file_without_a_template_speaks_of_a_person(written):
    assert written("smiling\n").sentences == ["The person is smiling."]


def test_what_has_a_verb_of_its_own_becomes_a_sentence_as_it_does_when_it_is_used(written):
    prompts = written("has blonde hair | has golden hair\nIt is stormy\nsmiling\n")
    assert prompts.sentences == ["The person has blonde hair.", "It is stormy.", "The person is smiling."]
    assert prompts.prompts[0].paraphrases == ("The person has golden hair.",)
    fresh = Wording(prompts.template, {})
    assert prompts.sentences == [fresh.sentence(prompt.prompt) for prompt in prompts.prompts]


def test_windows_line_ends_and_byte_order_marks_are_no_part_of_a_prompt(written):
    assert written("\ufeffsmiling\r\nsad\r\n").sentences == ["The person is smiling.", "The person is sad."]


# A JSON file


def as_json(**fields) -> str:
    return json.dumps({"prompts": ["smiling"], **fields})


def test_a_json_file_may_say_everything(written):
    entry = {
        "prompt": "old",
        "sentence": "The dog is getting old.",
        "paraphrases": ["aged", "An old dog."],
        "held_out": ["elderly"],
        "kind": "look",
        "keep": 0.5,
    }
    prompts = written(as_json(name="dogs", template="The dog is {}.", prompts=[entry, "sad"]), "x.json")
    assert prompts.name == "dogs"
    old, sad = prompts.prompts
    assert old.paraphrases == ("The dog is aged.", "An old dog.")
    assert old.held_out == ("The dog is elderly.",)
    assert (old.kind, old.keep, old.keep_outside) == ("look", 0.5, KINDS["look"][1])
    assert (sad.sentence, sad.kind, sad.keep, sad.keep_outside) == ("The dog is sad.", "expression", 2.0, 6.0)


def test_phrasings_multiply_what_is_trained_on_and_not_what_measures(written):
    entry = {"prompt": "sad", "paraphrases": ["unhappy"], "held_out": ["gloomy"]}
    prompts = written(as_json(prompts=[entry], phrasings=["The person is {}.", "a {} face"]), "x.json")
    (sad,) = prompts.prompts
    assert set(sad.paraphrases) == {"a sad face", "The person is unhappy.", "a unhappy face"}
    assert sad.held_out == ("The person is gloomy.",)
    assert prompts.held_out == {"The person is gloomy.": 0}


def test_a_prompt_may_hold_braces(written):
    assert written("a {} face\nsmiling {1}\n").sentences[1] == "The person is smiling {1}."


# What is refused


def entry(**fields) -> str:
    return as_json(prompts=[{"prompt": "sad", **fields}])


BAD = {
    "empty": ("mine.txt", "", "is empty. Write one prompt a line"),
    "comments only": ("mine.txt", "# nothing\n\n", "is empty"),
    "empty list": ("x.json", as_json(prompts=[]), "is empty"),
    "twice": ("mine.txt", "smiling\nsad\nSmiling\n", "'The person is Smiling.' twice|'Smiling' twice"),
    "twice by meaning": ("mine.txt", "sad\nunhappy | sad\n", "remove one"),
    "twice in other words": ("mine.txt", "sad | gloomy\nunhappy |  Gloomy\n", "remove one"),
    "one name for two": (
        "x.json",
        as_json(prompts=["sad", {"prompt": "sad", "sentence": "It is sad."}]),
        "'sad' twice",
    ),
    "held out and trained": ("x.json", entry(paraphrases=["gloomy"], held_out=["gloomy"]), "both trains on"),
    "held out and said": ("x.json", entry(held_out=["sad"]), "both trains on"),
    "template without place": ("mine.txt", "template: The dog.\nsad\n", "needs one {}"),
    "template with two": ("mine.txt", "template: {} is {}.\nsad\n", "needs one {}"),
    "no words before the bar": ("mine.txt", "| grinning\n", "each of the prompts needs a text"),
    "binary": ("mine.txt", b"\xff\xfe\x00s", "is not a text file"),
    "not json": ("x.json", "{", "is not JSON"),
    "a list": ("x.json", "[]", "needs a JSON object with a list of 'prompts'"),
    "no prompts": ("x.json", "{}", "needs a JSON object with a list of 'prompts'"),
    "mistyped key": (
        "x.json",
        as_json(tempalte="The dog is {}."),
        "the key 'tempalte' is unknown. Use name, about, template",
    ),
    "mistyped entry": (
        "x.json",
        entry(held_outs=["x"]),
        "prompt 'sad': the key 'held_outs' is unknown. Use prompt, sentence",
    ),
    "no text": ("x.json", as_json(prompts=[{"sentence": "It is."}]), "each of the prompts needs a text 'prompt'"),
    "paraphrases no list": ("x.json", entry(paraphrases="gloomy"), "'paraphrases' needs to be a list"),
    "sentence no text": ("x.json", entry(sentence=5), "'sentence' needs to be a text"),
    "unknown kind": ("x.json", entry(kind="mood"), "must be one of expression, look, scene"),
    "kind no text": ("x.json", entry(kind=["look"]), "must be one of expression, look, scene"),
    "negative keep": ("x.json", entry(keep=-1), "keep and keep_outside need to be numbers"),
    "keep no number": ("x.json", entry(keep="much"), "keep and keep_outside need to be numbers"),
    "phrasing without place": ("x.json", as_json(phrasings=["sad"]), "'phrasings' needs to be a list of texts"),
}


@pytest.mark.parametrize(("name", "text", "words"), BAD.values(), ids=BAD)
def test_a_bad_set_is_refused_in_a_sentence_that_says_where(tmp_path, name, text, words):
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError) as caught:
        load_prompts(tmp_path / name)
    message = str(caught.value)
    assert any(part in message for part in words.split("|")), message
    assert name.split(".")[0] in message
    assert "\n" not in message


def test_a_missing_file_names_the_sets_that_there_are(tmp_path):
    with pytest.raises(InputError, match="no prompts at .*none.txt. Give one of cartoon, cat, dog"):
        load_prompts(tmp_path / "none.txt")
    with pytest.raises(InputError, match="Give one of"):
        load_prompts(tmp_path)


@pytest.mark.parametrize("place", ["sentence", "paraphrases", "held_out"])
def test_a_text_longer_than_clip_s_context_is_named_with_its_prompt_wherever_it_stands(domain_folder, place):
    clip, long = load_domain(domain_folder).clip, "smiling " * 30
    said = Prompt("smiling", **{"sentence": "smiling face.", **{place: long if place == "sentence" else (long,)}})
    with pytest.raises(InputError, match="Prompt 'smiling' of the set 'mine': The text has .* tokens"):
        PromptSet("mine", "{}", (Prompt("sad", "sad face."), said)).check_words(clip)
