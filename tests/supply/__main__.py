"""What users install: ``python -m tests.supply`` with ``package``, ``lowest``, ``audit`` or ``sbom`` (`make` has each).

The last two build the wheel and install it with its extras, and nothing else, into an environment of their own. Exit
codes of ``audit``: 0 nothing known, 1 known vulnerabilities, 3 the database could not be asked about everything.
"""

import json
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

from tests.supply.tools import CACHE, DIST, ROOT, run, tool
from tests.supply.trying import lowest, package

__all__ = ["verdict"]

OWN = "openclaw-channel-octo"
"""Nothing asks a database about the wheel itself, which may not be published."""

VULNERABLE, UNKNOWN = 1, 3


def verdict(report: str, said: str) -> tuple[int, list[str]]:
    """Return the exit code for an audit and the lines to print.

    Args:
        report: what pip-audit wrote as JSON, empty where it wrote nothing.
        said: the last words of its standard error.
    """
    every: list[dict[str, Any]] = json.loads(report)["dependencies"] if report else []
    found = [each for each in every if each["name"] != OWN]
    known = [
        f"{each['name']} {each['version']}: {one['id']}, fixed in {', '.join(one['fix_versions']) or 'no version'}"
        for each in found
        for one in each.get("vulns", ())
    ]
    # It calls packages that nobody could tell it about "skipped", and the whole then free of vulnerabilities.
    skipped = [each for each in found if "skip_reason" in each]
    lines = [*known, *(each["skip_reason"] for each in skipped)]
    if not found or skipped:
        count = f"{len(skipped)} of {len(found)} packages" if found else "any package"
        lines += [said] if said and not found else []
        lines.append(
            f"NOT AUDITED: the database of vulnerabilities could not be asked about {count}. That says nothing about"
            " them: run it again where https://pypi.org can be reached."
        )
        return VULNERABLE if known else UNKNOWN, lines
    lines.append(f"{len(found)} packages audited, {len(known) or 'no'} known vulnerabilities")
    return VULNERABLE if known else 0, lines


def audit() -> int:
    """Ask for the known vulnerabilities of what the wheel brings along; return the exit code."""
    python, report = environment(), CACHE / "audit.json"
    report.unlink(missing_ok=True)
    where = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").stdout.strip()
    options = ("--path", where, "--format", "json", "--output", str(report), "--progress-spinner", "off")
    done = subprocess.run(
        [tool("pip-audit"), *options], capture_output=True, text=True, check=False, timeout=600
    )
    said = done.stderr.strip().splitlines()
    code, lines = verdict(report.read_text() if report.exists() else "", said[-1] if said else "")
    print("\n".join(lines))
    return code


def sbom() -> int:
    """Write the bill of materials of the wheel to ``dist/``; return the exit code."""
    python = environment()
    file = DIST / f"{wheel().name.split('-py3')[0]}.cdx.json"
    pyproject = str(ROOT / "pyproject.toml")
    options = ("--pyproject", pyproject, "--mc-type", "library", "--output-reproducible")
    run(tool("cyclonedx-py"), "environment", *options, "--output-file", str(file), python)
    count = len(json.loads(file.read_text())["components"])
    print(f"{file.relative_to(ROOT)}: {count} components")
    return 0


def environment() -> str:
    """Build the wheel, install it; return the Python that has it and what it needs."""
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(DIST), str(ROOT))
    folder = CACHE / "wheel"
    venv.create(folder, clear=True)
    python = str(folder / "bin" / "python")
    run(
        sys.executable,
        "-m",
        "pip",
        "--python",
        python,
        "install",
        "--quiet",
        f"{wheel()}[json5,mcp,metrics,openai]",
    )
    return python


def wheel() -> Path:
    """Return the wheel built last."""
    return max(DIST.glob("openclaw_channel_octo-*.whl"), key=lambda each: each.stat().st_mtime)


if __name__ == "__main__":
    sys.exit({"audit": audit, "lowest": lowest, "package": package, "sbom": sbom}[sys.argv[1]]())
