"""What holds for every test."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

# A busy machine is no fault: time never decides whether a test passes.
settings.register_profile("sampan", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("sampan")


def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:
    """A file's content makes no id: it is a name in the environment, which the kernel limits."""
    return f"{argname}-{len(val)}-bytes" if isinstance(val, bytes) and len(val) > 100 else None
