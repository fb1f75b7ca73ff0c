"""Good files changed at random, and random streams of instructions. By hand, for as long as one likes:

    python fuzzing.py --seconds 3600 [--seed 0] [--out found]

What ends in something else than success or a CheckpointError, or takes too long, is kept in `found/`, from where the
hostile suite takes it.
"""

from __future__ import annotations

import argparse
import os
import pickletools
import random
import resource
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from foreign_files.assembler import Code, pickled, torch_zip
from foreign_files.hostile_layouts import KINDS, good
from foreign_files.opening import MAX_BYTES, MAX_SECONDS, memory, open_whatever
from foreign_files.trees import inside, thawed, tree, written

from lga_core import CheckpointError

FOUND = Path(__file__).parent / "found"
NUMBERS = (0, 1, -1, 2, 4, 5, 127, 128, 255, 256, 1 << 15, 1 << 16, (1 << 31) - 1, 1 << 31, 1 << 40, 1 << 62, 1 << 63)


# Bytes.


def change_bytes(content: bytes, rng: random.Random) -> bytes:
    """A few small changes anywhere."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
        at, span = rng.randrange(len(data) + 1), rng.choice((1, 1, 2, 4, 8, 64))
        match rng.randrange(6):
            case 0:
                data[at : at + 1] = bytes(byte ^ 1 << rng.randrange(8) for byte in data[at : at + 1])
            case 1:
                data[at : at + span] = bytes(rng.randrange(256) for _ in range(span))
            case 2:
                del data[at : at + span]
            case 3:
                data[at:at] = data[at : at + span] * rng.randrange(1, 4)
            case 4:
                size = rng.choice((1, 2, 4, 8))
                data[at : at + size] = (rng.choice(NUMBERS) % (1 << 8 * size)).to_bytes(size, "little")
            case 5:
                source = rng.randrange(len(data) + 1)
                data[at : at + span] = data[source : source + span]
    return bytes(data[: rng.randrange(len(data) + 1)] if rng.random() < 0.1 else data)


# Instructions.


def instructions(pickle: bytes) -> list[bytes]:
    """A pickle's instructions, without its frames, its end and long texts; values are remembered without a number."""
    found, starts = [], [(op.name, at) for op, _, at in pickletools.genops(pickle)]
    for (step, at), (_, following) in pairwise(starts):
        if step in ("BINPUT", "LONG_BINPUT"):
            found.append(b"\x94")
        elif step in ("BINUNICODE", "BINUNICODE8") and following - at > 5000:
            found.append(b"X\x01\x00\x00\x00x")
        elif step not in ("PROTO", "FRAME"):
            found.append(pickle[at:following])
    return found


@lru_cache
def parts(kind: str) -> tuple[list[bytes], Callable[[bytes], bytes]]:
    """The instructions of the value in a good file, and how a file is made of other instructions."""
    content = good(kind)
    if kind in ("zip", "pti"):
        import io
        import zipfile

        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            prefix = archive.namelist()[0].split("/")[0]
            pickle = archive.read(f"{prefix}/data.pkl")
            keys = {name.rpartition("/")[2]: archive.read(name) for name in archive.namelist() if "/data/" in name}
        return instructions(pickle), lambda code: torch_zip(Code(code), keys)
    if kind == "legacy":
        ends = [0]
        for _ in range(5):
            ends.append(ends[-1] + 1 + max(at for _, _, at in pickletools.genops(content[ends[-1] :])))
        value, rest = content[ends[3] : ends[4]], content[ends[4] :]
        return instructions(value), lambda code: content[: ends[3]] + b"\x80\x02" + code + b"." + rest
    return instructions(content), lambda code: b"\x80\x04" + code + b"."


@lru_cache
def pool() -> list[bytes]:
    """Instructions to put elsewhere: each kind that the good files hold, and some that they do not."""
    plain = [b"N", b"\x88", b"\x89", b")", b"]", b"}", b"\x8f", b"(", b"0", b"1", b"2", b"t", b"R", b"b", b"\x81", b"Q"]
    plain += [b"\x85", b"\x86", b"\x87", b"a", b"e", b"s", b"u", b"\x90", b"\x94", b"\x93", b"G" + bytes(8)]
    numbers = [b"\x8a\x09" + number.to_bytes(9, "little", signed=True) for number in NUMBERS]
    names = [b"X\x01\x00\x00\x00" + name for name in (b"0", b"1", b"9")]
    every = {piece for kind in PICKLES for piece in parts(kind)[0] if len(piece) < 200}
    return plain * 8 + numbers * 2 + names + sorted(every)


PICKLES = tuple(kind for kind in KINDS if kind not in ("npy", "npz", "safetensors"))


def change_instructions(kind: str, rng: random.Random) -> bytes:
    """A good file whose value is made by a few other instructions."""
    steps, assemble = parts(kind)
    steps = list(steps)
    for _ in range(rng.choice((1, 1, 2, 4, 8))):
        at, span = rng.randrange(len(steps)), rng.choice((1, 1, 1, 2, 5))
        match rng.randrange(6):
            case 0:
                steps[at] = rng.choice(pool())
            case 1:
                steps[at : at + span] = [b""]
            case 2:
                steps.insert(at, rng.choice(pool()))
            case 3:
                other = rng.randrange(len(steps))
                steps[at], steps[other] = steps[other], steps[at]
            case 4:
                steps[at:at] = steps[at : at + span]
            case 5:
                steps[at] = steps[at][:1] + change_bytes(steps[at][1:], rng)
    return assemble(b"".join(steps))


def random_instructions(kind: str, rng: random.Random) -> bytes:
    """A file of this kind made of instructions drawn from the pool."""
    steps = [rng.choice(pool()) for _ in range(rng.choice((3, 10, 30, 100)))]
    return parts(kind)[1](b"".join(steps))


# Values: what a layout is told of its tensors and numbers.


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every place for a value in a tree: the container and the key."""
    found: list[tuple[Any, Any]] = []
    parts = inside(value)
    keys = parts if isinstance(parts, dict) else range(len(parts)) if isinstance(parts, list) else ()
    for key in keys:
        found += [(parts, key), *places(parts[key])]
    return found


def strange(rng: random.Random, old: Any) -> Any:
    """A value to stand where another one stood."""
    if isinstance(old, torch.Tensor) and rng.random() < 0.6:
        shape = list(old.shape)
        if shape and rng.random() < 0.8:
            i = rng.randrange(len(shape))
            shape[i] = rng.choice((0, 1, 2, shape[i] + 1, shape[i] * 2, 513))
        else:
            shape = [1, *shape][:5] if rng.random() < 0.5 else shape[1:]
        dtype = rng.choice((old.dtype, torch.int64, torch.float16, torch.float64, torch.bool))
        return torch.full(shape, rng.choice((0.0, 1.0, float("nan"), float("inf"), 1e30))).to(dtype)
    numbers = (rng.choice(NUMBERS), -rng.choice(NUMBERS), 0.5, float("nan"), float("inf"), -1e300, True, 3)
    texts = ("", "x", "skip", "resnet", "lrelu", "1" * 5000, "²", "\0", "-1", "synthesis.b" + "9" * 30)
    others = (None, [], {}, (), [1, 2], {"a": 1}, {1: 2}, b"x", set(), torch.zeros(0), torch.zeros(3, 3), torch.float32)
    return rng.choice(rng.choice((numbers, texts, others)))


def change_values(kind: str, rng: random.Random) -> bytes:
    """A good file with other values, other names for them, or some of them missing."""
    value = {"": thawed(tree(kind))}
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        parts, key = rng.choice(places(value))
        match rng.randrange(5):
            case 0 | 1 | 2:
                parts[key] = strange(rng, parts[key])
            case 3 if isinstance(parts, dict):
                item = parts.pop(key)
                digits = str(rng.choice((0, 3, 9, 10**10, 10**30, "²")))
                names = (f"{key}{digits}", f"{key}.x", str(key)[:-1], digits.join(str(key).split("0")), 7)
                parts[rng.choice(names)] = item
            case _:
                del parts[key]
        if "" not in value:
            return pickled(None)
    found = value[""]
    return pickled(written(tuple(found) if isinstance(found, list) else found), 4)


WAYS: dict[Callable[[str, random.Random], bytes], tuple[str, ...]] = {
    lambda kind, rng: change_bytes(good(kind), rng): KINDS,
    change_instructions: PICKLES,
    random_instructions: PICKLES,
    change_values: KINDS,
}


def changed(rng: random.Random) -> bytes:
    """One file to try."""
    way = rng.choice(list(WAYS))
    return way(rng.choice(WAYS[way]), rng)


def outcome(content: bytes, path: Path) -> str:
    """`opened`, or the reason for which it was refused. Raises what a reader should never raise."""
    path.write_bytes(content)
    began = time.process_time()
    try:
        open_whatever(path)
        result = "opened"
    except CheckpointError as err:
        result = str(err)
    if (seconds := time.process_time() - began) > MAX_SECONDS:
        raise TimeoutError(f"{seconds:.1f} s")
    return result


# By hand.


def explore(seed: int, count: int, folder: Path, out: Path) -> Counter[str]:
    """Try `count` files; what goes wrong is kept. The file in hand lies in `folder`, should the process die of it."""
    rng, tally = random.Random(seed), Counter[str]()
    for _ in range(count):
        content = changed(rng)
        try:
            signal.alarm(6 * MAX_SECONDS)
            text = outcome(content, folder / "at_hand")
            tally["opened" if text == "opened" else "refused"] += 1
        except BaseException as err:
            keep(content, out, err)
            tally["found"] += 1
        finally:
            signal.alarm(0)
    return tally


def keep(content: bytes, out: Path, err: object) -> None:
    out.mkdir(exist_ok=True)
    path = out / f"{type(err).__name__}_{hash(content) & 0xFFFFFFFF:08x}.bin"
    path.write_bytes(content)
    print(f"{path}: {type(err).__name__}: {str(err)[:300]}", flush=True)


def limit() -> None:
    most = memory("VmSize") + MAX_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    signal.signal(signal.SIGALRM, lambda *_: (_ for _ in ()).throw(TimeoutError("stuck")))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=FOUND)
    options = parser.parse_args()
    torch.set_num_threads(1)
    pool()
    began, seed = time.time(), options.seed
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        while time.time() - began < options.seconds:
            child = os.fork()
            if not child:
                limit()
                print(f"seed {seed}: {dict(explore(seed, 500, folder, options.out))}", flush=True)
                os._exit(0)
            _, status = os.waitpid(child, 0)
            if status:
                keep((folder / "at_hand").read_bytes(), options.out, SystemError(f"the process ended with {status}"))
            seed += 1


if __name__ == "__main__":
    sys.exit(main())
