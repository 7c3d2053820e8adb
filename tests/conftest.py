"""Tests run side by side, in one process for each core: matrix products take one thread in each of them."""

import numpy as np
from threadpoolctl import threadpool_limits

assert np  # loads what is limited
threadpool_limits(1)
