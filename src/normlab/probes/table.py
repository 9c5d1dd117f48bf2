"""The probes by name: one literal table. What each computes is in the module of its name."""

from __future__ import annotations

from normlab.probes.probe import Probe

PROBES = {
    "activations": Probe(
        measures="the distribution of each layer's output over a batch, its saturated values, dead units and rank",
        quantities=(
            "mean",
            "variance",
            "percentile_15",
            "percentile_50",
            "percentile_85",
            "effective_rank",
            "saturated",
            "dead",
        ),
        main="effective_rank",
        applies_to="every layer; saturated: tanh, sigmoid, softsign and their hard forms; dead: ReLU and ReLU6",
        cost="1 forward pass; a sort and the eigenvectors of two small matrices per layer",
        per="run",
        module="activations",
    ),
    "gradients": Probe(
        measures="the norm of the loss's gradient by each layer's parameters and by each layer's output",
        quantities=("parameter_gradient", "output_gradient"),
        main="parameter_gradient",
        applies_to="parameter_gradient: layers with trainable variables; output_gradient: every layer",
        cost="1 gradient",
        per="run",
        module="gradients",
    ),
    "covariate-shift": Probe(
        measures="how a step of the layers before a layer changes that layer's gradient",
        quantities=("gradient_shift", "gradient_cosine", "gradient_norm"),
        main="gradient_shift",
        applies_to="layers with trainable variables but the first",
        cost="1 gradient per layer with trainable variables, and a step",
        per="run",
        module="covariate_shift",
    ),
    "landscape": Probe(
        measures="how far the loss and its gradient change along the gradient, over six step sizes",
        quantities=("loss_lowest", "loss_highest", "loss_range", "gradient_change", "smoothness"),
        main="smoothness",
        applies_to="the whole network",
        cost="7 gradients",
        per="run",
        module="landscape",
    ),
    "curvature": Probe(
        measures="the largest and the smallest eigenvalue of the loss's Hessian",
        quantities=("largest_eigenvalue", "smallest_eigenvalue", "residual"),
        main="largest_eigenvalue",
        applies_to="the whole network",
        cost="30 Hessian-vector products, each about 2 gradients",
        per="run",
        module="curvature",
    ),
    "statistics-gap": Probe(
        measures="how far running, batch and precise statistics are apart",
        quantities=tuple(
            f"{moment}_{pair}"
            for moment in ("mean", "variance", "square")
            for pair in ("batch_to_running", "precise_to_running", "batch_to_precise")
        ),
        main="mean_batch_to_running",
        applies_to="layers with running statistics: batch norm and its kin",
        cost="1 forward pass",
        per="run",
        module="statistics_gap",
    ),
    "companions": Probe(
        measures="how much a sample's output depends on the other samples of its batch",
        quantities=("spread", "relative_spread", "leak", "own"),
        main="relative_spread",
        applies_to="the whole network, on at least two batches of samples",
        cost="8 forward passes; on one batch 1 more, and 4 backward passes per output",
        per="run",
        module="companions",
    ),
    "memory": Probe(
        measures="bytes kept for the backward pass, scratch memory, parameters, running buffers, and operations",
        quantities=(
            "saved_bytes",
            "saved_bytes_per_sample",
            "temporary_bytes",
            "parameter_bytes",
            "running_bytes",
            "training_flops",
            "inference_flops",
        ),
        main="saved_bytes_per_sample",
        applies_to="the whole network",
        cost="2 compilations",
        per="arm",
        module="memory",
    ),
}
