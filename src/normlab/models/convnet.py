"""The convolutional network: stages of 3x3 convolution, norm, activation, with pooling between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from normlab.errors import InputError, require_known
from normlab.models.activations import ACTIVATIONS
from normlab.models.counts import require_count, require_widths
from normlab.models.images import can_be_halved, image_entrance, image_shape
from normlab.models.initializers import INITIALIZERS
from normlab.models.placement import PLACEMENTS, activation_at, in_order, needs_bias, norm_layer
from normlab.norms import fixes_mean_over_space

if TYPE_CHECKING:
    import keras

    from normlab.norms import Norm

# One convolution of 4,096 on 4,096 channels takes 600 MB: a larger one is a slip of the keyboard.
MAX_CHANNELS = 4096
MAX_CONVS_PER_STAGE = 100


def convnet(
    norm: Norm,
    input_shape: Sequence[int],
    num_outputs: int,
    *,
    widths: Sequence[int] = (32, 64, 128),
    convs_per_stage: int = 2,
    activation: str = "relu",
    initializer: str = "he_normal",
    placement: str = "before",
) -> keras.Model:
    """Build per width `convs_per_stage` times Conv2D(3x3) → norm → activation, then the mean over space and the head.

    Between two stages stands a max pooling of 2x2, unless a side would fall below 2: images of 8x8 are pooled twice.
    The head, Dense(num_outputs), gives logits. The design is that of Simonyan and Zisserman 2015, arXiv:1409.1556
    (VGG), with the mean over space of Lin et al. 2014, arXiv:1312.4400, in place of its large Dense layers.

    A convolution directly before a norm that subtracts a mean per unit has no bias: the norm would cancel it. A norm of
    weights acts on the convolutions themselves. A norm whose published form contains the activation (frn, evo-s0)
    takes its place where it stands before it: an identity of that name follows.

    Args:
        norm: The norm; called once per convolution.
        input_shape: Shape of one image, (H, W) or (H, W, channels).
        num_outputs: Classes, or 1 for regression.
        widths: Channels of the stages. Default 32, 64, 128: doubled where the sides halve, so that stages cost about
            the same; with 0.29 million parameters as large as a ResNet-20. Four groups divide each.
        convs_per_stage: Convolutions in each stage.
        activation: One of `ACTIVATIONS`.
        initializer: Of the convolutions' kernels, one of `INITIALIZERS`; biases start at zero. Default: He et al. 2015,
            for ReLU. The head keeps Keras's default, Glorot uniform.
        placement: The norm stands `before` the activation (Ioffe and Szegedy 2015) or `after` it.

    Raises:
        InputError: For an option that `check_convnet` refuses, samples that are no images, or a norm that can't serve
            where it stands.
    """
    check_convnet(
        widths=widths,
        convs_per_stage=convs_per_stage,
        activation=activation,
        initializer=initializer,
        placement=placement,
    )
    height, width, _ = image_shape("convnet", input_shape)
    _require_varying_mean(norm, widths[-1], activation, placement)
    import keras

    from normlab.models.pooling import HalvingMaxPooling

    layers = image_entrance(input_shape)
    for stage, channels in enumerate(widths):
        if stage and can_be_halved((height, width)):
            height, width = height // 2, width // 2
            layers.append(HalvingMaxPooling(name=f"stage_{stage}_pool"))
        for number in range(convs_per_stage):
            conv = keras.layers.Conv2D(
                channels,
                3,
                padding="same",
                use_bias=needs_bias(norm, placement),
                kernel_initializer=initializer,
                name=f"stage_{stage}_conv_{number}",
            )
            layers.append(norm.wrap(conv))
            placed = norm_layer(norm, (height, width, channels), f"stage_{stage}_norm_{number}")
            beside = activation_at(norm, activation, f"stage_{stage}_activation_{number}", placement)
            layers += in_order(placed, beside, placement)
    layers.append(keras.layers.GlobalAveragePooling2D(name="mean_over_space"))
    layers.append(keras.layers.Dense(num_outputs, name="head"))
    return keras.Sequential(layers, name="convnet")


def check_convnet(
    *,
    widths: Sequence[int] = (32, 64, 128),
    convs_per_stage: int = 2,
    activation: str = "relu",
    initializer: str = "he_normal",
    placement: str = "before",
) -> None:
    """Raise `InputError` for an option of `convnet` that is unknown or out of bounds, without importing Keras."""
    require_widths(widths, MAX_CHANNELS, "32,64,128")
    require_count("convs_per_stage", convs_per_stage, MAX_CONVS_PER_STAGE)
    require_known("activation", activation, ACTIVATIONS)
    require_known("initializer", initializer, INITIALIZERS)
    require_known("placement", placement, PLACEMENTS)


def _require_varying_mean(norm: Norm, channels: int, activation: str, placement: str) -> None:
    """The last norm must not stand directly before the mean over space if it makes that mean a constant."""
    if fixes_mean_over_space(norm, channels) and (placement == "after" or activation == "linear"):
        raise InputError(
            f"in convnet an activation must stand between {norm.name} norm and the mean over space: "
            "over one channel of one sample, that mean is beta whatever the input",
            f"placement {placement}, activation {activation}",
            "choose placement before with an activation other than linear, or another norm, such as layer",
        )
