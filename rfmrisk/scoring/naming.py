"""The names of models in a registry, for the commands and the app alike."""

import os

CHAMPION = "champion"


def alias_of(stage: str | None = None) -> str:
    """Return the alias for a stage; ``Production``, of MLflow's former stages, is the champion.

    Parameters
    ----------
    stage : str or None, default=None
        None takes ``MODEL_STAGE``, or the champion.

    Returns
    -------
    str

    Examples
    --------
    >>> from rfmrisk.scoring.naming import alias_of
    >>> alias_of("Production")
    'champion'
    """
    stage = stage or os.environ.get("MODEL_STAGE") or CHAMPION
    return CHAMPION if stage.lower() == "production" else stage
