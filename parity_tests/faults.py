"""The lists of faults: those that must be found, each in one engine alone, and those that cannot be."""

from coretx.models.spec import ModelSpec
from coretx.training.backend import Manifest
from parity_tests.mutants import (
    Mutant,
    decays,
    flipped_label,
    given_constants,
    given_data,
    given_steps,
    has_head_bias,
    late,
)

J_LAYERS, T_LAYERS, J_KERNELS = "jaxtx.layers:", "torchtx.layers:", "jaxtx.kernels:"
TWICE = " * jnp.where(jnp.arange(logits.shape[-1]) == 1, 2, 1)"
J_MULTI, T_MULTI = "jaxtx.models.multilayer_transformer:", "torchtx.models.multilayer_transformer:"
J_SINGLE, T_SINGLE = "jaxtx.models.singlelayer_transformer:", "torchtx.models.singlelayer_transformer:"
J_EPOCH, T_EPOCH = "jaxtx.programs:train_epoch", "torchtx.programs:train_epoch"
MULTI, SINGLE, SELF, BAHDANAU = (
    "multilayer_transformer",
    "singlelayer_transformer",
    "self_attention",
    "bahdanau_attention",
)
J_NORM = "kernels.layer_norm(x, self.scale[...], self.bias[...])"
OWN_NORM = "(x - x.mean(-1, keepdims=True)) / jnp.sqrt({} + {}) * self.scale[...] + self.bias[...]"
UNBIASED_NORM = (
    "self.attention_norm.bias + self.attention_norm.weight * (x - x.mean(-1, keepdim=True)) "
    "/ torch.sqrt(x.var(-1, keepdim=True) + 1e-5)"
)
NO_DECAY_ON_BIASES = (
    "jnp.concatenate([jnp.full(p.span.stop - p.span.start, 0.0 if p.name.endswith('bias') else 1.0) "
    "for p in model.parameters]) * schedule.weight_decay"
)
MOMENTS = """first = adam.b1 * carry.first_moment + adam.rest1 * gradients
        second = adam.b2 * carry.second_moment + adam.rest2 * gradients**2"""
COUPLED = "(gradients + schedule.weight_decay * carry.parameters)"
FAR_STEPS = "[state['step'].add_(1000000) for state in member.optimizer.state.values()]"
NEAR_STEPS = FAR_STEPS.replace("add_", "sub_")

FORWARD_MUTANTS = (
    Mutant("LayerNorm eps 1e-6 for 1e-5", "jax", MULTI, ("forward/blocks.0.attention.logits", 0),
           ((J_LAYERS + "LayerNorm.__call__", J_NORM, OWN_NORM.format("x.var(-1, keepdims=True)", 1e-6)),)),
    Mutant("LayerNorm variance over n - 1", "torch", MULTI, ("forward/blocks.0.attention.logits", 0),
           ((T_MULTI + "Block.forward", "self.attention_norm(x)", UNBIASED_NORM),)),
    Mutant("tanh GELU for exact", "jax", MULTI, ("forward/blocks.0.output", 0),
           ((J_MULTI + "Block.__call__", "kernels.gelu(", "nnx.gelu("),)),
    Mutant("tanh GELU for exact", "torch", MULTI, ("forward/blocks.0.output", 0),
           ((T_MULTI + "Block.forward", 'approximate="none"', 'approximate="tanh"'),)),
    Mutant("residual path left out", "jax", MULTI, ("forward/blocks.0.output", 0),
           ((J_MULTI + "Block.__call__", "x = x + self.contract", "x = self.contract"),)),
    Mutant("values from steps that are not normed", "torch", MULTI, ("forward/blocks.0.attention.logits", 0),
           ((T_MULTI + "Block.forward", "normed[:, :queries], normed, record", "normed[:, :queries], x, record"),)),
    Mutant("heads split in the wrong order", "jax", MULTI, ("forward/blocks.0.attention.logits", 0),
           ((J_LAYERS + "Attention.__call__", "key = self.key(keys).reshape(*keys.shape[:-1], *split)",
             "key = self.key(keys).reshape(*keys.shape[:-1], *split[::-1]).swapaxes(2, 3)"),)),
    Mutant("scores divided by sqrt(width) for sqrt(head_dim)", "torch", MULTI,
           ("forward/blocks.0.attention.logits", 0),
           ((T_LAYERS + "scaled_dot_product", "key.shape[-1] ** 0.5", "(key.shape[-1] * key.shape[-2]) ** 0.5"),)),
    Mutant("scores not divided by sqrt(head_dim)", "jax", SINGLE, ("forward/attention.logits", 0),
           ((J_LAYERS + "scaled_dot_product", " / key.shape[-1] ** 0.5", ""),)),
    Mutant("values mixed by exponents, not divided by their sum", "jax", SINGLE, ("forward/attended", 0),
           ((J_KERNELS + "mix_forward", "mixed[..., :-1] * inverse", "mixed[..., :-1]"),)),
    Mutant("one key counted twice", "jax", SINGLE, ("forward/attention.weights", 0),
           ((J_KERNELS + "mix_forward", "logits.max(axis=-1, keepdims=True))", f"logits.max()){TWICE}"),)),
    Mutant("queries and keys swapped", "jax", SINGLE, ("forward/attention.logits", 0),
           ((J_LAYERS + "scaled_dot_product", "query / key.shape[-1] ** 0.5, key)",
             "key / key.shape[-1] ** 0.5, query)"),)),
    Mutant("softmax over the queries", "torch", SINGLE, ("forward/attention.weights", 0),
           ((T_LAYERS + "scaled_dot_product", "softmax(logits, dim=-1)", "softmax(logits, dim=-2)"),)),
    Mutant("softmax over the queries before that over the keys", "jax", SINGLE, ("forward/attention.weights", 0),
           ((J_KERNELS + "mix_forward", "logits - logits.max(axis=-1, keepdims=True)",
             "jax.nn.log_softmax(logits, axis=-2)"),)),
    Mutant("positions shifted by one", "torch", SINGLE, ("forward/hidden", 0),
           ((T_SINGLE + "add_positions", "sinusoids(*x.shape[1:])", "sinusoids(x.shape[1] + 1, x.shape[2])[1:]"),)),
    Mutant("CLS at the end", "jax", SINGLE, ("forward/hidden", 0),
           ((J_SINGLE + "prepend", "[jnp.broadcast_to(cls, (x.shape[0], 1, x.shape[2])), x]",
             "[x, jnp.broadcast_to(cls, (x.shape[0], 1, x.shape[2]))]"),)),
    Mutant("cosine and sine exchanged", "jax", SINGLE, ("forward/hidden", 0),
           ((J_LAYERS + "sinusoids", "channel % 2 == 0", "channel % 2 == 1"),)),
    Mutant("float32 positions in the float64 path", "jax", SINGLE, ("forward/hidden", 0),
           ((J_SINGLE + "add_positions", "sinusoids(*x.shape[1:])", "sinusoids(*x.shape[1:]).astype('float32')"),)),
    Mutant("square weight transposed", "jax", SELF, ("initial/mix.weight", 0),
           (("jaxtx.parameters:Layout.vector", "np.swapaxes(tensors[p.name], 1, 2) if p.is_kernel",
             "np.swapaxes(tensors[p.name], 1, 2) if p.is_kernel and len(set(p.shape)) > 1"),)),
    Mutant("square weight transposed", "torch", SELF, ("forward/mixed", 0),
           (("torchtx.models.self_attention:SelfAttention.forward", "self.mix(attended)",
             "torch.nn.functional.linear(attended, self.mix.weight.T, self.mix.bias)"),)),
    Mutant("mean over channels is a sum", "torch", BAHDANAU, ("forward/attention.logits", 0),
           (("torchtx.models.bahdanau_attention:BahdanauAttention.forward", "hidden.mean(dim=2)",
             "hidden.sum(dim=2)"),)),
    Mutant("mean over channels is a sum", "jax", "temporal", ("forward/verdicts", 0),
           (("jaxtx.models.temporal:Temporal.__call__", "hidden.mean(axis=2)", "hidden.sum(axis=2)"),)),
    Mutant("mean over steps is a sum", "torch", SELF, ("loss", 0),
           (("torchtx.models.self_attention:SelfAttention.forward", "mixed.mean(dim=1)", "mixed.sum(dim=1)"),)),
    Mutant("bias of the steps without a gradient", "jax", BAHDANAU, ("grad_norm", 0),
           ((J_LAYERS + "Linear.__call__", "self.bias[...]", "kernels.jax.lax.stop_gradient(self.bias[...])"),)),
)  # fmt: skip

KERNEL_MUTANTS = (
    Mutant("bias subtracted", "jax", BAHDANAU, ("loss", 1),
           ((J_KERNELS + "linear_forward", "+ along_rows(bias, x)", "- along_rows(bias, x)"),)),
    Mutant("gradient by the input of a layer reversed", "jax", BAHDANAU, ("grad_norm", 0),
           ((J_KERNELS + "linear_backward", "slope @ kernel.T", "slope[..., ::-1] @ kernel.T"),)),
    Mutant("gradient of a widening layer's weights halved", "jax", BAHDANAU, ("grad_norm", 0),
           ((J_KERNELS + "linear_backward", "= rows.T @ slopes", "= rows.T @ slopes / 2"),)),
    Mutant("gradient of a narrowing layer's weights halved", "jax", MULTI, ("grad_norm", 0),
           ((J_KERNELS + "linear_backward", "barrier(slopes.T @ rows)", "barrier(slopes.T @ rows / 2)"),)),
    Mutant("gradient of a layer's bias averaged", "jax", BAHDANAU, ("grad_norm", 0),
           ((J_KERNELS + "linear_backward", "column_sums(slope)", "column_sums(slope) / len(rows)"),)),
    Mutant("LayerNorm's bias subtracted", "jax", MULTI, ("loss", 1),
           ((J_KERNELS + "layer_norm_forward", "+ along_rows(bias, x)", "- along_rows(bias, x)"),)),
    Mutant("gradient of LayerNorm with its mean", "jax", MULTI, ("grad_norm", 0),
           ((J_KERNELS + "layer_norm_backward", "scaled - row_sums(scaled) / width - ", "scaled - "),)),
    Mutant("gradient of LayerNorm with its part along x", "jax", MULTI, ("grad_norm", 0),
           ((J_KERNELS + "layer_norm_backward", " - normed * along", ""),)),
    Mutant("gradient of LayerNorm's scale without x", "jax", MULTI, ("grad_norm", 0),
           ((J_KERNELS + "layer_norm_backward", "column_sums(slope * normed)", "column_sums(slope)"),)),
    Mutant("a coefficient of tanh", "jax", BAHDANAU, ("forward/hidden", 0),
           ((J_KERNELS + "tanh_forward", "1260", "1261"),)),
    Mutant("tanh of large numbers from e^-x", "jax", BAHDANAU, ("forward/hidden", 0),
           ((J_KERNELS + "tanh_forward", "jnp.exp(-2 *", "jnp.exp(-1 *"),)),
    Mutant("gradient of tanh not squared", "jax", BAHDANAU, ("grad_norm", 0),
           ((J_KERNELS + "tanh_backward", "1 - value * value", "1 - jnp.abs(value)"),)),
    Mutant("GELU of a wider normal", "jax", MULTI, ("forward/blocks.0.output", 0),
           ((J_KERNELS + "gelu_forward", "x * 0.5**0.5", "x * 0.5"),)),
    Mutant("gradient of GELU without the density", "jax", MULTI, ("grad_norm", 0),
           ((J_KERNELS + "gelu_backward", "below + x * density", "below"),)),
    Mutant("gradient of scores without their mean", "jax", SINGLE, ("grad_norm", 0),
           ((J_KERNELS + "mix_backward", "-row_sums(slopes * mixed)", "0 * row_sums(slopes * mixed)"),)),
    Mutant("gradient of values by exponents", "jax", SINGLE, ("grad_norm", 0),
           ((J_KERNELS + "mix_backward", "swapaxes(2, 3) @ slopes", "swapaxes(2, 3) @ slope.swapaxes(1, 2)"),)),
    Mutant("sums over rows without the first", "jax", MULTI, ("forward/blocks.0.attention.logits", 0),
           ((J_KERNELS + "row_sums", "x.dtype)", "x.dtype).at[0].set(0)"),)),
    Mutant("sums over columns without the first row", "jax", BAHDANAU, ("grad_norm", 0),
           ((J_KERNELS + "column_sums", "x.dtype)", "x.dtype).at[0, 0].set(0)"),)),
)  # fmt: skip
"""In `jaxtx.kernels`: every forward and every hand-written gradient."""

TRAINING_MUTANTS = (
    Mutant("decay coupled to the gradient", "jax", "mlp", ("first_moment/head.weight", 0),
           ((J_EPOCH, MOMENTS, MOMENTS.replace("gradients", COUPLED)),), applies=decays),
    Mutant("no decay on biases", "jax", "mlp", ("parameters/head.bias", 1),
           ((J_EPOCH, "direction + schedule.weight_decay", "direction + " + NO_DECAY_ON_BIASES),), applies=decays),
    Mutant("no decay at all", "torch", "mlp", ("parameters/head.weight", 0),
           ((T_EPOCH, "float(schedule.weight_decay)", "0.0"),), applies=decays),
    Mutant("bias correction missing", "torch", "mlp", ("parameters/head.bias", 0),
           ((T_EPOCH, "member.optimizer.step()", f"{FAR_STEPS}; member.optimizer.step(); {NEAR_STEPS}"),)),
    Mutant("bias correction missing", "jax", "mlp", ("parameters/head.bias", 0),
           ((J_EPOCH, "jnp.sqrt(second / unbiased2)", "unbiased1 * jnp.sqrt(second)"),)),
    Mutant("eps inside the root", "jax", "mlp", ("parameters/head.bias", 0),
           ((J_EPOCH, "(jnp.sqrt(second / unbiased2) + adam.eps)", "jnp.sqrt(second / unbiased2 + adam.eps)"),)),
    Mutant("betas exchanged", "jax", "mlp", ("first_moment/head.bias", 0),
           given=given_constants(b1=0.999, b2=0.9)),
    Mutant("b2 0.99 for 0.999", "torch", "mlp", ("second_moment/head.bias", 0), given=given_constants(b2=0.99)),
    Mutant("eps 1e-7 for 1e-8", "torch", "mlp", ("parameters/head.bias", 0), given=given_constants(eps=1e-7)),
    Mutant("gradient of the head's bias zero", "jax", "mlp", ("grad_norm", 0),
           ((J_EPOCH, "gradients = model.join(tensors)",
             'gradients = model.join(tensors).at[model["head.bias"].span].set(0.0)'),), applies=has_head_bias),
    Mutant("gradient of the head's bias zero", "torch", "mlp", ("grad_norm", 0),
           ((T_EPOCH, "loss.backward()", "loss.backward(); member.model.head.bias.grad.zero_()"),),
           applies=has_head_bias),
    Mutant("loss summed for averaged", "torch", "logreg", ("grad_norm", 0),
           (("torchtx.programs:weighted_loss", 'sums["loss_sum"] / sums["count"]', 'sums["loss_sum"]'),)),
    Mutant("mean over padded rows too", "jax", "logreg", ("grad_norm", 4),
           (("jaxtx.programs:weighted_loss", 'sums["loss_sum"] / sums["count"]', 'sums["loss_sum"] / len(weight)'),)),
    Mutant("rows that pad the last batch counted", "jax", "logreg", ("count", 4),
           ((J_EPOCH, "rows, weight = batch", "rows, weight = batch[0], jnp.ones_like(batch[1])"),)),
    Mutant("schedule late by one step", "torch", "logreg", ("parameters/head.bias", 5),
           given=given_steps(learning_rate=lambda steps: late(steps.learning_rate, 1))),
    Mutant("schedule late by one epoch", "jax", "logreg", ("parameters/head.bias", 5),
           given=given_steps(learning_rate=lambda steps: late(steps.learning_rate, 5))),
    Mutant("batches late by one", "jax", "logreg", ("loss", 1), given=given_steps(rows=lambda s: late(s.rows, 1))),
    Mutant("one label flipped", "torch", "logreg", ("loss", 0), given=given_data(flipped_label)),
    Mutant("class 1 from logit -0.5", "jax", "logreg", ("correct", 0),
           (("jaxtx.programs:loss_and_correct", "targets.right(logits, y)", "((logits > -0.5) == (y > 0.5))"),)),
)  # fmt: skip

MUTANTS = FORWARD_MUTANTS + KERNEL_MUTANTS + TRAINING_MUTANTS


def mutants_of(spec: ModelSpec, manifest: Manifest) -> tuple[Mutant, ...]:
    """Return the faults that can be seen in this model: those of its own forward pass, and all in training.

    Loss, optimizer, schedule, batches and data are the same code for every model, a plugin's too.
    """
    own = tuple(mutant for mutant in FORWARD_MUTANTS + KERNEL_MUTANTS if mutant.model == spec.name)
    return own + tuple(mutant for mutant in TRAINING_MUTANTS if mutant.applies(spec, manifest))


FIRST_RATE = "schedule.learning_rate[epoch]", "schedule.learning_rate[0]"
FIRST_MEMBERS = "np.repeat({}[:1], len(rows), axis=0)"
J_ACCESS, T_ACCESS, TRAINING = "jaxtx.access:JaxAccess.", "torchtx.access:TorchAccess.", "coretx.training.loop:"

MEMBER_MUTANTS = {
    "vmap": (
        Mutant("decay of the first point for all", "jax", "logreg", ("history/loss_train", 2),
               ((J_ACCESS + "train", "learning_rate)), weight_decay)",
                 f"learning_rate)), {FIRST_MEMBERS.format('weight_decay')})"),)),
        Mutant("rates of the first point for all", "jax", "logreg", ("history/loss_train", 4),
               ((J_ACCESS + "train", "(rows, weights, learning_rate)",
                 f"(rows, weights, {FIRST_MEMBERS.format('learning_rate')})"),)),
        Mutant("rates of the first epoch for a whole chunk", "jax", "logreg", ("history/loss_train", 0),
               ((J_EPOCH, *FIRST_RATE),)),
        Mutant("epochs counted from the chunk's first", "jax", "logreg", ("best_epoch", 3),
               (("jaxtx.programs:train_chunk", "loss, carry.epoch)", "loss, i)"),)),
        Mutant("best epoch of the last chunk alone", "jax", "logreg", ("best/head.bias", 0),
               (("jaxtx.programs:train_chunk", "one_epoch, (carry,",
                 "one_epoch, (carry._replace(best=carry.best._replace(loss=jnp.full_like(carry.best.loss, jnp.inf))),"),
                )),
        Mutant("explanation of the first member for all", "jax", "logreg", ("explained", 1),
               ((J_ACCESS + "explain", "np.int32(member)", "np.int32(0)"),)),
    ),
    "loop": (
        Mutant("schedule of the first member for all", "jax", "logreg", ("history/loss_train", 1),
               ((J_ACCESS + "train", "self._carries, own))", "self._carries, own[:1] * len(own)))"),)),
        Mutant("answers of the first member for all", "jax", "logreg", ("logits", 1),
               ((J_ACCESS + "_look", "compiled(carry.parameters", "compiled(self._carries[0].parameters"),)),
        Mutant("decay of the first point for all", "torch", "logreg", ("history/loss_train", 2),
               ((T_ACCESS + "train", "learning_rate, weight_decay, strict",
                 f"learning_rate, {FIRST_MEMBERS.format('weight_decay')}, strict"),)),
        Mutant("best weights of the first member for all", "torch", "logreg", ("chosen/val", 1),
               (("parity_tests.grids:restore_best", 'state[f"best/{name}"]',
                 'np.repeat(state[f"best/{name}"][:1], access.members, axis=0)'),)),
        Mutant("decays in the order of members, not of points", "torch", "logreg", ("history/loss_train", 1),
               ((TRAINING + "plan_chunk", "np.repeat(decays", "np.tile(decays"),)),
        Mutant("rates in the order of members, not of points", "torch", "logreg", ("history/loss_train", 2),
               ((TRAINING + "plan_chunk", "np.repeat(rates, population.members, axis=0)",
                 "np.tile(rates, (population.members, 1))"),)),
    ),
}  # fmt: skip
"""Faults that give a member of a population something of another member or of another epoch, by how members run."""

J_BETTER = "jaxtx.programs:keep_better", "now.loss < best.loss"
T_BETTER = "torchtx.programs:keep_better", "loss < member"

TIE_MUTANTS = (
    (
        Mutant("class 1 from logit 0", "jax", "logreg", ("correct", 0),
               (("jaxtx.programs:loss_and_correct", "targets.right(logits, y)", "((logits >= 0) == (y > 0.5))"),)),
        Mutant("class 1 from logit 0", "torch", "logreg", ("correct", 0),
               (("torchtx.programs:loss_and_correct", "targets.right(logits, y)", "((logits >= 0) == (y > 0.5))"),)),
        Mutant("class 1 from logit 0 in the scores", "torch", "logreg", ("accuracy", 0),
               (("parity_tests.test_ties:split_scores", "targets.right(logits, y)", "((logits >= 0) == (y > 0.5))"),)),
    ),
    (
        Mutant("last of equal epochs", "jax", "logreg", ("best_epoch", 0),
               ((*J_BETTER, "now.loss <= best.loss"),)),
        Mutant("last of equal epochs", "torch", "logreg", ("best_epoch", 0), ((*T_BETTER, "loss <= member"),)),
    ),
    (
        Mutant("NaN is better", "jax", "logreg", ("best_epoch", 0), ((*J_BETTER, "~(now.loss >= best.loss)"),)),
        Mutant("NaN is better", "torch", "logreg", ("best_epoch", 0), ((*T_BETTER, "not loss >= member"),)),
    ),
)  # fmt: skip
"""By the checks of test_ties."""

T_BY_BATCH = "(logits - logits.max()).exp()"

FAR_SCORE_MUTANTS = (
    Mutant("weights from the batch's largest score", "jax", SINGLE, ("weights", 0),
           ((J_KERNELS + "mix_forward", "logits.max(axis=-1, keepdims=True)", "logits.max()"),)),
    Mutant("weights from the batch's largest score", "torch", SINGLE, ("weights", 0),
           ((T_LAYERS + "scaled_dot_product", "torch.softmax(logits, dim=-1)",
             f"{T_BY_BATCH} / {T_BY_BATCH}.sum(-1, keepdim=True)"),)),
)  # fmt: skip
"""By test_far_scores."""

SCHEDULE_MUTANTS = (
    Mutant("rate of the first epoch for a whole chunk", "jax", "logreg", ("parameters/head.weight", 0),
           ((J_EPOCH, *FIRST_RATE),)),
    Mutant("rate of the first epoch for a whole chunk", "torch", "logreg", ("parameters/head.weight", 0),
           ((T_EPOCH, *FIRST_RATE),)),
    Mutant("rate late by one epoch inside a chunk", "jax", "logreg", ("parameters/head.weight", 0),
           ((J_EPOCH, FIRST_RATE[0], "schedule.learning_rate[jnp.maximum(epoch - 1, 0)]"),)),
    Mutant("rate late by one epoch inside a chunk", "torch", "logreg", ("parameters/head.weight", 0),
           ((T_EPOCH, FIRST_RATE[0], "schedule.learning_rate[max(epoch - 1, 0)]"),)),
)  # fmt: skip
"""By test_schedules."""

EQUIVALENT = (
    Mutant("queries and keys swapped", "jax", SELF, ("", 0),
           (("jaxtx.models.self_attention:scaled_dot_product", "query / key.shape[-1] ** 0.5, key)",
             "key / key.shape[-1] ** 0.5, query)"),),
           proof="Both are h, and h h^T is symmetric: the same scores."),
    Mutant("variance as E[x^2] - E[x]^2", "jax", MULTI, ("", 0),
           ((J_LAYERS + "LayerNorm.__call__", J_NORM,
             OWN_NORM.format("(x * x).mean(-1, keepdims=True) - x.mean(-1, keepdims=True) ** 2", 1e-5)),),
           proof="The same number in exact arithmetic; only rounding differs, which the bounds allow."),
    Mutant("last step read for CLS", "torch", MULTI, ("", 0),
           ((T_MULTI + "MultiLayerTransformer.forward", "self.head(x[:, 0])", "self.head(x[:, -1])"),),
           proof="The last block returns one step, CLS: the first is the last."),
    Mutant("gradient of the key bias zero", "torch", SINGLE, ("", 0),
           ((T_EPOCH, "loss.backward()", "loss.backward(); member.model.attention.key.bias.grad.zero_()"),),
           proof="It adds q_i . b to all scores of query i, and softmax does not see that: the gradient is zero."),
)  # fmt: skip
