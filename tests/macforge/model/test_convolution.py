"""Images as rows of activations; what comes of them is compared with onnxruntime in the tests of its operators."""

import re

import numpy as np
import pytest

from macforge.model.convolution import Convolution


def plain(**more):
    found = {"kernel": (3, 2), "strides": (1, 1), "dilations": (1, 1), "pads": (0, 0, 0, 0), **more}
    return Convolution(**found)


def test_each_row_is_what_the_kernel_covers():
    image = np.arange(2 * 2 * 4 * 3).reshape(2, 2, 4, 3)
    rows = plain(strides=(2, 1), pads=(1, 0, 0, 0)).rows(image, padding=-1)
    # 2 places down, 2 across, of 2 images; 2 channels of 3 by 2
    assert rows.shape == (8, 12)
    np.testing.assert_array_equal(rows[0], [-1, -1, 0, 1, 3, 4, -1, -1, 12, 13, 15, 16])
    np.testing.assert_array_equal(rows[7], [28, 29, 31, 32, 34, 35, 40, 41, 43, 44, 46, 47])


def test_results_become_images_again():
    results = np.arange(24).reshape(8, 3)
    images = plain(strides=(2, 1), pads=(1, 0, 0, 0)).images(results, (4, 3))
    assert images.shape == (2, 3, 2, 2)
    np.testing.assert_array_equal(images[1, 2], [[14, 17], [20, 23]])


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ((1, 2, 5), "Image must have 2 spatial axes and a multiple of 2 channels, not the shape (1, 2, 5)"),
        ((1, 3, 5, 5), "Image must have 2 spatial axes and a multiple of 2 channels, not the shape (1, 3, 5, 5)"),
        ((1, 2, 2, 5), "Image must be at least (3, 2) with its padding, not (2, 5)"),
    ],
)
def test_an_image_that_does_not_fit_is_refused(image, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        plain(groups=2).rows(np.zeros(image))


def test_a_shape_of_other_axes_is_refused():
    with pytest.raises(ValueError, match=r"^Image must have 2 spatial axes, not 1$"):
        plain().output_shape((4,))
