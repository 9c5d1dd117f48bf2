"""The residual network for small images of He et al. 2016: three stages of blocks of two 3x3 convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from normlab.errors import InputError, require_known
from normlab.models.activations import ACTIVATIONS, activation_layer
from normlab.models.counts import require_count
from normlab.models.images import can_be_halved, image_entrance, image_shape
from normlab.models.initializers import INITIALIZERS
from normlab.models.placement import activation_at, needs_bias, norm_layer

if TYPE_CHECKING:
    import keras

    from normlab.norms import Norm

NUM_STAGES = 3
CONVS_PER_BLOCK = 2
# The deepest net of the paper's table 6.
MAX_DEPTH = 1202
# The last stage has four times as many channels; see `normlab.models.convnet.MAX_CHANNELS`.
MAX_WIDTH = 1024


def resnet(
    norm: Norm,
    input_shape: Sequence[int],
    num_outputs: int,
    *,
    depth: int = 8,
    width: int = 16,
    activation: str = "relu",
    initializer: str = "he_normal",
) -> keras.Model:
    """Build a convolution, three stages of n = (depth - 2) / 6 residual blocks, the mean over space and the head.

        block(x) = activation(shortcut(x) + norm(conv(activation(norm(conv(x))))))

    Convolutions are 3x3. The stages have `width`, 2 width and 4 width channels; the second and third begin with stride
    2, unless a side would fall below 2. The head, Dense(num_outputs), gives logits. With depth 20, width 16 and batch
    norm this is the paper's ResNet-20 of 0.27 million parameters.

    Where a stage changes the shape, the shortcut takes every second position and adds channels of zeros (the paper's
    option A, its choice for CIFAR-10). It has no weights, so the arms differ in nothing but the norms of the
    convolutions; the projection of option B would need a norm of its own.

    A convolution directly before a norm that subtracts a mean per unit has no bias: the norm would cancel it. A norm of
    weights acts on the convolutions themselves. A norm whose published form contains the activation (frn, evo-s0)
    takes the place of the activation inside the block, where an identity of that name stands, and of the one after the
    first convolution; the activation after the addition stays. With the norm `none`, norms are identities.

    Source: He, Zhang, Ren, Sun 2016, "Deep Residual Learning for Image Recognition", arXiv:1512.03385, section 4.2.

    Args:
        norm: The norm; called once per convolution.
        input_shape: Shape of one image, (H, W) or (H, W, channels).
        num_outputs: Classes, or 1 for regression.
        depth: Layers with weights, 6n + 2: 8, 14, 20, ...
        width: Channels of the first stage.
        activation: One of `ACTIVATIONS`.
        initializer: Of the convolutions' kernels, one of `INITIALIZERS`; biases start at zero. Default: He et al. 2015,
            for ReLU. The head keeps Keras's default, Glorot uniform.

    Raises:
        InputError: For an option that `check_resnet` refuses, samples that are no images, or a norm that can't serve
            where it stands.
    """
    check_resnet(depth=depth, width=width, activation=activation, initializer=initializer)
    image_shape("resnet", input_shape)
    import keras

    def normed_conv(x: Any, channels: int, stride: int, conv_name: str, norm_name: str) -> Any:
        conv = keras.layers.Conv2D(
            channels,
            3,
            stride,
            padding="same",
            use_bias=needs_bias(norm),
            kernel_initializer=initializer,
            name=conv_name,
        )
        x = norm.wrap(conv)(x)
        return norm_layer(norm, x.shape[1:], norm_name)(x)

    def block(x: Any, channels: int, stride: int, name: str) -> Any:
        inner = normed_conv(x, channels, stride, f"{name}_conv_0", f"{name}_norm_0")
        inner = activation_at(norm, activation, f"{name}_activation_0")(inner)
        inner = normed_conv(inner, channels, 1, f"{name}_conv_1", f"{name}_norm_1")
        added = keras.layers.Add(name=f"{name}_add")([_shortcut(x, channels, stride, name), inner])
        return activation_layer(activation, f"{name}_activation_1")(added)

    inputs, *reshape = image_entrance(input_shape)
    x = reshape[0](inputs) if reshape else inputs
    x = normed_conv(x, width, 1, "stem_conv", "stem_norm")
    x = activation_at(norm, activation, "stem_activation")(x)
    for stage in range(NUM_STAGES):
        for number in range(_blocks_per_stage(depth)):
            begins = stage > 0 and number == 0
            stride = 2 if begins and can_be_halved(x.shape[1:3]) else 1
            x = block(x, width * 2**stage, stride, f"stage_{stage}_block_{number}")
    x = keras.layers.GlobalAveragePooling2D(name="mean_over_space")(x)
    return keras.Model(inputs, keras.layers.Dense(num_outputs, name="head")(x), name="resnet")


def check_resnet(*, depth: int = 8, width: int = 16, activation: str = "relu", initializer: str = "he_normal") -> None:
    """Raise `InputError` for an option of `resnet` that is unknown or out of bounds, without importing Keras."""
    require_count("depth", depth, MAX_DEPTH)
    if _depth_of(_blocks_per_stage(depth)) != depth or depth < _depth_of(1):
        nearest = _depth_of(max(1, round((depth - 2) / (NUM_STAGES * CONVS_PER_BLOCK))))
        raise InputError("depth must be 6n + 2, such as 8, 14, 20", depth, f"try {nearest}")
    require_count("width", width, MAX_WIDTH)
    require_known("activation", activation, ACTIVATIONS)
    require_known("initializer", initializer, INITIALIZERS)


def _blocks_per_stage(depth: int) -> int:
    return (depth - 2) // (NUM_STAGES * CONVS_PER_BLOCK)


def _depth_of(blocks_per_stage: int) -> int:
    """Return the layers with weights: the blocks' convolutions, the first convolution and the head."""
    return blocks_per_stage * NUM_STAGES * CONVS_PER_BLOCK + 2


def _shortcut(x: Any, channels: int, stride: int, name: str) -> Any:
    """Return x at every `stride`-th position, with channels of zeros after its own."""
    import keras

    if stride > 1:
        x = keras.layers.AveragePooling2D(1, stride, name=f"{name}_subsample")(x)
    if missing := channels - x.shape[-1]:
        # Read as channels first, the layer pads the last two axes, of which the last holds the channels here.
        padding = keras.layers.ZeroPadding2D(
            ((0, 0), (0, missing)), data_format="channels_first", name=f"{name}_zero_channels"
        )
        x = padding(x)
    return x
