"""The tests mirror the package; what several of them share lies beside them."""
