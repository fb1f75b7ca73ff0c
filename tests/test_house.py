"""The rooms of the house: which may import which, what their faces show, and how full they may be.

Imports under TYPE_CHECKING and inside functions count as any other.
"""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "lga_core": (
        ("shapes", "errors", "demo"),
        ("atomic_files",),
        ("formats", "imaging", "latents"),
        ("stylegan2", "clip", "faces"),
        ("rendering",),
        ("motion", "metrics"),
        ("inversion", "baselines"),
        ("checkpoints",),
        ("domain",),
    ),
    "lga_trainer": (
        ("training",),
        ("data",),
        ("metrics", "animation"),
        ("reports",),
        ("domain_plugin",),
        ("motion", "encoder", "baselines", "evaluation", "study"),
        ("demo",),
        ("cli",),
    ),
    "nodes": (("host", "widgets"), ("types",), ("files",), ("node classes",), ("__init__",)),
}
"""From the ground up: a module imports from rooms above it in this list, or from its own, and from no other."""
OWN = {"nodes": "node classes"}
"""The place of a room that the list does not name."""
MOST_IN_A_FACE, MOST_IN_THE_CORE, MOST_MODULES = 20, 45, 15
FOLDERS = {"lga_core": "lga_core", "lga_trainer": "trainer", "nodes": "nodes"}
REGISTRY = "lga_trainer.domain_plugin"


def module_of(file: Path) -> str:
    top, *parts = file.relative_to(ROOT).with_suffix("").parts
    name = ".".join(({folder: package for package, folder in FOLDERS.items()}[top], *parts))
    return name.removesuffix(".__init__")


@cache
def modules() -> dict[str, Path]:
    return {module_of(file): file for folder in FOLDERS.values() for file in (ROOT / folder).rglob("*.py")}


def imported(file: Path, package: str) -> Iterator[str]:
    """Absolute names of what a file imports, modules and names in them; `package` is what relative imports start at."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


@cache
def arrows() -> frozenset[tuple[str, str]]:
    """(importer, imported) for all pairs of modules of ours."""
    found = set()
    for name, file in modules().items():
        package = name if file.name == "__init__.py" else name.rpartition(".")[0]
        for target in imported(file, package):
            target = target.removeprefix("nodes.") if target.startswith("nodes.lga_core") else target
            target = target if target in modules() else target.rpartition(".")[0]
            if target in modules() and target != name:
                found.add((name, target))
    return frozenset(found)


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else "__init__"


def level(module: str) -> tuple[int, str]:
    """How high a module's room lies, and which one it is."""
    package, name = module.split(".")[0], room(module)
    levels = {room: index for index, rooms in enumerate(ROOMS[package]) for room in rooms}
    name = name if name in levels or name == "__init__" else OWN.get(package, name)
    return levels.get(name, len(levels)), name


def inside(package: str) -> list[tuple[str, str]]:
    return [(a, b) for a, b in sorted(arrows()) if a.split(".")[0] == b.split(".")[0] == package]


@pytest.mark.parametrize("package", FOLDERS)
def test_a_room_imports_only_from_rooms_below_it(package):
    wrong = [
        f"{a} imports {b}" for a, b in inside(package) if level(a)[1] != level(b)[1] and level(a)[0] <= level(b)[0]
    ]
    assert not wrong


def test_no_two_modules_need_each_other():
    order: dict[str, int] = {}
    below: dict[str, set[str]] = {}
    for a, b in arrows():
        below.setdefault(a, set()).add(b)

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join((*path[path.index(name) :], name))
        if name not in order:
            for target in sorted(below.get(name, ())):
                visit(target, (*path, name))
            order[name] = len(order)

    for name in modules():
        visit(name, ())


@pytest.mark.parametrize("folder", ["nodes", "trainer", "benchmarks", "docs"])
def test_outsiders_import_the_core_by_its_faces(folder):
    """`lga_core`, or a room of it: never a module inside one."""
    faces = {name for name, file in modules().items() if name.startswith("lga_core") and file.name == "__init__.py"}
    faces |= {name for name in modules() if name.startswith("lga_core.") and name.count(".") == 1}
    for file in (ROOT / folder).rglob("*.py"):
        for target in imported(file, "nodes" if folder == "nodes" else "elsewhere"):
            target = target.removeprefix("nodes.")
            if target.startswith("lga_core") and target not in modules():
                target = target.rpartition(".")[0]
            assert not target.startswith("lga_core") or target in faces, f"{file.relative_to(ROOT)} imports {target}"


def faces_of_the_core() -> list[str]:
    return sorted(name for name, file in modules().items() if file.with_suffix(".pyi").exists())


@pytest.mark.parametrize("name", faces_of_the_core())
def test_a_face_shows_few_names_and_has_each_of_them(name):
    face = importlib.import_module(name)
    assert len(face.__all__) <= (MOST_IN_THE_CORE if name == "lga_core" else MOST_IN_A_FACE)
    for shown in face.__all__:
        assert getattr(face, shown) is not None
        assert f"{name}.{shown}" not in modules(), "a name that is a module's too means now one, now the other"


def test_every_room_of_the_core_has_a_face():
    rooms = {f"lga_core.{room}" for rooms in ROOMS["lga_core"] for room in rooms}
    folders = {name for name in rooms if modules().get(name, ROOT).name == "__init__.py"}
    assert {"lga_core", *folders} - {"lga_core.demo"} <= set(faces_of_the_core())


def test_a_domain_is_known_by_name_in_its_own_folder_and_in_the_registry_alone():
    """Whatever else asks "is this the doodle?" would have to be found again for each further domain."""
    domains = [file.name for file in (ROOT / "trainer" / "demo").iterdir() if (file / "plugin.py").exists()]
    assert domains
    for name, file in modules().items():
        own = any(name.startswith(f"lga_trainer.demo.{domain}") for domain in domains)
        if name.startswith("lga_trainer") and name != REGISTRY and not own:
            text = file.read_text(encoding="utf-8").lower()
            assert not [domain for domain in domains if domain in text], name


def test_no_folder_is_full():
    folders = {file.parent for file in modules().values()}
    counts = {folder: len([*folder.glob("*.py")]) for folder in folders}
    assert max(counts.values()) <= MOST_MODULES, max(counts, key=lambda folder: counts[folder])
