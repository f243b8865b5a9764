"""docs/architecture.md's rules on who may import what, read from the source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1]
ENGINE = SOURCE / "engine" / "pydock_engine"
MAGIC = SOURCE / "pydock_magic"
EVERY_MODULE = [*ENGINE.rglob("*.py"), *MAGIC.rglob("*.py")]
MOST_LINES = 400

NOTEBOOK_LIBRARIES = {
    "IPython",
    "ipywidgets",
    "traitlets",
    "pandas",
    "numpy",
    "ipykernel",
    "anywidget",
}
EVERYWHERE = {"errors", "paths", "__version__", "image.records", "container.records"}
"""What any folder may use: errors, names of files, and plain records."""

ALLOWED: dict[str, set[str]] = {
    "oci": set(),
    "protocol": set(),
    "registry": {"oci", "store.cas", "store.digest"},
    "store": {"oci"},
    "layer": {"oci", "protocol.messages", "runtime.syscalls"},
    "snapshot": {"runtime"},
    "runtime": {"oci"},
}
"""The lower folders of docs/architecture.md: what each may import of the engine, besides itself."""

PUBLIC = {"engine", "errors", "isolation", "paths", "cli", "image", "container"}
"""What pydock_magic may see of the engine: the engine, its records, errors and the grammar."""


def modules_below(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def name_of(path: Path) -> str:
    """`pydock_engine.store.cas`; a package's `__init__` is named like the package."""
    root = ENGINE.parent if path.is_relative_to(ENGINE) else SOURCE
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(path: Path) -> Iterator[str]:
    """Every module named by an import statement anywhere in `path`, in full.

    `from a import b` gives `a.b`, which may be a name in `a` as well as a module.
    """
    package = name_of(path).split(".")
    if path.name != "__init__.py":
        package = package[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def imports(
    paths: list[Path], names: set[str], allowed: set[str] | frozenset[str] = frozenset()
) -> set[str]:
    """Lines `module imports name` for what `paths` import of `names`, apart from `allowed`."""
    return {
        f"{name_of(path)} imports {module}"
        for path in paths
        for module in imports_of(path)
        if is_within(module, names) and not is_within(module, set(allowed))
    }


def is_within(module: str, names: set[str]) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in names)


def test_the_engine_knows_nothing_of_notebooks() -> None:
    assert imports(modules_below(ENGINE), NOTEBOOK_LIBRARIES | {"pydock_magic"}) == set()


def test_ctypes_is_used_by_the_syscalls_module_alone() -> None:
    users = {line.split()[0] for line in imports(EVERY_MODULE, {"ctypes", "_ctypes"})}
    assert users == {"pydock_engine.runtime.syscalls"}


@pytest.mark.parametrize("folder", sorted(ALLOWED))
def test_a_lower_folder_imports_only_what_is_below_it(folder: str) -> None:
    allowed = {f"pydock_engine.{name}" for name in ALLOWED[folder] | EVERYWHERE | {folder}}
    found = imports(modules_below(ENGINE / folder), {"pydock_engine"}, allowed)
    assert found == set()


def test_the_magics_see_only_public_names_of_the_engine() -> None:
    allowed = {f"pydock_engine.{name}" for name in PUBLIC} | {"pydock_engine.__version__"}
    found = imports(modules_below(MAGIC), {"pydock_engine"}, allowed)
    assert found == set()


def test_pandas_lives_in_one_module() -> None:
    users = {line.split()[0] for line in imports(modules_below(MAGIC), {"pandas"})}
    assert users == {"pydock_magic.frames"}


def test_no_module_is_longer_than_a_reader_can_hold() -> None:
    lengths = {name_of(path): len(path.read_text().splitlines()) for path in EVERY_MODULE}
    assert {name: lines for name, lines in lengths.items() if lines > MOST_LINES} == {}


def test_every_package_says_what_it_is() -> None:
    silent = [
        name_of(path)
        for path in [*ENGINE.rglob("__init__.py"), *MAGIC.rglob("__init__.py")]
        if not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert silent == []


def test_relative_imports_are_read_in_full() -> None:
    names = set(imports_of(ENGINE / "paths.py")) | set(imports_of(ENGINE / "container" / "plan.py"))
    assert "hashlib" in names
    assert "pydock_engine.oci.image.ContainerConfig" in names
    assert "pydock_engine.container.records.ContainerRecord" in names
