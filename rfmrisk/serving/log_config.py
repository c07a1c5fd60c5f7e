"""What the app logs, and where to: notes to the error stream, the access log to the output."""

import logging

access_log = logging.getLogger("rfmrisk.access")

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "plain": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"},
        "bare": {"format": "%(message)s"},
    },
    "handlers": {
        "notes": {"class": "logging.StreamHandler", "formatter": "plain"},
        "access": {
            "class": "logging.StreamHandler",
            "formatter": "bare",
            "stream": "ext://sys.stdout",
        },
    },
    "loggers": {
        "rfmrisk": {"handlers": ["notes"], "level": "INFO", "propagate": False},
        "rfmrisk.access": {"handlers": ["access"], "level": "INFO", "propagate": False},
        "uvicorn": {"handlers": ["notes"], "level": "INFO", "propagate": False},
        # Its lines would repeat ours, with the query in them.
        "uvicorn.access": {"handlers": [], "propagate": False},
    },
}
