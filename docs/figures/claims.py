"""Writes which claims of papers about accuracy hold on two small models into docs/claims.md.

    python -m docs.figures.claims

Only the part between the two marks is replaced. It names the commit that it was made of; a tree with changes is
refused. Half an hour on one processor.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from docs.figures.kernels import Kernel, kernel_table, kernels
from docs.figures.measured import clean_commit, rewrite
from docs.tables import markdown_table
from macforge.design.design import load_design
from macforge.measure.accuracy import accuracy
from macforge.measure.columns import decoder_losses, encoder_losses
from macforge.measure.perplexity import perplexity, reading
from macforge.model.columns import choose_columns

__all__ = ["BEGIN", "CLAIMS", "END", "PATH", "Claim", "Measured", "Way", "main", "measure", "section", "verdict"]

PATH = Path(__file__).parents[1] / "claims.md"
BEGIN, END = "<!-- claims: begin -->", "<!-- claims: end -->"
# Tokens that are predicted.
_TOKENS = 256
# What counts as no loss, in dB of signal to noise, and as a ratio of perplexities.
_LITTLE_DB, _LITTLE_RATIO = 0.5, 1.01


@dataclass(frozen=True, kw_only=True)
class Way:
    """A design with settings, and what is done with layers in front of it.

    ``share`` : of the columns of all layers, which are chosen to get more bits; 0 if each layer has a share of its own.
    """

    design: str
    settings: tuple[str, ...] = ()
    transform: str = ""
    share: float = 0.0

    @property
    def name(self) -> str:
        """As the page calls it."""
        settings = "".join(f", `{each}`" for each in self.settings)
        after = f" after `{self.transform}`" if self.transform else ""
        return f"`{self.design}`{settings}{after}" + (f", {self.share:.0%} of all columns" if self.share else "")


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Of all-MiniLM-L6-v2: SQNR of its layers in dB; of SmolLM2: perplexity of a text over that in floats."""

    sqnr_db: float
    ratio: float


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What a paper says, and which of two ways has to lose less for it to hold.

    ``little`` : that ``first`` loses nothing that counts more than ``second``, instead of losing less.
    """

    says: str
    source: str
    first: Way
    second: Way
    little: bool = False


def _way(design: str, *settings: str, transform: str = "", share: float = 0.0) -> Way:
    return Way(design=design, settings=settings, transform=transform, share=share)


_TENSOR = "quantizer.act.granularity=tensor"
_INT8 = _way("w8a8_os", _TENSOR)
_INT4 = _way("w4a4_os")
_FP4 = _way("llm_fp4_w4a4")
_W4A8 = _way("w4a8_os")
_INT4_IN_GROUPS = _way("mixpe_w4a8", "quantizer.weight.scheme=symmetric", "drain.weight_zero=none")

CLAIMS = (
    Claim(
        says="Scales that move outliers from activations to weights: W8A8 with a scale of the tensor loses less",
        source="SmoothQuant, 2211.10438",
        first=_way("w8a8_os", _TENSOR, transform="smooth_quant"),
        second=_INT8,
    ),
    Claim(
        says="Scales of channels of activations, folded into weights: INT8 loses less",
        source="OutlierTune, 2406.18832",
        first=_way("w8a8_os", _TENSOR, transform="outlier_scale"),
        second=_INT8,
    ),
    Claim(
        says="Scales of rows and columns of activations together lose less than those of rows",
        source="CrossQuant, 2410.07505",
        first=_way("w8a8_os", transform="cross_quant"),
        second=_way("w8a8_os"),
    ),
    Claim(
        says="Rotated by Hadamard matrices, INT4 weights and activations lose less",
        source="QuaRot, 2404.00456",
        first=_way("w4a4_os", transform="rotate"),
        second=_INT4,
    ),
    Claim(
        says="GPTQ behind the rotation loses less than rounding",
        source="QuaRot, 2404.00456",
        first=_way("w4a4_os", transform="rotate+gptq"),
        second=_way("w4a4_os", transform="rotate"),
    ),
    Claim(
        says="INT4 weights that make up for each other's rounding lose less than those rounded one by one",
        source="GPTQ, 2210.17323",
        first=_way("w4a8_os", transform="gptq"),
        second=_W4A8,
    ),
    Claim(
        says="Rotated by groups, MXFP4 loses less",
        source="MR-GPTQ, 2509.23202",
        first=_way("mxfp4", transform="rotate_groups"),
        second=_way("mxfp4"),
    ),
    Claim(
        says="NVFP4's small groups leave nothing for rotation to gain",
        source="MR-GPTQ, 2509.23202",
        first=_way("nvfp4"),
        second=_way("nvfp4", transform="rotate_groups"),
    ),
    Claim(
        says="NVFP4 loses less than MXFP4",
        source="MR-GPTQ, 2509.23202",
        first=_way("nvfp4"),
        second=_way("mxfp4"),
    ),
    Claim(
        says="FP4 weights and activations lose less than INT4",
        source="LLM-FP4, 2310.16836",
        first=_FP4,
        second=_way("w4a4_os", "quantizer.weight.clip_search=20"),
    ),
    Claim(
        says="Exponents of channels of activations, shifted into the weights: FP4 loses less",
        source="LLM-FP4, 2310.16836",
        first=_way("llm_fp4_w4a4", transform="pre_shift"),
        second=_FP4,
    ),
    Claim(
        says="FP8 activations lose less than INT8 ones, with INT4 weights",
        source="ZeroQuant-FP, 2307.09782",
        first=_way("w4a8_fp8"),
        second=_INT4_IN_GROUPS,
    ),
    Claim(
        says="Scales that are powers of two cost little, with FP4 weights",
        source="ZeroQuant-FP, 2307.09782",
        first=_way("llm_fp4_w4a4", "quantizer.weight.clip_search=0", "quantizer.weight.power_of_two=true"),
        second=_way("llm_fp4_w4a4", "quantizer.weight.clip_search=0"),
        little=True,
    ),
    Claim(
        says="A low rank of the error beside INT4 weights loses less",
        source="ZeroQuant-V2 (LoRC), 2303.08302",
        first=_way("w4a8_os", transform="low_rank"),
        second=_W4A8,
    ),
    Claim(
        says="Weights split in three by size: INT2 loses less",
        source="SplitQuant, 2501.12428",
        first=_way("w2a8_os", transform="split_weights"),
        second=_way("w2a8_os"),
    ),
    Claim(
        says="FP4 with one special value a group loses less than INT4 in the same groups",
        source="BitMoD, 2411.11745",
        first=_way("bitmod_fp4a8"),
        second=_INT4_IN_GROUPS,
    ),
    Claim(
        says="NormalFloat weights lose less than INT4 in the same groups",
        source="QLoRA, 2305.14314; FLUTE, 2407.10960",
        first=_way("flute_nf4a8"),
        second=_INT4_IN_GROUPS,
    ),
    Claim(
        says="MXFP6 (E2M3) takes the place of floats",
        source="Microscaling, 2310.10537",
        first=_way("mxfp6_e2m3"),
        second=_way("bf16_fp32"),
        little=True,
    ),
    Claim(
        says="MXINT8 loses less than MXFP8 (E4M3)",
        source="Microscaling, 2310.10537",
        first=_way("mxint8"),
        second=_way("mxfp8_e4m3"),
    ),
    Claim(
        says="Eight bits for the tenth of columns that loses most: less is lost than by four bits for all",
        source="MixLLM, 2412.14590",
        first=_way("mixllm_w4_8a8"),
        second=_way("mixllm_w4_8a8", "quantizer.weight.fraction=0.0"),
    ),
    Claim(
        says="Those columns chosen over all layers by the model's loss: less is lost than by a tenth of each layer",
        source="MixLLM, 2412.14590",
        first=_way("mixllm_w4_8a8", share=0.1),
        second=_way("mixllm_w4_8a8"),
    ),
    Claim(
        says="E4M3 suits weights and activations better than E5M2",
        source="FP8 formats, 2209.05433",
        first=_way("fp8_e4m3_exact"),
        second=_way("fp8_e5m2_exact"),
    ),
    Claim(
        says="Eight bits for groups of activations that hold outliers: less is lost than by four for all",
        source="COMET, 2410.12168",
        first=_way("comet_w4a4_8"),
        second=_INT4,
    ),
)
"""In the order of the page."""


def measured(ways: Sequence[Way]) -> dict[Way, Measured]:
    """What each way loses, measured once."""
    found = {}
    for way in dict.fromkeys(ways):
        found[way] = measure(way)
        print(way.name, found[way], flush=True)
    return found


def measure(way: Way) -> Measured:
    """What a way loses of both models."""
    design, columns = load_design(way.design, way.settings), (None, None)
    if way.share:
        losses = encoder_losses(design), decoder_losses(design)
        columns = [choose_columns(each, share=way.share).wide for each in losses]
    sentences = accuracy(design, transform=way.transform, wide=columns[0])
    text = perplexity(design, tokens=_TOKENS, transform=way.transform, keep_stored=False, wide=columns[1])
    return Measured(sqnr_db=sum(sentences.sqnr_db.values()) / len(sentences.sqnr_db), ratio=text.ratio)


def verdict(claim: Claim, first: Measured, second: Measured) -> str:
    """Whether a claim holds on both models, on one, or on none."""
    if claim.little:
        holds = [first.sqnr_db >= second.sqnr_db - _LITTLE_DB, first.ratio <= second.ratio * _LITTLE_RATIO]
    else:
        holds = [first.sqnr_db > second.sqnr_db, first.ratio < second.ratio]
    if all(holds):
        return "yes"
    return "no" if not any(holds) else f"on {('MiniLM', 'SmolLM2')[holds.index(True)]} alone"


def section(found: Mapping[Way, Measured], of_kernels: Sequence[Kernel], made_of: str) -> str:
    """The measured part of the page."""
    calibration, _read = reading(_TOKENS)
    told = (
        f"All figures of this part are of commit {made_of}, written by `python -m docs.figures.claims`. dB: signal to "
        "quantization noise of the 36 linear layers of all-MiniLM-L6-v2, each with the activations of the float model, "
        "mean over kinds of layers. Perplexity: of SmolLM2-135M-Instruct over that in floats, with the 210 linear "
        "layers of its blocks quantized again from the numbers of its file, which is Q4_1, and the head in floats; "
        f"{_TOKENS} tokens of Python's language reference, calibrated with {sum(map(len, calibration)):,} tokens of "
        f"other parts of it, in {len(calibration)} texts."
    )
    head = ["claim", "source", "", "dB", "perplexity", "holds"]
    rows = []
    for claim in CLAIMS:
        first, second = found[claim.first], found[claim.second]
        rows.append([claim.says, claim.source, claim.first.name, *_figures(first), verdict(claim, first, second)])
        rows.append(["", "", claim.second.name, *_figures(second), ""])
    return "\n\n".join([told, markdown_table(head, rows).strip(), kernel_table(of_kernels)]) + "\n"


def _figures(one: Measured) -> list[str]:
    return [f"{one.sqnr_db:.1f}", f"{one.ratio:.3f}"]


def main() -> None:
    """Measure all, and write the page."""
    made_of = clean_commit()
    ways = [way for claim in CLAIMS for way in (claim.first, claim.second)]
    rewrite(section(measured(ways), kernels(_TOKENS), made_of), BEGIN, END, PATH)


if __name__ == "__main__":
    main()
