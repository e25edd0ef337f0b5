"""The picture of the house (docs/architecture.md), held: who may import whom, and what pure parts may not touch."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "lsps"

LEAVES = {"errors", "logs", "clock", "failpoints", "paths"}
UNITS = LEAVES | {"units"}
LIGHTNING = UNITS | {"lightning"}
PROTOCOL = LIGHTNING | {"protocol"}
ORDERS = PROTOCOL | {"orders"}
CONTRACTS = ORDERS | {"node", "store"}
CONFIG = CONTRACTS | {"client", "service", "config"}
ADAPTERS = {"node.lnd", "node.bolt8", "node.simulated", "store.sqlite"}
COMPOSE = CONFIG | ADAPTERS | {"compose"}

MAY_IMPORT = {
    "errors": set[str](),
    "logs": set[str](),
    "clock": set[str](),
    "failpoints": set[str](),
    "paths": {"errors"},
    "units": UNITS,
    "lightning": LIGHTNING,
    "protocol": PROTOCOL,
    "orders": ORDERS,
    "node": PROTOCOL | {"node"},
    "store": ORDERS | {"store"},
    "client": CONTRACTS | {"client"},
    "service": CONTRACTS | {"service"},
    "check": CONTRACTS | {"check"},
    "node.lnd": PROTOCOL | {"node", "node.lnd"},
    "node.bolt8": PROTOCOL | {"node", "node.bolt8"},
    "node.simulated": PROTOCOL | {"node", "node.simulated"},
    "store.sqlite": ORDERS | {"store", "store.sqlite"},
    "config": CONFIG,
    "compose": COMPOSE,
    "testing": COMPOSE | {"testing"},
    "cli": COMPOSE | {"testing", "check", "cli"},
    "__main__": {"cli"},
}
PURE = {"units", "lightning", "protocol", "orders"}
IMPURE_MODULES = {"asyncio", "random", "secrets", "time", "os", "socket", "pathlib", "threading", "subprocess", "io"}

MODULES = {".".join(path.relative_to(SOURCE).with_suffix("").parts): path for path in SOURCE.rglob("*.py")}
GENERATED = "_pb2"


def room(module: str) -> str:
    """The room of a module below lsps: "protocol", or "node.lnd" for an adapter."""
    parts = module.split(".")
    if ".".join(parts[:2]) in ADAPTERS:
        return ".".join(parts[:2])
    return parts[0]


def imports(path: Path) -> Iterator[str]:
    """Full names of what a file imports; `from lsps import x` gives lsps.x."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            if node.module == "lsps":
                yield from (f"lsps.{alias.name}" for alias in node.names)
            elif node.module:
                yield node.module
                # `from lsps.service import offer` names a module too.
                yield from (f"{node.module}.{alias.name}" for alias in node.names if node.module.startswith("lsps."))


CHECKED = sorted(module for module in MODULES if module != "__init__" and GENERATED not in module)


@pytest.mark.parametrize("module", CHECKED)
def test_no_arrow_points_back(module: str) -> None:
    """A module must import only from the rooms its own room may use."""
    here = room(module)
    for imported in imports(MODULES[module]):
        if imported.startswith("lsps."):
            there = room(imported.removeprefix("lsps."))
            assert there in MAY_IMPORT[here], f"{module} imports {imported}: {here} may not use {there}"


@pytest.mark.parametrize("module", CHECKED)
def test_nothing_inside_imports_the_package_root(module: str) -> None:
    """`from lsps import X` inside the package must name a module, never a name the root re-exports."""
    for imported in imports(MODULES[module]):
        parts = imported.split(".")
        if parts[0] == "lsps":
            assert len(parts) > 1, f"{module} imports the root"
            assert parts[1] in {name.split(".")[0] for name in MODULES}, f"{module}: {imported} is no module"


@pytest.mark.parametrize("module", [module for module in CHECKED if room(module) in PURE])
def test_pure_rooms_touch_nothing_outside(module: str) -> None:
    """Units, lightning, protocol and orders must do no I/O, read no clock, draw no randomness, run no event loop."""
    for imported in imports(MODULES[module]):
        assert imported.split(".")[0] not in IMPURE_MODULES, f"{module} imports {imported}"


def test_only_the_lnd_adapter_needs_grpc() -> None:
    """gRPC is an extra: only node.lnd may import it."""
    users = {
        room(module)
        for module in MODULES
        if any(name.split(".")[0] in {"grpc", "google"} for name in imports(MODULES[module]))
    }
    assert users <= {"node.lnd"}
