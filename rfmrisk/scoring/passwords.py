"""What is said of a registry, without its password."""

import os
import re
from urllib.parse import unquote

_LOGIN = re.compile(r"(?<=://)([^\s'\"/@:]*):[^\s'\"]*@")
_SECRET = re.compile(r"((?:password|passwd|pwd|token|secret)=)[^\s&;'\"]+", re.IGNORECASE)
_SECRETS = ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")
_SHORTEST = 4  # a shorter one is part of too many words


def without_passwords(text: str) -> str:
    """Return a text without the passwords of the stores, in whatever words a library has them.

    Examples
    --------
    >>> without_passwords("cannot connect to postgresql://risk:s3cr/et@host/db")
    'cannot connect to postgresql://risk:***@host/db'
    """
    secrets = {os.environ.get(name, "") for name in _SECRETS}
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
        login = _LOGIN.search(os.environ.get(name, ""))
        if login:
            password = login[0].partition(":")[2].removesuffix("@")
            secrets |= {password, unquote(password)}
    text = _SECRET.sub(r"\1***", _LOGIN.sub(r"\1:***@", text))
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SHORTEST:
            text = text.replace(secret, "***")
    return text
