"""A restricted unpickler that executes nothing: a small machine with a list of the instructions it knows.

A pickle is a program for a stack machine, and Python's own machine lets it import and call anything. This one imports
nothing, looks up no attribute and makes no object of a class from elsewhere. A name (GLOBAL, STACK_GLOBAL) is compared
with a table of the names that checkpoints need; what the table gives for it is ours. Everything else is refused by its
name, and every input is read in bounded time and memory. The instructions are those of Python's `pickletools`.
"""

from collections.abc import Callable
from mmap import mmap
from struct import unpack
from typing import Any

from ..errors import CheckpointError
from .byte_source import AGAIN, OTHER, Form, Stretch
from .pickle_values import (
    LIMITS,
    NOT_ELSEWHERE,
    Allowed,
    Call,
    Constant,
    Global,
    Limits,
    New,
    Record,
    Table,
    Unfinished,
    UnsafePickle,
    checked_keys,
    kind,
    shown,
)

Buffer = bytes | mmap


def read_pickle(
    data: Buffer,
    start: int,
    stop: int,
    where: str,
    allowed: Allowed,
    persistent: Callable[[Any], Any] | None = None,
    limits: Limits = LIMITS,
) -> tuple[Any, int]:
    """The value of the pickle that begins at `start`, and where it ends, `stop` at the latest.

    Lists, dicts, sets, tuples, numbers, text and bytes are themselves; the rest is what `allowed` makes of it.
    `persistent` gets what a BINPERSID refers to (ValueError says what is wrong with it). Values may be shared. See
    `check_tree` for what must be asked of the value before it is walked.

    Raises CheckpointError, beginning with `where`, for anything else than such a pickle.
    """
    return _Machine(data, start, stop, where, allowed, persistent, limits).run()


class _Machine:
    def __init__(
        self,
        data: Buffer,
        start: int,
        stop: int,
        where: str,
        allowed: Allowed,
        persistent: Callable[[Any], Any] | None,
        limits: Limits,
    ):
        self.data, self.at, self.stop, self.where = data, start, stop, where
        self.allowed, self.persistent, self.limits = allowed, persistent, limits
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []  # the stacks under the marks
        self.memo: dict[int, Any] = {}
        self.count = self.num_containers = self.copied = 0

    def run(self) -> tuple[Any, int]:
        began = self.at
        try:
            if self.take(1) != _PROTO:
                raise UnsafePickle("a pickle of protocol 2 or newer does not begin here", OTHER)
            self.proto()
            while self.count < self.limits.opcodes:
                self.count += 1
                began = self.at
                if began >= self.stop:
                    raise UnsafePickle("it breaks off", AGAIN)
                self.at = began + 1
                code = self.data[began]
                if code == _STOP:
                    return self.result(), self.at
                _STEPS[code](self)
            raise UnsafePickle(
                f"it has more than {self.limits.opcodes:,} instructions; no checkpoint needs so many", OTHER
            )
        except ValueError as err:
            reason, remedy = str(err), getattr(err, "remedy", OTHER)
        except (IndexError, KeyError):
            reason, remedy = "it takes up a value that is not there", OTHER
        raise CheckpointError(f"{self.where}: the pickle is refused at byte {began:,}: {reason}. {remedy}")

    def result(self) -> Any:
        if len(self.stack) != 1 or self.below:
            raise ValueError("it ends with values left over")
        return self.stack[0]

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        at = self.at
        self.at = end = at + count
        if end > self.stop:
            raise UnsafePickle(f"it breaks off: {count:,} bytes should follow, {self.stop - at:,} do", AGAIN)
        return self.data[at:end]

    def number(self, num_bytes: int) -> int:
        return int.from_bytes(self.take(num_bytes), "little")

    def pop_mark(self) -> list[Any]:
        """What was pushed since the last mark."""
        items = self.stack
        self.stack = self.below.pop()
        return items

    def unknown(self) -> None:
        code = self.data[self.at - 1]
        if code not in _REFUSED:
            raise UnsafePickle(f"there is no instruction {code:#04x}", AGAIN)
        raise ValueError(f"it uses the instruction {_REFUSED[code]}, which no checkpoint needs")

    # The whole.

    def proto(self) -> None:
        version = self.number(1)
        if not 2 <= version <= 5 or self.count:
            raise UnsafePickle(f"it announces protocol {version}; 2 to 5 are known, and one a pickle", OTHER)

    def frame(self) -> None:
        length = self.number(8)
        if length > self.stop - self.at:
            raise UnsafePickle(f"it breaks off: {length:,} bytes should follow, {self.stop - self.at:,} do", AGAIN)

    def mark(self) -> None:
        if len(self.below) >= self.limits.marks:
            raise ValueError(f"more than {self.limits.marks} marks are open at once")
        self.below.append(self.stack)
        self.stack = []

    def pop(self) -> None:
        if self.stack:
            self.stack.pop()
        else:
            self.pop_mark()

    def pop_to_mark(self) -> None:
        self.pop_mark()

    def memoize(self) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def put(self, num_bytes: int) -> None:
        index = self.number(num_bytes)
        if index > self.count:
            raise ValueError(f"it counts to value {index:,} after {self.count:,} instructions")
        self.memo[index] = self.stack[-1]

    def get(self, num_bytes: int) -> None:
        value = self.memo[self.number(num_bytes)]
        if isinstance(value, Unfinished) and value.finished is not None:
            value = value.finished
        self.stack.append(value)

    # Numbers, text, bytes.

    def signed(self, num_bytes: int) -> None:
        self.stack.append(int.from_bytes(self.take(num_bytes), "little", signed=True))

    def long(self) -> None:
        length = self.number(1)
        if length > self.limits.int_bytes:
            raise ValueError(f"an integer has {length} bytes; at most {self.limits.int_bytes} are expected")
        self.signed(length)

    def text(self, num_bytes: int) -> None:
        length = self.number(num_bytes)
        short = length <= self.limits.short_text
        self.stack.append(str(self.copy(length), "utf-8") if short else self.stretch(length, "text"))

    def bytes(self, num_bytes: int) -> None:
        length = self.number(num_bytes)
        short = length <= self.limits.short_bytes
        self.stack.append(self.copy(length) if short else self.stretch(length, "bytes"))

    def copy(self, length: int) -> "bytes":
        self.copied += length
        if self.copied > self.limits.copied_bytes:
            raise ValueError(
                f"it holds more than {self.limits.copied_bytes:,} bytes of text; no checkpoint needs so much"
            )
        return self.take(length)

    def stretch(self, length: int, form: Form) -> Stretch:
        if length > self.stop - self.at:
            raise UnsafePickle(f"it breaks off: {length:,} bytes should follow, {self.stop - self.at:,} do", AGAIN)
        self.at += length
        return Stretch(self.at - length, self.at, form)

    # Containers.

    def contain(self, container: Any) -> None:
        self.num_containers += 1
        if self.num_containers > self.limits.containers:
            raise ValueError(f"it makes more than {self.limits.containers:,} lists, dicts and tuples")
        self.stack.append(container)

    def pop_two(self) -> list[Any]:
        second, first = self.stack.pop(), self.stack.pop()
        return [first, second]

    def tuple_of_marked(self) -> None:
        self.contain(tuple(self.pop_mark()))

    def tuple_of(self, count: int) -> None:
        if len(self.stack) < count:
            raise IndexError
        items = tuple(self.stack[-count:])
        del self.stack[-count:]
        self.contain(items)

    def append(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not list:
            raise ValueError(f"it appends to {kind(target)}, not to a list")
        target += items

    def set_items(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, dict):
            raise ValueError(f"it sets entries of {kind(target)}, not of a dict")
        if len(items) % 2:
            raise ValueError("a dict gets a key without a value")
        target.update(zip(checked_keys(items[::2]), items[1::2], strict=True))

    def add_items(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not set:
            raise ValueError(f"it adds to {kind(target)}, not to a set")
        target.update(checked_keys(items))

    # Names, and what is made of them.

    def find(self, module: Any, name: Any) -> None:
        if type(module) is not str or type(name) is not str:
            raise UnsafePickle(
                f"it asks for something by {kind(module)} and {kind(name)}, not by a name", NOT_ELSEWHERE
            )
        entry = self.allowed.get((module, name))
        if entry is None:
            raise UnsafePickle(f"it asks for {shown(f'{module}.{name}')}, which no checkpoint needs", NOT_ELSEWHERE)
        self.stack.append(entry.value if isinstance(entry, Constant) else Global(module, name, entry))

    def line(self) -> str:
        limit = self.limits.name_bytes
        end = self.data.find(b"\n", self.at, min(self.at + limit, self.stop))
        if end < 0:
            raise UnsafePickle(f"a name does not end within {limit} bytes", AGAIN)
        return str(self.take(end + 1 - self.at)[:-1], "utf-8")

    def reduce(self) -> None:
        args, function = self.stack.pop(), self.stack.pop()
        if not isinstance(function, Global) or not isinstance(function.entry, Call):
            raise UnsafePickle(f"it calls {kind(function)}", NOT_ELSEWHERE)
        call = function.entry
        if type(args) is not tuple or not call.least <= len(args) <= call.most:
            raise ValueError(f"it calls {kind(function)} with other arguments than {call.least} to {call.most}")
        self.contain(call.make(*args))

    def new_object(self) -> None:
        args, cls = self.stack.pop(), self.stack.pop()
        if not isinstance(cls, Global) or not isinstance(cls.entry, New):
            raise UnsafePickle(f"it makes an instance of {kind(cls)}", NOT_ELSEWHERE)
        if type(args) is not tuple or args:
            raise ValueError(f"it makes {kind(cls)} with arguments, which that never has")
        self.contain(cls.entry.make())

    def build(self) -> None:
        state, target = self.stack.pop(), self.stack.pop()
        if isinstance(target, Unfinished):
            if target.finished is not None:
                raise ValueError("a value is built twice")
            target.finished = target.build(state)
            self.stack.append(target.finished)
        elif isinstance(target, Record | Table):
            target.build(state)
            self.stack.append(target)
        else:
            raise ValueError(f"it gives attributes to {kind(target)}")

    def refer(self) -> None:
        if self.persistent is None:
            raise ValueError("it refers to data outside of itself, as only PyTorch's own files do")
        self.stack.append(self.persistent(self.stack.pop()))


_STOP = ord(".")
_PROTO = b"\x80"

_KNOWN: dict[bytes, Callable[[_Machine], None]] = {
    b"\x80": _Machine.proto,
    b"\x95": _Machine.frame,
    b"(": _Machine.mark,
    b"0": _Machine.pop,
    b"1": _Machine.pop_to_mark,
    b"2": lambda m: m.stack.append(m.stack[-1]),
    b"\x94": _Machine.memoize,
    b"q": lambda m: m.put(1),
    b"r": lambda m: m.put(4),
    b"h": lambda m: m.get(1),
    b"j": lambda m: m.get(4),
    b"N": lambda m: m.stack.append(None),
    b"\x88": lambda m: m.stack.append(True),
    b"\x89": lambda m: m.stack.append(False),
    b"J": lambda m: m.signed(4),
    b"K": lambda m: m.stack.append(m.number(1)),
    b"M": lambda m: m.stack.append(m.number(2)),
    b"\x8a": _Machine.long,
    b"G": lambda m: m.stack.append(unpack(">d", m.take(8))[0]),
    b"\x8c": lambda m: m.text(1),
    b"X": lambda m: m.text(4),
    b"\x8d": lambda m: m.text(8),
    b"C": lambda m: m.bytes(1),
    b"B": lambda m: m.bytes(4),
    b"\x8e": lambda m: m.bytes(8),
    b")": lambda m: m.stack.append(()),
    b"\x85": lambda m: m.tuple_of(1),
    b"\x86": lambda m: m.tuple_of(2),
    b"\x87": lambda m: m.tuple_of(3),
    b"t": _Machine.tuple_of_marked,
    b"]": lambda m: m.contain([]),
    b"a": lambda m: m.append([m.stack.pop()]),
    b"e": lambda m: m.append(m.pop_mark()),
    b"}": lambda m: m.contain({}),
    b"s": lambda m: m.set_items(m.pop_two()),
    b"u": lambda m: m.set_items(m.pop_mark()),
    b"\x8f": lambda m: m.contain(set()),
    b"\x90": lambda m: m.add_items(m.pop_mark()),
    b"c": lambda m: m.find(m.line(), m.line()),
    b"\x93": lambda m: m.find(*m.pop_two()),
    b"R": _Machine.reduce,
    b"\x81": _Machine.new_object,
    b"b": _Machine.build,
    b"Q": _Machine.refer,
}
_STEPS = [_KNOWN.get(bytes([code]), _Machine.unknown) for code in range(256)]

_REFUSED = {
    ord("I"): "INT",
    ord("L"): "LONG",
    0x8B: "LONG4",
    ord("F"): "FLOAT",
    ord("S"): "STRING",
    ord("T"): "BINSTRING",
    ord("U"): "SHORT_BINSTRING",
    ord("V"): "UNICODE",
    ord("l"): "LIST",
    ord("d"): "DICT",
    ord("p"): "PUT",
    ord("g"): "GET",
    ord("i"): "INST",
    ord("o"): "OBJ",
    ord("P"): "PERSID",
    0x82: "EXT1",
    0x83: "EXT2",
    0x84: "EXT4",
    0x91: "FROZENSET",
    0x92: "NEWOBJ_EX",
    0x96: "BYTEARRAY8",
    0x97: "NEXT_BUFFER",
    0x98: "READONLY_BUFFER",
}
"""Instructions that Python's own machine has, to be refused by name."""
