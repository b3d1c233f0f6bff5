"""Findings as text, JSON and SARIF 2.1.0 (what code review systems show beside the line)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from urllib.parse import quote

from sampan import __version__
from sampan.devices.finding import LINTS, Finding

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def as_text(findings: Sequence[Finding]) -> str:
    """One line each, as compilers write them, and a last line that counts."""
    counts = [
        f"{number} {level}{'s' * (number != 1)}"
        for level in ("error", "warning", "note")
        if (number := sum(finding.level == level for finding in findings))
    ]
    return "".join(f"{finding}\n" for finding in findings) + (", ".join(counts) or "nothing to say") + "\n"


def as_json(findings: Sequence[Finding]) -> str:
    """A list of objects: lint, level, path, line, message."""
    rows = [
        {"lint": each.lint, "level": each.level, "path": each.path, "line": each.line, "message": each.message}
        for each in findings
    ]
    return json.dumps(rows, indent=2) + "\n"


def as_sarif(findings: Sequence[Finding]) -> str:
    """A SARIF log of one run."""
    rules = [{"id": name, "shortDescription": {"text": text}} for name, text in LINTS.items()]
    places = list(LINTS)
    results = [
        {
            "ruleId": each.lint,
            "ruleIndex": places.index(each.lint),
            "level": each.level,
            "message": {"text": each.message},
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": {"uri": quote(each.path)},
                        "region": {"startLine": each.line},
                    }
                }
            ],
        }
        for each in findings
    ]
    driver = {"name": "sampan", "version": __version__, "rules": rules}
    log = {"$schema": _SCHEMA, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}
    return json.dumps(log, indent=2) + "\n"
