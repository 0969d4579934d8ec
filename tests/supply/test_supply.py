"""What is said of an audit, whatever pip-audit says."""

import json
from typing import Any

from tests.supply.__main__ import verdict

FINE = {"name": "aiohttp", "version": "3.14.5", "vulns": []}
HOLED = {**FINE, "vulns": [{"id": "PYSEC-1", "fix_versions": ["3.14.6"]}]}
SKIPPED = {"name": "msgspec", "skip_reason": "Dependency not found on PyPI: msgspec (0.19)"}


def report(*packages: dict[str, Any]) -> str:
    return json.dumps({"dependencies": packages})


def test_packages_without_vulnerabilities_are_fine() -> None:
    assert verdict(report(FINE), "") == (0, ["1 packages audited, no known vulnerabilities"])


def test_the_wheel_itself_need_not_be_known_to_the_database() -> None:
    own = {"name": "openclaw-channel-octo", "skip_reason": "Dependency not found on PyPI"}
    assert verdict(report(FINE, own), "")[0] == 0


def test_known_vulnerabilities_are_named_and_fail() -> None:
    code, lines = verdict(report(HOLED), "")
    assert (code, lines[0]) == (1, "aiohttp 3.14.5: PYSEC-1, fixed in 3.14.6")


def test_a_database_that_cannot_be_asked_is_said_and_is_not_success() -> None:
    code, lines = verdict("", "ERROR:pip_audit._cli:connection refused")
    assert (code, lines[0]) == (3, "ERROR:pip_audit._cli:connection refused")
    assert lines[-1].startswith(
        "NOT AUDITED: the database of vulnerabilities could not be asked about any package."
    )


def test_packages_it_skipped_count_as_not_audited() -> None:
    code, lines = verdict(report(FINE, SKIPPED), "No known vulnerabilities found")
    assert code == 3
    assert "could not be asked about 1 of 2 packages" in lines[-1]


def test_a_vulnerability_fails_also_where_others_could_not_be_asked_about() -> None:
    code, lines = verdict(report(HOLED, SKIPPED), "")
    assert (code, len(lines)) == (1, 3)
