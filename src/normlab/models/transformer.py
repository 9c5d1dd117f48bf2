"""The transformer encoder: self-attention over the patches or rows of an image, or the steps of a sequence."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from normlab.errors import InputError, require_known
from normlab.models.counts import MAX_SIZE, require_count
from normlab.models.mlp import INITIALIZERS
from normlab.norms import check, fixes_mean_over_space

if TYPE_CHECKING:
    import keras

    from normlab.norms import Norm

ORDERS = ("pre", "post")


def transformer(
    norm: Norm,
    input_shape: Sequence[int],
    num_outputs: int,
    *,
    dim: int = 64,
    depth: int = 2,
    heads: int = 4,
    mlp_ratio: int = 2,
    patch: int = 4,
    order: str = "pre",
    dropout: float = 0.0,
    initializer: str = "glorot_uniform",
) -> keras.Model:
    """Build tokens → Dense → positions → blocks → mean over tokens → Dense(num_outputs) that gives logits.

    A block adds to its input first self-attention, then an MLP (Dense → GELU → Dense). With `pre` the norm stands
    before each of the two, x + f(norm(x)), and once more before the mean; with `post` after each sum, norm(x + f(x)).

    Every norm stands on (batch, tokens, dim): moments over the batch run over batch and tokens, as in Keras's
    BatchNormalization; those over "space" run over the tokens of a sample. No activation follows a norm here, so norms
    with one of their own (frn, evo-s0) stand with it, as published. A norm of weights acts on the two Dense layers of
    each MLP, not inside the attention.

    Refused is what subtracts each sample's mean over its tokens (instance; group with one channel a group): the mean
    that the head gets would be beta, whatever the input.

    Biases: none in the embedding, where the positions do the same; none in the attention, where the key's has no
    effect; none in an MLP's last Dense if the norm subtracts a mean, since every reader of that sum is such a norm.

    Args:
        norm: The norm; called once per place.
        input_shape: Shape of one sample: an image (rows, columns) or (rows, columns, channels), or a sequence (steps,
            features).
        num_outputs: Classes, or 1 for regression.
        dim: Length of a token's vector; a multiple of `heads`.
        depth: Blocks.
        heads: Of the attention, each of dim / heads.
        mlp_ratio: Units of the MLP's hidden layer over dim.
        patch: Side of the square patches that become tokens (Dosovitskiy et al. 2021, arXiv:2010.11929); 0 makes each
            row (or step) a token.
        order: `pre` (Xiong et al. 2020, arXiv:2002.04745) or `post` (Vaswani et al. 2017, arXiv:1706.03762).
        dropout: Share of entries dropped from what a block adds, in training; 0 for none.
        initializer: Of all kernels but the head's, one of `INITIALIZERS`; default Keras's.

    Raises:
        InputError: For a wrong option, samples that can't be cut into tokens, or a norm that can't serve.
    """
    check_transformer(
        dim=dim,
        depth=depth,
        heads=heads,
        mlp_ratio=mlp_ratio,
        patch=patch,
        order=order,
        dropout=dropout,
        initializer=initializer,
    )
    tokens, features = _token_shape(input_shape, patch)
    check(norm, (tokens, dim))
    _require_a_mean(norm, dim)
    import keras

    from normlab.models.positions import LearnedPositions

    inputs = keras.Input(tuple(input_shape), name="input")
    x = _patches(inputs, patch) if patch else keras.layers.Reshape((tokens, features), name="tokens")(inputs)
    x = keras.layers.Dense(dim, use_bias=False, kernel_initializer=initializer, name="embed")(x)
    x = LearnedPositions(name="positions")(x)
    add = partial(_residual, norm=norm, order=order, dropout=dropout)
    for number in range(depth):
        x = add(x, f"attention_{number}", partial(_attention, dim=dim, heads=heads, initializer=initializer))
        x = add(x, f"mlp_{number}", partial(_mlp, norm=norm, dim=dim, ratio=mlp_ratio, initializer=initializer))
    if order == "pre":
        x = norm(name="norm_last")(x)
    x = keras.layers.GlobalAveragePooling1D(name="mean")(x)
    return keras.Model(inputs, keras.layers.Dense(num_outputs, name="head")(x), name="transformer")


def check_transformer(
    *,
    dim: int = 64,
    depth: int = 2,
    heads: int = 4,
    mlp_ratio: int = 2,
    patch: int = 4,
    order: str = "pre",
    dropout: float = 0.0,
    initializer: str = "glorot_uniform",
) -> None:
    """Raise `InputError` for a wrong option of `transformer`, without importing Keras."""
    for name, size in {"dim": dim, "depth": depth, "heads": heads, "mlp_ratio": mlp_ratio}.items():
        require_count(name, size, MAX_SIZE)
    if dim % heads:
        action = f"try dim {dim // heads * heads or heads}"
        raise InputError("heads must divide dim", f"{heads} heads and dim {dim}", action)
    if patch != 0 or isinstance(patch, bool):
        require_count("patch", patch, MAX_SIZE)
    require_known("order", order, ORDERS)
    if isinstance(dropout, bool) or not isinstance(dropout, int | float) or not 0 <= dropout < 1:
        raise InputError("dropout must be at least 0 and below 1", dropout, "give such as 0.1, or 0 for none")
    require_known("initializer", initializer, INITIALIZERS)


def _token_shape(input_shape: Sequence[int], patch: int) -> tuple[int, int]:
    """Return the number of tokens and the features of each."""
    if len(input_shape) not in (2, 3):
        raise InputError(
            "a transformer must get images (rows, columns, channels) or sequences (steps, features)",
            f"samples of shape {tuple(input_shape)}",
            "choose data with rows or steps, or the network mlp",
        )
    rows, columns, *channels = input_shape
    if not patch:
        return rows, columns * math.prod(channels)
    if rows % patch or columns % patch:
        divisor = math.gcd(rows, columns)
        raise InputError(
            "patch must divide the rows and the columns of an image",
            f"patches of {patch} and {rows} x {columns}",
            f"try {divisor} or one of its divisors, or 0 for rows",
        )
    return rows * columns // patch**2, patch**2 * math.prod(channels)


def _require_a_mean(norm: Norm, dim: int) -> None:
    """Raise `InputError` if the norm leaves nothing to the mean over tokens that follows the last one."""
    rule = "the mean over a sample's tokens must depend on the input after the last norm"
    if fixes_mean_over_space(norm, dim):
        many = f" with {dim} groups of one channel" if "groups" in norm.options else ""
        action = "choose fewer groups" if many else "choose a norm over channels, such as layer"
        raise InputError(rule, f"{norm.name} norm{many}, which subtracts it from every channel", action)


def _patches(images: Any, patch: int) -> Any:
    """Return the square patches of images, row by row, each flattened: (batch, tokens, features)."""
    import keras

    _, rows, columns, *channels = images.shape
    cut = (rows // patch, patch, columns // patch, patch * math.prod(channels))
    x = keras.layers.Reshape(cut, name="cut")(images)
    x = keras.layers.Permute((1, 3, 2, 4), name="gather")(x)
    return keras.layers.Reshape(_token_shape(images.shape[1:], patch), name="tokens")(x)


def _residual(x: Any, name: str, sublayer: Callable[[Any, str], Any], norm: Norm, order: str, dropout: float) -> Any:
    """Return x + sublayer(norm(x)), or norm(x + sublayer(x)) for the order `post`."""
    import keras

    normed = norm(name=f"norm_{name}")
    added = sublayer(normed(x) if order == "pre" else x, name)
    if dropout:
        added = keras.layers.Dropout(dropout, name=f"{name}_dropout")(added)
    total = keras.layers.Add(name=f"{name}_sum")([x, added])
    return total if order == "pre" else normed(total)


def _attention(x: Any, name: str, dim: int, heads: int, initializer: str) -> Any:
    """Return self-attention between the tokens."""
    import keras

    size = dim // heads
    layer = keras.layers.MultiHeadAttention(heads, size, use_bias=False, kernel_initializer=initializer, name=name)
    return layer(x, x)


def _mlp(x: Any, name: str, norm: Norm, dim: int, ratio: int, initializer: str) -> Any:
    """Return two Dense layers with GELU between, for each token."""
    import keras

    first = keras.layers.Dense(ratio * dim, kernel_initializer=initializer, name=f"{name}_in")
    last = keras.layers.Dense(dim, use_bias=not norm.cancels_bias, kernel_initializer=initializer, name=f"{name}_out")
    x = keras.layers.Activation("gelu", name=f"{name}_gelu")(norm.wrap(first)(x))
    return norm.wrap(last)(x)
