"""``python -m tests.bench [NAME …] [--write]``: measure, print the table, put it into docs/performance.md."""

import sys
from collections.abc import Mapping
from pathlib import Path

from tests.bench.measure import Row
from tests.bench.suite import BENCHMARKS

PAGE = Path(__file__).parents[2] / "docs" / "performance.md"
HEAD = (
    "| Benchmark | Measured | Compared with | Ours | Floor | Ratio | Aim |",
    "|---|---|---|---|---|---|---|",
)
BEGIN, END = "<!-- table -->\n", "<!-- end of table -->\n"


def table(measured: Mapping[str, list[Row]], before: str = "") -> str:
    """Return the rows of each benchmark as Markdown, in the order of the suite.

    Args:
        measured: rows by the name of their benchmark.
        before: an earlier table; its rows of benchmarks that were not measured now are kept.
    """
    lines = {name: [_line(name, row) for row in rows] for name, rows in measured.items()}
    for name in BENCHMARKS.keys() - lines.keys():
        lines[name] = [line for line in before.splitlines() if line.startswith(f"| {name} |")]
    body = [line for name in BENCHMARKS for line in lines[name]]
    return "\n".join((*HEAD, *body)) + "\n"


def _line(name: str, row: Row) -> str:
    floor, ratio = (f"{row.base:.3g} {row.unit}", f"{row.ratio:.2f} ×") if row.base else ("–", "–")
    return (
        f"| {name} | {row.what} | {row.floor} | {row.ours:.3g} {row.unit} | {floor} | {ratio} | {_aim(row)} |"
    )


def _aim(row: Row) -> str:
    aims = [f"≤ {row.most:g} ×"] * bool(row.most) + [f"≤ {row.most_ours:g} {row.unit}"] * bool(row.most_ours)
    return f"{', '.join(aims)}: {'met' if row.met else '**missed**'}" if aims else "–"


def main(arguments: list[str]) -> int:
    """Run the benchmarks named, or all; return 2 for a name that does not exist."""
    names = [name for name in arguments if name != "--write"] or list(BENCHMARKS)
    if unknown := set(names) - BENCHMARKS.keys():
        print(f"unknown: {', '.join(unknown)}; there are: {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    measured: dict[str, list[Row]] = {}
    for name in names:
        run, scale = BENCHMARKS[name]
        print(f"{name} …", file=sys.stderr, flush=True)
        measured[name] = run(scale)
    print(table(measured), end="")
    if "--write" in arguments:
        before, _, rest = PAGE.read_text().partition(BEGIN)
        earlier, _, after = rest.partition(END)
        PAGE.write_text(f"{before}{BEGIN}{table(measured, earlier)}{END}{after}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
