"""Every bound of the suite, in one place, each with its reason and the gap that was measured.

All but counts are relative to the max-norm of the tensor compared. A bound is a small multiple of what was measured (2
cores of x86-64, jax 0.10.2, torch 2.13); where one must grow, write down why.
"""

# Trajectories: see parity_tests.trajectory.

ENVELOPE_END = 1e-3
"""A trajectory is asserted until its own copy, moved by one unit in the last place, is this far away: from there on
the training is chaotic, and what two exact engines do says nothing."""

MIN_STEPS = {"float64": 400, "float32": 50}
"""Where the envelope ends sooner, the model is run at a tenth of its rate as well, for the whole length."""

COPIES = 3
"""Copies that measure the envelope, each moved at random; one alone may be lucky in a tensor."""

ALLOWED_ENVELOPES = 10.0
"""Engines round every operation differently, a copy is moved once. Measured: up to 5.7 envelopes of two copies."""

ROUND_OFF = {"float64": 1e-10, "float32": 4e-6}
"""Allowed whatever the envelope. Measured where nothing grows: logreg, 1.4e-15 and 1.5e-6 over 800 steps."""

NO_GRADIENT = 1e-7
"""First moments below this share of the model's largest, over the whole run, are rounding and no gradient: the biases
of keys in softmax attention, which the test pins by name."""

# Single passes.

FORWARD = {"float64": 2e-14, "float32": 5e-6}
"""Measured 9e-16 from initial weights in float64, 1e-6 in float32 after the first step's scores."""

GRADIENT = {"float64": 2e-13, "float32": 1e-4}
"""Cancellation in sums over rows costs a digit or two of the forward pass's."""

ZERO_GRADIENT = {"float64": 1e-14, "float32": 1e-5}
"""What rounding leaves of the gradient of a key bias, as a share of the model's largest gradient."""

FINITE_DIFFERENCE = 1e-9
"""Of a five-point stencil with h = 2e-3: h^4/30 of a fifth derivative, and rounding/h = 1e-13."""

OPTIMIZER = {"float64": 1e-12}
"""One AdamW step from equal state; the division by the root of a small second moment costs up to three digits."""

BLIND, SEES = 1e-12, 1e-4
"""Logits and gradients under a permutation of steps: rounding alone, or an effect."""

OPTIMUM = 1e-6
"""In loss, absolute, against scikit-learn's optimum."""

# Whole runs.

CHUNK = {"jax": 1e-12, "torch": 0.0}
"""One call for many steps against a call a step. torch runs the same code; XLA compiles another loop around it."""

RESUME = 1e-10
"""A file keeps every bit, so this is the trajectory's error over the steps that remain."""

MEMBER = {"jax": 1e-10, "torch": 0.0}
"""A member of a population against the member alone. torch loops: bit for bit. jax batches its products."""

SENSITIVE = ("mlp", "temporal", "self_attention", "singlelayer_transformer", "bahdanau_attention")
"""Models whose own copy, moved by one ulp, is further away than MEMBER within 100 epochs at the ladder's rate.
Measured for mlp: 4.3e-10."""

EVALUATION = 5e-6
"""Logits, scores and curves after two epochs in float32. Measured 2e-7; the CSV's sixth decimal rounds to 2e-6."""

WALKED_SCORES = 2e-2
"""Attention scores of models whose keys have a bias: it has no gradient, Adam makes steps of rounding, and the scores
(not the weights, nor anything after them) follow. Measured 1e-3 after two steps."""

NEAR_ZERO = 1e-5
"""Where no logit is nearer to 0 than this, both engines must count the same right answers."""

# Statistics.

MARGIN, ALPHA = 0.02, 0.05
"""Accuracies closer than the margin are equivalent; alpha of each of the two one-sided tests."""

NEAR_CHANCE, SATURATED = 0.05, 0.99
"""Cells within this of one half, or above 0.99, on both sides stand apart: there every engine would be equivalent."""
