from __future__ import annotations

from pathlib import Path

import pytest
from tests.archlab_serving.conftest import Lab

from archlab_serving.errors import ConfigurationError
from archlab_serving.settings import Settings


def test_the_environment_names_everything(lab: Lab) -> None:
    settings = Settings.from_environment({**lab.environment(), "ARCHLAB_SERVING_THREADS": "2"})
    assert (settings.unit, settings.replica, settings.pool, settings.threads) == ("server", "0", "online", 2)
    assert settings.feed == lab.feed
    assert settings.prediction_log == lab.prediction_log
    assert settings.max_body_bytes == 8 << 20


def test_snapshots_and_log_may_be_left_out(lab: Lab) -> None:
    settings = Settings("server", "0", "online", Path("feed.json"), Path("key.pem"), Path("trusted.pem"))
    assert settings.snapshots is None
    assert settings.prediction_log is None


@pytest.mark.parametrize("name", ["POOL", "FEED", "PUBLIC_KEY", "TRUSTED_KEYS"])
def test_a_missing_variable_is_named(lab: Lab, name: str) -> None:
    environment = {key: value for key, value in lab.environment().items() if key != f"ARCHLAB_SERVING_{name}"}
    with pytest.raises(ConfigurationError, match=f"ARCHLAB_SERVING_{name} is not set"):
        Settings.from_environment(environment)


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5"])
def test_a_bad_number_is_named(lab: Lab, value: str) -> None:
    with pytest.raises(ConfigurationError, match="ARCHLAB_SERVING_THREADS"):
        Settings.from_environment({**lab.environment(), "ARCHLAB_SERVING_THREADS": value})
