"""The project's own files agree with each other: what is imported is declared, what is a package is listed."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
DISTRIBUTION_OF = {"PIL": "pillow", "open_clip": "open_clip_torch"}
BROUGHT_BY_COMFYUI = {"av", "einops", "numpy", "pillow", "safetensors", "torch", "torchvision", "tqdm"}
FINDERS = {"cv2", "kornia", "mediapipe"}
"""Face finders' programs: the core uses those that there are, and imports them where it does."""
COMFYUI = {"comfy", "folder_paths", "server"}
"""ComfyUI's own modules that the nodes use."""


def imports(file: Path) -> set[str]:
    """Distributions that `file` imports, our own and the standard library's left out."""
    modules = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            modules.add(node.module or "")
    tops = {module.split(".")[0] for module in modules} - set(sys.stdlib_module_names) - {"lga_core"}
    return {DISTRIBUTION_OF.get(top, top) for top in tops}


def declared(*extras: str) -> set[str]:
    optional = PROJECT["project"]["optional-dependencies"]
    lines = PROJECT["project"]["dependencies"] + [line for extra in extras for line in optional[extra]]
    return {re.split(r"[\[<>=;~! ]", line)[0] for line in lines}


def required_in_comfyui() -> set[str]:
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    return {line.strip() for line in lines if line.strip() and not line.startswith("#")}


def python_files(*folders: str) -> list[Path]:
    return sorted(file for folder in folders for file in (ROOT / folder).rglob("*.py"))


def ids(file: Path) -> str:
    return str(file.relative_to(ROOT))


@pytest.mark.parametrize("file", python_files("lga_core"), ids=ids)
def test_the_core_imports_only_what_is_declared_and_what_comfyui_then_has(file):
    optional = FINDERS if file.parent.name == "detection" else {"lpips"} if file.stem == "perceptual" else set()
    assert imports(file) <= declared() | optional
    assert imports(file) <= BROUGHT_BY_COMFYUI | required_in_comfyui() | optional
    assert not re.search(rf"^(?:import|from) (?:{'|'.join(FINDERS)})\b", file.read_text(), re.MULTILINE)


@pytest.mark.parametrize("file", python_files("trainer"), ids=ids)
def test_the_trainer_imports_only_what_is_declared(file):
    """What `lga animate`, `inspect` and `convert` need comes with the package; training has extras."""
    needs_no_extra = file.relative_to(ROOT / "trainer").parts[0] in ("__init__.py", "animation", "cli")
    assert imports(file) <= declared(*(() if needs_no_extra else ("train", "eval", "faces")))


@pytest.mark.parametrize("file", [ROOT / "__init__.py", *python_files("nodes")], ids=ids)
def test_the_nodes_import_the_core_beside_them_and_only_what_comfyui_then_has(file):
    """`lga_core` by its plain name would be another copy, or none: ComfyUI does not install the pack."""
    assert imports(file) <= (declared() & (BROUGHT_BY_COMFYUI | required_in_comfyui())) | COMFYUI
    assert not re.search(
        r"^\s*(?:import|from) (?:lga_core|lga_trainer|trainer|nodes)\b", file.read_text(), re.MULTILINE
    )


@pytest.mark.parametrize("file", python_files("nodes"), ids=ids)
def test_comfyui_itself_is_imported_where_it_is_used_and_in_one_module(file):
    top = {node.lineno for node in ast.parse(file.read_text()).body}
    lines = enumerate(file.read_text().splitlines(), start=1)
    found = [number for number, line in lines if re.match(rf"\s*(?:import|from) (?:{'|'.join(COMFYUI)})\b", line)]
    assert not found or file.name == "host.py"
    assert not top & set(found)


def test_the_root_is_an_empty_module_for_everyone_but_comfyui():
    """A test runner imports it too, under whatever name, with no `folder_paths` to be found."""
    guarded = ast.parse((ROOT / "__init__.py").read_text()).body
    assert [type(node) for node in guarded] == [ast.Expr, ast.Try, ast.If]
    script = (
        "import importlib.util as u; s = u.spec_from_file_location('x.y', '__init__.py', submodule_search_locations="
    )
    script += "['.']); m = u.module_from_spec(s); s.loader.exec_module(m); assert not hasattr(m, 'NODE_CLASS_MAPPINGS')"
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT)


def test_comfyui_serves_the_workflows():
    """It looks in the first of these folders that there is, and in no other."""
    order = ("example_workflows", "example", "examples", "workflow", "workflows")
    assert next((name for name in order if (ROOT / name).is_dir()), None) == "workflows"


def test_every_package_is_listed():
    found = {
        ".".join((package, *file.parent.relative_to(ROOT / folder).parts))
        for package, folder in PROJECT["tool"]["setuptools"]["package-dir"].items()
        for file in (ROOT / folder).rglob("*")
        if file.suffix in (".py", ".safetensors")  # setuptools takes a folder of data for a package too
    }
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == found


def test_templates_styles_and_scripts_are_installed():
    """Each lies below a package whose package data it is."""
    data = PROJECT["tool"]["setuptools"]["package-data"]
    files = [file for kind in ("*.j2", "*.css", "*.js") for file in (ROOT / "trainer").rglob(kind)]
    assert files
    for file in files:
        package = file.parent.parent
        name = ".".join(("lga_trainer", *package.relative_to(ROOT / "trainer").parts))
        assert any(file in package.glob(pattern) for pattern in data.get(name, ())), file


def test_requirements_name_what_the_pack_imports_and_comfyui_lacks_and_no_versions():
    """What `lga` alone needs stays out: ComfyUI installs these for everyone."""
    imported = set().union(*map(imports, python_files("lga_core", "nodes")))
    assert required_in_comfyui() == imported & declared() - BROUGHT_BY_COMFYUI


def test_no_dependency_of_the_project_is_pinned():
    assert all(re.fullmatch(r"[A-Za-z0-9_-]+", line) for line in PROJECT["project"]["dependencies"])
