"""Networks by name: one literal table of builders, each taking a norm."""

from __future__ import annotations

from normlab.models.convnet import check_convnet, convnet
from normlab.models.mlp import check_mlp, mlp
from normlab.models.network import Network
from normlab.models.recurrent import check_recurrent, recurrent
from normlab.models.resnet import check_resnet, resnet
from normlab.models.transformer import check_transformer, transformer

__all__ = ["MODELS", "Network", "convnet", "mlp", "recurrent", "resnet", "transformer"]

MODELS = {
    "mlp": Network("Dense layers over the flattened input", mlp, check_mlp),
    "convnet": Network("stages of 3x3 convolutions with pooling, for images", convnet, check_convnet),
    "resnet": Network("the residual network of He et al. for CIFAR-10", resnet, check_resnet),
    "recurrent": Network("simple, GRU or LSTM over the rows of an image or a sequence", recurrent, check_recurrent),
    "transformer": Network("a small encoder over patches of an image, or rows", transformer, check_transformer),
}
