"""The displays draw what was computed, on the axes they are given."""

import pandas as pd
import pytest

matplotlib = pytest.importorskip("matplotlib", reason="drawing needs the extra train")
matplotlib.use("agg")

from matplotlib import pyplot as plt  # noqa: E402 (after the backend is chosen)

from rfmrisk import ProxyLabeler, RFMAggregator, to_histories  # noqa: E402
from rfmrisk.datasets import make_transactions  # noqa: E402
from rfmrisk.proxy import (  # noqa: E402
    AbsenceDisplay,
    ClusterDisplay,
    ProxyValidationDisplay,
    RollingOriginDisplay,
    StabilityDisplay,
    rolling_origin,
    validate_proxy,
)


@pytest.fixture(scope="module")
def histories():
    """Pack the histories of 300 customers."""
    return to_histories(make_transactions(n_customers=300, random_state=0))


@pytest.fixture
def ax():
    """Make axes, and close them."""
    figure, ax = plt.subplots()
    yield ax
    plt.close(figure)


def test_plot_draws_on_the_axes_given_and_returns_itself(ax):
    """As scikit-learn's displays do."""
    display = ProxyValidationDisplay(validation=validate_proxy(range(20), [0, 1] * 10, 20))
    assert display.plot(ax) is display
    assert display.ax_ is ax
    assert display.figure_ is ax.figure
    assert ax.get_title().startswith("no better than chance")


def test_a_display_prints_what_it_holds():
    """In a terminal the figures are read without drawing them."""
    validation = validate_proxy(range(20), [0, 1] * 10, 20)
    printed = repr(ProxyValidationDisplay(validation=validation))
    assert printed.startswith("ProxyValidationDisplay, drawn by plot(), of validation:")
    assert repr(validation) in printed


def test_each_cluster_is_in_the_picture(histories, ax):
    """Customers without any history are not: they have no place on the axes."""
    rfm = RFMAggregator().fit_transform(histories)
    labeler = ProxyLabeler().fit(rfm)
    newcomer = pd.DataFrame({"recency": [None], "frequency": [0], "monetary": [0.0]}, dtype=float)
    display = ClusterDisplay.from_estimator(labeler, pd.concat([rfm, newcomer]), ax=ax)
    assert len(display.points) == len(rfm)
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert "high-risk" in labels[2]
    ClusterDisplay.from_estimator(ProxyLabeler().fit(rfm.to_numpy()), rfm.to_numpy(), ax=ax)


def test_a_bar_per_perturbation(histories, ax):
    """The bars are the mean flips in per cent."""
    display = StabilityDisplay.from_estimator(ProxyLabeler(), histories, n_resamples=2, ax=ax)
    widths = [bar.get_width() for bar in ax.patches]
    expected = 100 * display.stability.table["flips_mean"].iloc[::-1]
    assert widths == pytest.approx(expected.tolist())


def test_a_point_per_window(histories, ax):
    """The curve is that of absence_curve."""
    display = AbsenceDisplay.from_histories(histories, ["14D", "30D"], ax=ax)
    assert ax.lines[0].get_ydata() == pytest.approx(100 * display.curve["share_absent"])


def test_a_line_per_split(histories, ax):
    """Training before test."""
    RollingOriginDisplay(splits=rolling_origin(histories, n=3)).plot(ax)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["train", "test"]
