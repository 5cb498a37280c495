"""The training loop, the same for both engines."""

from dataclasses import replace

import numpy as np
import pytest

from coretx.evaluation.scores import predict, score
from coretx.models.registry import build_models
from coretx.models.spec import InputShape, Optimizer
from coretx.tasks.sampling import Dataset
from coretx.training import loop as training
from coretx.training.batches import LONGEST_CHUNK
from coretx.training.loop import Population, first_divergence, learning_rates, restore_best, start, train

BASE_KEYS = {
    *("loss_train", "accuracy_train", "loss_test", "accuracy_test"),
    *("grad_norm", "weight_norm", "learning_rate"),
}
ATTENTION_KEYS = {"attn_logits_mean", "attn_logits_std", "attn_logits_maxabs"}


def population(name="mlp", epochs=4, members=2, **optimizer):
    (spec,) = build_models([name])
    optimizer = replace(spec.optimizer, **{"epochs": epochs, "batch_size": 8} | optimizer)
    return Population(replace(spec, optimizer=optimizer), 0, "t", members)


def trained(engine, rows, who=None, on_epoch=lambda record: None):
    who = population() if who is None else who
    access = engine.open(who.spec, InputShape(5, 2), who.members)
    start(access, who)
    return access, train(access, who, rows, on_epoch)


def as_bytes(history):
    return {name: values.tobytes() for name, values in history.items()}


@pytest.mark.parametrize(("start", "end"), [(0.4, 0.2), (1.0, 1.0), (0.5, 0.1)])
def test_learning_rate_goes_from_start_to_end_whatever_the_chunk(start, end):
    optimizer = Optimizer(start, end, epochs=1000)
    rates = learning_rates(optimizer, range(1000))
    assert (rates[0], rates[-1]) == pytest.approx((start, end), rel=1e-12)
    assert np.diff(rates) == pytest.approx((end - start) / 999, abs=1e-12)
    assert learning_rates(optimizer, range(250, 500)).tolist() == rates[250:500].tolist()
    assert learning_rates(replace(optimizer, epochs=1), range(1)).tolist() == [start]


@pytest.mark.parametrize(("name", "keys"), [("mlp", BASE_KEYS), ("self_attention", BASE_KEYS | ATTENTION_KEYS)])
def test_history_has_every_metric_by_member_and_epoch(engine, rows, name, keys):
    _, history = trained(engine, rows, population(name))
    assert {key: values.shape for key, values in history.items()} == dict.fromkeys(keys, (2, 4))


def test_records_are_the_history_epoch_by_epoch(engine, rows):
    records = []
    _, history = trained(engine, rows, on_epoch=records.append)
    assert [record.epoch for record in records] == [0, 1, 2, 3]
    for name, values in history.items():
        assert np.stack([record.metrics[name] for record in records], axis=1).tolist() == values.tolist()


def test_training_lowers_the_loss(engine, rows):
    _, history = trained(engine, rows, population(epochs=30))
    assert (history["loss_train"][:, -1] < 0.5 * history["loss_train"][:, 0]).all()


def test_last_epoch_has_the_final_scores(engine, rows):
    access, history = trained(engine, rows)
    scores = score(predict(access, rows))
    assert {name: split.n for name, split in scores.items()} == {"train": 20, "test": 12}
    assert history["loss_test"][:, -1] == pytest.approx(scores["test"].loss, rel=1e-6)
    assert history["accuracy_test"][:, -1] == pytest.approx(scores["test"].accuracy, rel=1e-12)


def test_attention_statistics_are_those_of_the_whole_train_set(engine, rows):
    access, history = trained(engine, rows, population("self_attention"))
    scores = access.intermediates(rows["train"].x)["attention.logits"].reshape(2, -1)
    expected = {"mean": scores.mean(axis=1), "std": scores.std(axis=1), "maxabs": np.abs(scores).max(axis=1)}
    for name, values in expected.items():
        assert history[f"attn_logits_{name}"][:, -1] == pytest.approx(values, rel=1e-5), name


def test_weight_norm_is_that_of_the_head(engine, rows):
    """With one batch an epoch the mean over batches is the norm after the only step."""
    access, history = trained(engine, rows, population(batch_size=20))
    head = access.state()["parameters/head.weight"]
    assert history["weight_norm"][:, -1] == pytest.approx(np.sqrt((head**2).sum(axis=(1, 2))), rel=1e-6)


def test_grad_norm_is_over_all_parameters(engine, rows):
    who = population(batch_size=20, epochs=1)
    access = engine.open(who.spec, InputShape(5, 2), 2)
    start(access, who)
    gradients = access.gradients(rows["train"].x, rows["train"].y, np.ones(20, np.float32))
    expected = np.sqrt(sum((g.reshape(2, -1) ** 2).sum(axis=1) for g in gradients.values()))
    history = train(access, who, rows, lambda record: None)
    assert history["grad_norm"][:, 0] == pytest.approx(expected, rel=1e-5)


@pytest.fixture
def with_val(rows):
    """The rows with a validation split whose labels are turned round, so that the best epoch comes early."""
    return rows | {"val": Dataset(rows["test"].x, 1 - rows["test"].y)}


def test_best_epoch_is_that_of_the_lowest_validation_loss(engine, with_val):
    access, history = trained(engine, with_val, population(epochs=6))
    assert {"loss_val", "accuracy_val"} <= history.keys()
    best = restore_best(access)
    assert best.tolist() == history["loss_val"].argmin(axis=1).tolist()
    assert (best < 5).all()
    chosen = score(predict(access, with_val))
    members = range(len(best))
    for split in ("val", "test"):
        assert chosen[split].loss == pytest.approx(history[f"loss_{split}"][members, best], rel=1e-5)
        assert chosen[split].accuracy == pytest.approx(history[f"accuracy_{split}"][members, best], rel=1e-12)


def test_choice_does_not_hear_of_the_test_labels(engine, with_val):
    """Noise in their place: the same epochs, the same weights, byte for byte."""
    noise = Dataset(with_val["test"].x, np.random.default_rng(1).integers(2, size=12).astype(np.float32))
    assert noise.y.tolist() != with_val["test"].y.tolist()
    found = []
    for data in (with_val, with_val | {"test": noise}):
        access, history = trained(engine, data, population(epochs=6))
        found.append((restore_best(access).tobytes(), as_bytes(access.state()), history["loss_val"].tobytes()))
    assert found[0] == found[1]


def test_without_validation_there_is_no_choice(engine, rows):
    access, _ = trained(engine, rows)
    before = as_bytes(access.state())
    assert restore_best(access) is None
    assert as_bytes(access.state()) == before


def test_training_again_gives_the_same_bytes_whatever_trained_between(engine, rows):
    first, history = trained(engine, rows)
    trained(engine, rows, population("logreg"))
    second, again = trained(engine, rows)
    assert as_bytes(history) == as_bytes(again)
    assert as_bytes(first.state()) == as_bytes(second.state())


def test_result_does_not_depend_on_the_length_of_chunks(engine, rows, monkeypatch):
    _, whole = trained(engine, rows, population(epochs=5))
    monkeypatch.setattr(training, "epochs_per_chunk", lambda n: 2)
    _, chunks = trained(engine, rows, population(epochs=5))
    assert as_bytes(whole) == as_bytes(chunks)


def test_fewer_rows_than_a_batch_are_one_batch(engine, rows):
    who = population(batch_size=128)
    history = trained(engine, rows, who)[1]
    assert np.isfinite(history["loss_train"]).all()


def test_exploding_rate_ends_after_its_chunk(engine, rows):
    epochs = 3 * LONGEST_CHUNK
    who = population("logreg", epochs=epochs, learning_rate_start=1e30, learning_rate_end=1e30)
    _, history = trained(engine, rows, who)
    assert history["loss_train"].shape[1] == LONGEST_CHUNK
    assert first_divergence(history) is not None


def test_poisoned_member_is_named_with_its_epoch(engine, rows):
    who = population(members=3)
    access = engine.open(who.spec, InputShape(5, 2), 3)
    start(access, who)
    state = access.state()
    state["parameters/head.bias"][1] = np.nan
    access.load_state(state)
    history = train(access, who, rows, lambda record: None)
    assert first_divergence(history) == (1, 0)
    assert np.isfinite(history["loss_train"][[0, 2]]).all(), "one member's NaN must not reach the others"


def test_poisoned_test_row_is_a_divergence_too(engine, rows):
    x = rows["test"].x.copy()
    x[0, 0, 0] = np.nan
    _, history = trained(engine, rows | {"test": Dataset(x, rows["test"].y)})
    assert first_divergence(history) == (0, 0)


def test_divergence_is_the_earliest_loss_that_is_not_finite():
    loss = np.ones((3, 4))
    loss[2, 1] = np.inf
    loss[0, 2] = np.nan
    assert first_divergence({"loss_train": np.ones((3, 4)), "loss_test": loss}) == (2, 1)
    assert first_divergence({"loss_train": np.ones((3, 4)), "grad_norm": loss}) is None


def test_further_rows_change_no_bit_of_the_answers_on_the_first(engine):
    """The first rows of the splits are answered in a pass of their own, the rest in passes of the same shape."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((83, 5, 2), dtype=np.float32)
    y = np.ones(83, np.float32)
    data = {"train": Dataset(x[:23], y[:23]), "test": Dataset(x[23:33], y[23:33])}
    test, who = Dataset(x[23:], y[23:]), population("multilayer_transformer")
    access = engine.open(who.spec, InputShape(5, 2), who.members)
    start(access, who)
    alone, scored = predict(access, data), predict(access, data, data | {"test": test})
    assert scored["train"].logits.tobytes() == alone["train"].logits.tobytes()
    assert scored["test"].logits[:, :10].tobytes() == alone["test"].logits.tobytes()
    assert (scored["test"].x is test.x, scored["test"].y is test.y) == (True, True)
    np.testing.assert_allclose(scored["test"].logits, access.logits(test.x), rtol=1e-4, atol=1e-5)
