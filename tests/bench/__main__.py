"""``python -m tests.bench [NAME …] [--write]``: measure, print the table, put it into docs/performance.md."""

import sys
from pathlib import Path

from tests.bench.measure import Row
from tests.bench.suite import BENCHMARKS

PAGE = Path(__file__).parents[2] / "docs" / "performance.md"
BEGIN, END = "<!-- table -->\n", "<!-- end of table -->\n"


def table(rows: list[Row]) -> str:
    """Return the rows as Markdown."""
    lines = ["| Measured | Compared with | Ours | Floor | Ratio | Aim |", "|---|---|---|---|---|---|"]
    for row in rows:
        floor, ratio = (f"{row.base:.3g} {row.unit}", f"{row.ratio:.2f} ×") if row.base else ("–", "–")
        lines.append(
            f"| {row.what} | {row.floor} | {row.ours:.3g} {row.unit} | {floor} | {ratio} | {_aim(row)} |"
        )
    return "\n".join(lines) + "\n"


def _aim(row: Row) -> str:
    aims = [f"≤ {row.most:g} ×"] * bool(row.most) + [f"≤ {row.most_ours:g} {row.unit}"] * bool(row.most_ours)
    return f"{', '.join(aims)}: {'met' if row.met else '**missed**'}" if aims else "–"


def main(arguments: list[str]) -> int:
    """Run the benchmarks named, or all; return 2 for a name that does not exist."""
    names = [name for name in arguments if name != "--write"] or list(BENCHMARKS)
    if unknown := set(names) - BENCHMARKS.keys():
        print(f"unknown: {', '.join(unknown)}; there are: {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    rows: list[Row] = []
    for name in names:
        run, scale = BENCHMARKS[name]
        print(f"{name} …", file=sys.stderr, flush=True)
        rows += run(scale)
    print(table(rows), end="")
    if "--write" in arguments:
        before, _, rest = PAGE.read_text().partition(BEGIN)
        _, _, after = rest.partition(END)
        PAGE.write_text(f"{before}{BEGIN}{table(rows)}{END}{after}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
