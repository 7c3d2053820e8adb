"""Convolutions as products: each place of the kernel on an image is a row of activations."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Convolution"]


@dataclass(frozen=True, kw_only=True)
class Convolution:
    """One group of a convolution, ONNX Conv: images (B, C, ...) with any number of spatial axes.

    ``K = C / groups * prod(kernel)``, its order that of a kernel (C / groups, ...); ``M = B * prod(output shape)``.
    An axis of ``size`` places has ``(size + begin + end - (kernel - 1) * dilation - 1) // stride + 1`` results.

    Parameters
    ----------
    kernel, strides, dilations : tuple of int
        One for each spatial axis.
    pads : tuple of int
        Places in front of each axis, then behind each.
    groups, group : int
        How many groups of channels there are, and which of them this is.
    """

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: tuple[int, ...]
    groups: int = 1
    group: int = 0

    def output_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        """Sizes of the spatial axes of the result, of an image with these.

        Raises
        ------
        ValueError
            If the kernel does not fit on the image.
        """
        axes = len(self.kernel)
        if len(shape) != axes:
            raise ValueError(f"Image must have {axes} spatial axes, not {len(shape)}")
        begin, end = self.pads[:axes], self.pads[axes:]
        spans = [(kernel - 1) * step + 1 for kernel, step in zip(self.kernel, self.dilations, strict=True)]
        room = [size + first + last for size, first, last in zip(shape, begin, end, strict=True)]
        if any(span > size for span, size in zip(spans, room, strict=True)):
            raise ValueError(f"Image must be at least {tuple(spans)} with its padding, not {tuple(room)}")
        return tuple((size - span) // step + 1 for size, span, step in zip(room, spans, self.strides, strict=True))

    def rows(self, image: np.ndarray, *, padding: float = 0) -> np.ndarray:
        """The activations (M, K) of this group, out of images (B, C, ...); ``padding`` is what is around them.

        Raises
        ------
        ValueError
            If the shape does not fit.
        """
        if image.ndim != len(self.kernel) + 2 or image.shape[1] % self.groups:
            raise ValueError(
                f"Image must have {len(self.kernel)} spatial axes and a multiple of {self.groups} channels, "
                f"not the shape {image.shape}"
            )
        output, axes = self.output_shape(image.shape[2:]), len(self.kernel)
        channels = image.shape[1] // self.groups
        image = image[:, self.group * channels : (self.group + 1) * channels]
        around = [(0, 0), (0, 0), *zip(self.pads[:axes], self.pads[axes:], strict=True)]
        image = np.pad(image, around, constant_values=padding)
        places = []
        for at in np.ndindex(*self.kernel):
            windows = [
                slice(k * dilation, k * dilation + (size - 1) * stride + 1, stride)
                for k, dilation, size, stride in zip(at, self.dilations, output, self.strides, strict=True)
            ]
            # of each image a row for every place of the kernel
            places.append(image[(slice(None), slice(None), *windows)].reshape(*image.shape[:2], -1))
        columns = np.stack(places, axis=2).reshape(len(image), channels * math.prod(self.kernel), -1)
        return columns.transpose(0, 2, 1).reshape(-1, columns.shape[1])

    def images(self, results: np.ndarray, shape: Sequence[int]) -> np.ndarray:
        """Results (M, N) as images (B, N, ...), of images whose spatial axes have these sizes."""
        output = self.output_shape(shape)
        found = results.reshape(-1, math.prod(output), results.shape[1]).transpose(0, 2, 1)
        return found.reshape(*found.shape[:2], *output)
