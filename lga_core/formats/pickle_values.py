"""What a pickle's names and values become here: inert records and tables of our own, and the limits that they keep."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .byte_source import Stretch

NOT_ELSEWHERE = "Do not open this file with other programs: it may run code there."


@dataclass(frozen=True)
class Limits:
    """What a pickle may cost. NVIDIA's of 380 MB has 40,000 instructions, a table of 70,000 faces 2.3 million."""

    opcodes: int = 3_000_000
    containers: int = 1_000_000
    depth: int = 64
    """Of containers and records in each other."""
    marks: int = 256
    int_bytes: int = 16
    name_bytes: int = 256
    short_bytes: int = 4096
    """Bytes longer than this stay in the file as a Stretch, as text longer than `short_text` does."""
    short_text: int = 128 << 10
    copied_bytes: int = 32 << 20
    """Of all the shorter bytes and texts together."""


LIMITS = Limits()


class UnsafePickle(ValueError):
    """What is wrong with a pickle, and what to do about it. The machine adds where; a plain ValueError will do too."""

    def __init__(self, reason: str, remedy: str):
        super().__init__(reason)
        self.remedy = remedy


class Record:
    """What an instance of somebody's class was: the names of its class, and what it was made of. It can do nothing."""

    __slots__ = ("args", "module", "name", "state")

    def __init__(self, module: str, name: str, args: tuple[Any, ...] = (), state: Any = None):
        self.module, self.name, self.args, self.state = module, name, args, state

    def __repr__(self) -> str:
        return f"<Record {shown(self.module)}.{shown(self.name)}>"

    def build(self, state: Any) -> "Record":
        """BUILD: the attributes, once."""
        if self.state is not None:
            raise ValueError("an object gets its attributes twice")
        if type(state) is not dict or not all(type(name) is str for name in state):
            raise ValueError("the attributes of an object are not a table of names")
        self.state = state
        return self


class Table(dict[Any, Any]):
    """A dict that was an OrderedDict or an EasyDict. The attributes of a state dict, its versions, are dropped."""

    __slots__ = ()

    def build(self, state: Any) -> "Table":
        """BUILD, as torch's state dicts have it."""
        if not (isinstance(state, dict) and set(state) == {"_metadata"} and isinstance(state["_metadata"], dict)):
            raise ValueError("a table gets attributes that no state dict has")
        return self


class Unfinished:
    """A value that needs a BUILD before it is one: `build` returns the value, which then stands for this everywhere."""

    __slots__ = ("finished",)

    def __init__(self) -> None:
        self.finished: Any = None

    def build(self, state: Any) -> Any:
        raise NotImplementedError


@dataclass(frozen=True)
class Call:
    """A name that REDUCE may be used on. `make` gets the arguments, of which there are `least` to `most`."""

    make: Callable[..., Any]
    least: int
    most: int


@dataclass(frozen=True)
class New:
    """A class that NEWOBJ may be used on, without arguments."""

    make: Callable[[], Any]


@dataclass(frozen=True)
class Constant:
    """A name that stands for a value."""

    value: Any


Allowed = Mapping[tuple[str, str], Call | New | Constant]


class Global:
    """A name met in a pickle that may be called: only ever compared, never looked up."""

    __slots__ = ("entry", "module", "name")

    def __init__(self, module: str, name: str, entry: Call | New):
        self.module, self.name, self.entry = module, name, entry


def shown(text: object, limit: int = 80) -> str:
    """Text from a file, fit to stand in a message: short, and without characters that do something to a screen."""
    text = text if isinstance(text, str) else repr(text)
    safe = text if text.isascii() and text.isprintable() else ascii(text)
    return safe if len(safe) <= limit else safe[:limit] + "..."


def checked_keys(keys: list[Any]) -> list[Any]:
    """Only text and 64-bit integers are hashed: what they cost is known. Raises ValueError for others."""
    for key in keys:
        if type(key) is not str and (type(key) is not int or not -(1 << 63) <= key < 1 << 63):
            raise ValueError(f"a key is {kind(key)}; only text and 64-bit integers are keys")
    return keys


def same(value: Any, expected: Any) -> bool:
    """Whether a value is this one, of the same type. Nothing from a file is compared otherwise: a tensor cannot be."""
    if type(value) is not type(expected):
        return False
    if type(value) is tuple:
        return len(value) == len(expected) and all(same(a, b) for a, b in zip(value, expected, strict=True))
    return value == expected


def kind(value: Any) -> str:
    """What a value is, in words, without a look inside."""
    if isinstance(value, Global):
        return shown(f"{value.module}.{value.name}")
    if isinstance(value, Stretch):
        return f"{value.stop - value.start:,} bytes of {'data' if value.form == 'bytes' else 'text'}"
    return f"a {type(value).__name__}"
