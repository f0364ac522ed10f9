"""The residual convolution block: the block of ResNet and of what came after it.

References:
    [He2016] K. He et al. Deep residual learning for image recognition. CVPR 2016.
    [He2016b] K. He et al. Identity mappings in deep residual networks. ECCV 2016.
    [Xie2017] S. Xie et al. Aggregated residual transformations for deep neural networks. CVPR 2017.
    [Hu2018] J. Hu et al. Squeeze-and-excitation networks. CVPR 2018.
    [He2019] T. He et al. Bag of tricks for image classification. CVPR 2019.
    [Zhang2022] H. Zhang et al. ResNeSt: split-attention networks. CVPR Workshops 2022.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from nasplat.graph.op import Call, OpCost, expect
from nasplat.graph.types import TensorType
from nasplat.ops import counts
from nasplat.ops.checks import ACTIVATIONS, NORMS, known, positive, share, whole
from nasplat.ops.conv import rounded
from nasplat.ops.geometry import Size, maps_in, odd_sizes, sizes, spread, strided
from nasplat.ops.layout import Maps, axes, positions
from nasplat.ops.modules import conv_residual as modules
from nasplat.ops.selection import KernelOp


@dataclass(frozen=True, kw_only=True)
class ResidualConvBlock(KernelOp):
    """Convolutions and a skip around them, which is projected where the type changes [He2016].

    Takes images, series, volumes and grids of up to three axes. With the defaults it is the basic block
    of ResNet-18; ``ResidualConvBlock(form="bottleneck")`` is the block of ResNet-50.

    Attributes:
        channels: Channels that go out; ``None`` keeps their number.
        form: ``basic``: two convolutions; ``bottleneck``: 1x1, convolution, 1x1.
        width: Channels inside over channels out, above 0; ``None``: 1 in a basic block, 0.25 in a
            bottleneck.
        kernel: Odd side of the kernels, or a tuple with one for each axis.
        stride: Step between outputs, or a tuple; the first convolution of a basic block takes it, the
            middle one of a bottleneck.
        dilation: Step between the taps of the kernels, or a tuple.
        groups: Groups of channels that do not mix, in all but 1x1 convolutions [Xie2017].
        norm: One of ``checks.NORMS``; after each convolution.
        activation: One of ``checks.ACTIVATIONS``; between convolutions and after the sum.
        order: ``post``, or ``pre``: normalise and activate before each convolution, and not after the
            sum [He2016b].
        squeeze: Width of a squeeze gate before the sum over channels out, 0 for none [Hu2018].
        squeeze_divisor: The width of the gate is rounded to the next multiple of it.
        shortcut: Projection of the skip: ``conv``, a 1x1 convolution with the stride, or ``pool``: a mean
            over the stride before it [He2019].
        radix: Convolutions of split attention in the middle of a bottleneck, which has as many channels
            inside as they divide; 0 for a plain one [Zhang2022].
        bias: Whether convolutions have a bias; ``None``: where no norm follows them.
    """

    FORMS: ClassVar[tuple[str, ...]] = ("basic", "bottleneck")

    channels: int | None = None
    form: str = "basic"
    width: float | None = None
    kernel: Size = 3
    stride: Size = 1
    dilation: Size = 1
    groups: int = 1
    norm: str = "batch"
    activation: str = "relu"
    order: str = "post"
    squeeze: float = 0
    squeeze_divisor: int = 8
    shortcut: str = "conv"
    radix: int = 0
    bias: bool | None = None

    @property
    def _bias(self) -> bool:
        return self.order == "pre" or self.norm == "none" if self.bias is None else self.bias

    def infer(self, *inputs: TensorType) -> Maps:
        item = maps_in(self, inputs)
        rank = len(axes(item))
        odd_sizes(self, inputs, rank, kernel=self.kernel)
        sizes(self, inputs, rank, stride=self.stride, dilation=self.dilation)
        whole(self, inputs, 1, groups=self.groups, squeeze_divisor=self.squeeze_divisor)
        whole(self, inputs, 0, radix=self.radix)
        known(self, inputs, self.FORMS, form=self.form)
        known(self, inputs, NORMS, norm=self.norm)
        known(self, inputs, ACTIVATIONS, activation=self.activation)
        known(self, inputs, ("post", "pre"), order=self.order)
        known(self, inputs, ("conv", "pool"), shortcut=self.shortcut)
        expect(self.squeeze >= 0, self, "needs squeeze >= 0", *inputs)
        positive(self, inputs, width=self._share)
        if self.channels is not None:
            whole(self, inputs, 1, channels=self.channels)
        even = isinstance(self.stride, int) and (self.stride == 1 or self.stride % 2 == 0)
        expect(even or self.shortcut == "conv", self, "pools by one even stride", *inputs)
        if self.radix:
            plain = self.form == "bottleneck" and self.order == "post"
            expect(plain and self.radix > 1, self, "splits a bottleneck in 2 or more", *inputs)
            expect(isinstance(self.stride, int), self, "splits with one stride", *inputs)
        made = self.channels or item.channels
        width, _ = self._widths(made)
        ends = (width,) if self.form == "bottleneck" else (item.channels, width, made)
        rule = f"needs groups to divide the channels {', '.join(map(str, ends))}"
        expect(all(end % self.groups == 0 for end in ends), self, rule, *inputs)
        return strided(item, made, self.stride)

    @property
    def _share(self) -> float:
        if self.width is not None:
            return self.width
        return 0.25 if self.form == "bottleneck" else 1.0

    def _widths(self, made: int) -> tuple[int, int]:
        """Channels inside, and of the squeeze."""
        squeeze = rounded(made * self.squeeze, self.squeeze_divisor) if self.squeeze else 0
        width = share(made, self._share)
        if self.radix:  # the splits divide the channels that enter them
            parts = self.radix * self.groups
            width = -(-width // parts) * parts
        return width, squeeze

    def _gate(self, width: int) -> int:
        """Width of the split attention's gate; every group has the same."""
        hidden = max(32, width * self.radix // 4)
        return -(-hidden // self.groups) * self.groups

    def _skip(self, item: Maps, made: int) -> str:
        """What the skip passes through."""
        steps = spread(self.stride, len(axes(item)))
        return self.shortcut if made != item.channels or max(steps) > 1 else "none"

    def call(self, *inputs: TensorType) -> Call:
        item, made = maps_in(self, inputs), self.infer(*inputs).channels
        width, squeeze = self._widths(made)
        arguments: dict[str, Any] = {
            "inputs": item.channels,
            "width": width,
            "outputs": made,
            "kernel": self.kernel,
            "stride": self.stride,
            "dilation": self.dilation,
            "groups": self.groups,
            "bottleneck": self.form == "bottleneck",
            "norm": self.norm,
            "activation": self.activation,
            "bias": self._bias,
            "squeeze": squeeze,
            "rank": len(axes(item)),
            "pre": self.order == "pre",
            "shortcut": self._skip(item, made),
            "radix": self.radix,
            "gate": self._gate(width) if self.radix else 0,
        }
        return Call(modules.ResidualConvBlock, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        item, output = maps_in(self, inputs), self.infer(*inputs)
        met, made, rank = item.channels, output.channels, len(axes(item))
        width, squeeze = self._widths(made)
        before, after, pre = positions(item), positions(output), self.order == "pre"

        def part(
            came: int, went: int, side: Size, places: int, groups: int, last: bool = False
        ) -> OpCost:
            used = not last or pre
            return (
                counts.convolution(came, went, side, places, groups, self._bias, rank)
                + counts.norm(self.norm, came if pre else went)
                + (counts.activation(self.activation) if used else OpCost())
            )

        if self.form == "bottleneck":
            total = part(met, width, 1, before, 1) + part(width, made, 1, after, 1, True)
            if self.radix:
                total += self._split_cost(width, before, rank)
            else:
                total += part(width, width, self.kernel, after, self.groups)
        else:
            total = part(met, width, self.kernel, after, self.groups)
            total += part(width, made, self.kernel, after, self.groups, True)
        if squeeze:
            total += counts.pointwise(made, squeeze, 1) + counts.pointwise(squeeze, made, 1)
        if self._skip(item, made) != "none":
            total += counts.pointwise(met, made, after, self._bias)
            total += counts.norm("none" if pre else self.norm, made)
        return total + (OpCost() if pre else counts.activation(self.activation))

    def _split_cost(self, width: int, places: int, rank: int) -> OpCost:
        hidden, wide = self._gate(width), width * self.radix
        return (
            counts.convolution(
                width,
                wide,
                self.kernel,
                places,
                self.groups * self.radix,
                self.norm == "none",
                rank,
            )
            + counts.norm(self.norm, wide)
            + counts.convolution(width, hidden, 1, 1, self.groups)
            + counts.norm(self.norm, hidden)
            + counts.convolution(hidden, wide, 1, 1, self.groups)
            + counts.activation(self.activation)
            + counts.activation(self.activation)
        )
