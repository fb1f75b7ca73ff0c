"""Sets of prompts: what a motion model is trained to do, in which words, and with which words it is only measured.

Sets that come with the trainer lie in prompt_sets/ as JSON:

    {
      "name": "dog",
      "template": "The dog is {}.",                  the sentence around a bare prompt
      "phrasings": ["The dog is {}.", "{}"],         optional: other ways to put any word in training
      "prompts": [
        {"prompt": "smiling",
         "sentence": "The dog is smiling.",          optional, else the template's
         "paraphrases": ["grinning"],                words that mean the same, or full sentences ending with a full stop
         "held_out": ["beaming"],                    never trained on: they tell how far the model generalises
         "kind": "expression",                       or look (hair, age) or scene (weather)
         "keep": 2.0, "keep_outside": 6.0}           optional, else the kind's: see `Prompt`
      ]
    }

A plain text file will do as well: one prompt a line, words that mean the same after bars, and the template on a line of
its own:

    template: The dog is {}.
    smiling | grinning
    ears up
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lga_core import ClipModel, InputError
from lga_core.motion import Wording

SETS = Path(__file__).parent / "prompt_sets"
PLAIN_TEMPLATE = "The person is {}."
KINDS: Mapping[str, tuple[float, float]] = {"expression": (2.0, 6.0), "look": (1.0, 1.0), "scene": (1.0, 0.0)}
"""How much of the picture stays under a prompt of each kind, on the face and around it: see `Prompt`."""


@dataclass(frozen=True)
class Prompt:
    """Something to do, the sentence that says it, and others that mean the same.

    `paraphrases` are trained on, `held_out` never. `keep` weighs the pixel term on the face and `keep_outside` around
    it: an expression leaves the background alone, weather does not.
    """

    prompt: str
    sentence: str
    paraphrases: tuple[str, ...] = ()
    held_out: tuple[str, ...] = ()
    kind: str = "expression"
    keep: float = KINDS["expression"][0]
    keep_outside: float = KINDS["expression"][1]


@dataclass(frozen=True)
class PromptSet:
    """The prompts of one training. Raises InputError where two say the same, or none says anything."""

    name: str
    template: str
    prompts: tuple[Prompt, ...]

    def __post_init__(self) -> None:
        if not self.prompts:
            raise InputError(f"The prompt set '{self.name}' is empty. Write one prompt a line, such as 'smiling'.")
        if self.template.count("{}") != 1:
            raise InputError(f"The template {self.template!r} of '{self.name}' needs one {{}}, where the prompt goes.")
        self._check_that_each_says_its_own()
        trained = {_heard(sentence) for prompt in self.prompts for sentence in (prompt.sentence, *prompt.paraphrases)}
        for sentence in self.held_out:
            if _heard(sentence) in trained:
                raise InputError(
                    f"The prompt set '{self.name}' both trains on {sentence!r} and holds it out. A sentence that "
                    "measures must not be trained on: remove it from one of the two."
                )

    def _check_that_each_says_its_own(self) -> None:
        """By its name, its sentence, or in other words."""
        said: dict[str, int] = {}
        for index, prompt in enumerate(self.prompts):
            for text in (prompt.prompt, prompt.sentence, *prompt.paraphrases, *prompt.held_out):
                other = said.setdefault(_heard(text), index)
                if other != index:
                    raise InputError(
                        f"The prompt set '{self.name}' says {text!r} twice, under {self.prompts[other].prompt!r} and "
                        f"{prompt.prompt!r}. Two prompts that mean one thing work against each other: remove one."
                    )

    @property
    def wording(self) -> Wording:
        return Wording(self.template, {prompt.prompt: prompt.sentence for prompt in self.prompts})

    @property
    def sentences(self) -> list[str]:
        """The trained sentences, one a prompt, in order."""
        return [prompt.sentence for prompt in self.prompts]

    @property
    def held_out(self) -> dict[str, int]:
        """Sentences that are never trained on -> the number of the prompt that each means."""
        return {sentence: index for index, prompt in enumerate(self.prompts) for sentence in prompt.held_out}

    def check_words(self, clip: ClipModel) -> None:
        """Raise InputError, naming the prompt, if CLIP cannot read a sentence (too long, or unknown words only)."""
        for prompt in self.prompts:
            for sentence in (prompt.prompt, prompt.sentence, *prompt.paraphrases, *prompt.held_out):
                try:
                    clip.check_text(sentence)
                except InputError as err:
                    raise InputError(f"Prompt {prompt.prompt!r} of the set '{self.name}': {err}") from err


def _heard(text: str) -> str:
    """What is left of a text when case, spaces and the full stop do not count."""
    return " ".join(text.lower().split()).rstrip(".")


def set_names() -> list[str]:
    """Names of the sets that come with the trainer."""
    return sorted(path.stem for path in SETS.glob("*.json"))


def load_prompts(name_or_path: str | Path) -> PromptSet:
    """The set of this name, or of this file (.json, or a text file).

    Raises InputError for a file that is missing, empty or not a prompt set, naming the line or entry.
    """
    name = str(name_or_path)
    path = SETS / f"{name}.json" if name in set_names() else Path(name_or_path)
    if not path.is_file():
        raise InputError(
            f"There are no prompts at {path}. Give one of {', '.join(set_names())}, or a file with one prompt a line."
        )
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as err:
        raise InputError(f"{path} is not a text file ({err.reason}). Save it as UTF-8, one prompt a line.") from err
    return _from_json(path, text) if path.suffix == ".json" else _from_lines(path, text)


def _from_lines(path: Path, text: str) -> PromptSet:
    template, entries = PLAIN_TEMPLATE, []
    for line in filter(None, (line.split("#")[0].strip() for line in text.splitlines())):
        if line.lower().startswith("template:"):
            template = line.split(":", 1)[1].strip()
            continue
        prompt, *paraphrases = [part.strip() for part in line.split("|")]
        entries.append({"prompt": prompt, "paraphrases": [part for part in paraphrases if part]})
    return _prompt_set(path, {"name": path.stem, "template": template, "prompts": entries})


def _from_json(path: Path, text: str) -> PromptSet:
    try:
        described = json.loads(text)
    except ValueError as err:
        raise InputError(f"{path} is not JSON ({err}). Correct it, or write a text file, one prompt a line.") from err
    if not isinstance(described, dict) or not isinstance(described.get("prompts"), list):
        raise InputError(f"{path} needs a JSON object with a list of 'prompts' in it.")
    return _prompt_set(path, {"name": path.stem, "template": PLAIN_TEMPLATE, **described})


_SET = ("name", "about", "template", "phrasings", "prompts")
_ENTRY = ("prompt", "sentence", "paraphrases", "held_out", "kind", "keep", "keep_outside")


def _prompt_set(path: Path, described: dict[str, Any]) -> PromptSet:
    if unknown := [key for key in described if key not in _SET]:
        raise InputError(f"{path}: the key {unknown[0]!r} is unknown. Use {', '.join(_SET)}.")
    template = described["template"]
    if not isinstance(template, str) or template.count("{}") != 1:
        raise InputError(f"{path}: the template is {template!r}; it needs one {{}}, where the prompt goes.")
    phrasings = described.get("phrasings", [template])
    if not _is_texts(phrasings) or not all(phrasing.count("{}") == 1 for phrasing in phrasings):
        raise InputError(f"{path}: 'phrasings' needs to be a list of texts, each with one {{}} for the prompt.")
    prompts = [_prompt(path, entry, template, phrasings) for entry in described["prompts"]]
    return PromptSet(str(described["name"]), template, tuple(prompts))


def _prompt(path: Path, entry: Any, template: str, phrasings: list[str]) -> Prompt:
    entry = {"prompt": entry} if isinstance(entry, str) else entry
    if not isinstance(entry, dict) or not isinstance(entry.get("prompt"), str) or not entry["prompt"].strip():
        raise InputError(f"{path}: each of the prompts needs a text 'prompt', but one is {entry!r}.")
    where = f"{path}, prompt {entry['prompt']!r}"
    if unknown := [key for key in entry if key not in _ENTRY]:
        raise InputError(f"{where}: the key {unknown[0]!r} is unknown. Use {', '.join(_ENTRY)}.")
    for key in ("paraphrases", "held_out"):
        if not _is_texts(entry.get(key, [])):
            raise InputError(f"{where}: {key!r} needs to be a list of texts.")
    if not isinstance(entry.get("sentence", ""), str):
        raise InputError(f"{where}: 'sentence' needs to be a text.")
    kind = entry.get("kind", "expression")
    if kind not in list(KINDS):
        raise InputError(f"{where}: the kind is {kind!r}; it must be one of {', '.join(KINDS)}.")
    keep, keep_outside = (entry.get(key, KINDS[kind][i]) for i, key in enumerate(("keep", "keep_outside")))
    if not all(isinstance(x, (int, float)) and 0 <= x < 1e6 for x in (keep, keep_outside)):
        raise InputError(f"{where}: keep and keep_outside need to be numbers, not negative.")
    sentence = entry.get("sentence") or Wording(template, {}).sentence(entry["prompt"])
    spoken = [entry["prompt"]] if sentence == template.replace("{}", entry["prompt"]) else []
    others = _sentences([*spoken, *entry.get("paraphrases", [])], phrasings)
    return Prompt(
        prompt=entry["prompt"],
        sentence=sentence,
        paraphrases=tuple(other for other in others if other != sentence),
        held_out=tuple(_sentences(entry.get("held_out", []), [template])),
        kind=kind,
        keep=float(keep),
        keep_outside=float(keep_outside),
    )


def _sentences(words: list[str], phrasings: list[str]) -> list[str]:
    """Each word in each phrasing, but what ends with a full stop as it is; each once."""
    wordings = [Wording(phrasing, {}) for phrasing in phrasings]
    spoken = [[word] if word.endswith(".") else [wording.sentence(word) for wording in wordings] for word in words]
    return list(dict.fromkeys(sentence for variants in spoken for sentence in variants))


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) and text.strip() for text in value)
