"""A figure, and the table of them."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """`value` against `goal` in words; `met` is None where there is no goal. `native`: the peer of the same run."""

    name: str
    value: float
    unit: str
    goal: str = ""
    met: bool | None = None
    native: float | None = None


def table(figures: Sequence[Figure]) -> str:
    rows = [("figure", "ours", "native", "ratio", "unit", "goal", "")]
    for figure in figures:
        native = "" if figure.native is None else f"{figure.native:.3g}"
        verdict = {True: "met", False: "MISSED", None: ""}[figure.met]
        ratio = f"{figure.value / figure.native:.2f}" if figure.native else ""
        rows.append((figure.name, f"{figure.value:.4g}", native, ratio, figure.unit, figure.goal, verdict))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
