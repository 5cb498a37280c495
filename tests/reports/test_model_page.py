import dataclasses
import re

import numpy as np
import pytest

from coretx.evaluation.ceilings import Ceiling
from coretx.evaluation.explanations import Explanation
from coretx.reports.pages.formatting import MINUS, TIMES, between, decimal, percent
from coretx.reports.pages.model_page import render_model_page
from coretx.reports.pages.templating import STYLE
from coretx.tasks.registry import TASKS
from coretx.tasks.splits import SplitCounts

CLAIM = "A hidden layer makes more possible."


@pytest.fixture
def page(make_result, task, parse):
    return parse(render_model_page(make_result(), task, claim=CLAIM))


def test_it_names_model_task_engine_claim_and_rule(page, task):
    assert "mlp on Sum > 0? (JAX)" in page.text
    assert CLAIM in page.text
    assert task.rule in page.text


def test_the_same_result_gives_the_same_bytes(make_result, task):
    first, second = (render_model_page(make_result(), task, claim=CLAIM) for _ in range(2))
    assert first == second


def test_the_cell_id_is_near_the_beginning(make_result, task):
    result = make_result()
    html = render_model_page(result, task, claim=CLAIM)
    assert f'<meta name="cell-id" content="{result.config.id}">' in html[:1000]


def test_it_is_one_file_without_script_or_address(page):
    names = {tag for tag, _ in page.elements}
    assert not names & {"script", "link", "img", "iframe", "a"}
    assert page.meta("Content-Security-Policy").startswith("default-src 'none'; style-src 'unsafe-inline'")
    assert "url(" not in STYLE
    assert "@import" not in STYLE


def test_it_tells_language_viewport_and_colour_scheme(page):
    assert page.all("html")[0]["lang"] == "en"
    assert page.meta("viewport").startswith("width=device-width")
    assert page.meta("color-scheme") == "light dark"


def test_ids_are_unique(page):
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_headings_come_in_order(make_result, task):
    html = render_model_page(make_result(), task, claim=CLAIM)
    wanted = "scores curves ranking confusion looks misclassified model provenance"
    assert " ".join(re.findall(r'<h2 id="(\w+)"', html)) == wanted


def test_every_figure_says_what_it_shows(page):
    labels = [attributes["aria-label"] for attributes in page.all("svg") if attributes["class"] == "plot"]
    assert len(labels) == 6
    assert labels[0].startswith("Loss over 50 epochs: train from ")
    assert re.match(r"ROC curve; area under the curve: train 0\.\d+, test 0\.\d+", labels[2])
    assert re.match(r"Confusion matrix, test: label 0: \d+ predicted 0", labels[4])
    assert re.match(r"Reliability diagram on test: .* expected calibration error 0\.\d+, Brier score 0\.", labels[5])


def test_scores_are_mean_and_deviation_of_the_members(make_result, task, parse):
    result = make_result()
    accuracy = 100 * result.scores["test"].accuracy
    assert (
        f"{accuracy.mean():.1f}% ± {accuracy.std(ddof=1):.1f}%"
        in parse(render_model_page(result, task, claim=CLAIM)).text
    )


def test_intervals_over_members_and_over_rows_are_beside_every_score(make_result, task, parse):
    result = make_result()
    found = result.summaries("test")
    text = parse(render_model_page(result, task, claim=CLAIM)).text
    for name, form in (("accuracy", percent), ("loss", decimal), ("auc", decimal), ("average_precision", decimal)):
        assert f"members {between(found[name].members, form)} rows {between(found[name].rows, form)}" in text
    assert f"95 % interval over members {between(found['accuracy'].members, percent)}; 95 % interval over test" in text
    assert "one run" not in text


def test_chance_is_beside_the_scores(page):
    assert "chance 50.0% 0.693 0.500 0.500" in page.text


def test_last_epoch_is_beside_the_chosen_one(make_result, task, parse):
    other = make_result(noise=9.0)
    result = dataclasses.replace(make_result(), best_epoch=np.array([3, 9, 3]), last_scores=other.scores)
    text = parse(render_model_page(result, task, claim=CLAIM)).text
    assert "of the lowest validation loss (epochs 4 to 10 of 50); test has no part in that choice" in text
    mean = 100 * other.scores["test"].accuracy.mean()
    assert f"last epoch {mean:.1f}%" in text
    assert "last epoch" not in parse(render_model_page(make_result(), task, claim=CLAIM)).text


def test_splits_are_counted_and_a_small_space_is_marked(make_result, task, parse):
    counts = {"test": SplitCounts((11, 12), (11, 10), (5, 6), 6, True)}
    text = parse(render_model_page(dataclasses.replace(make_result(), counts=counts), task, claim=CLAIM)).text
    assert "Test 11 + 12 11 + 10 5 + 6 6 small space" in text
    assert text.count("small space: 95 % interval over 6 problems") == 2


def test_ceiling_of_the_model_s_view_is_beside_its_score(make_result, task, parse):
    ceilings = {"order-blind": Ceiling(0.8836, "exact"), "majority": Ceiling(0.5, "exact")}
    result = dataclasses.replace(make_result(), view="order-blind", ceilings=ceilings)
    text = parse(render_model_page(result, task, claim=CLAIM)).text
    assert "its ceiling is 88.4%, for it sees the steps without their order (order-blind; exact)" in text
    assert "order-blind, exact 88.4%" in text
    assert "Above its ceiling" not in text
    alarming = dataclasses.replace(result, view="linear", alarm="it sees more than it should")
    text = parse(render_model_page(alarming, task, claim=CLAIM)).text
    assert "no ceiling is known for a model that sees a weighted sum of all features (linear)" in text
    assert "Above its ceiling it sees more than it should." in text


def test_best_reached_is_printed_where_no_ceiling_is_known_never_as_a_ceiling(make_result, make_row, task, parse):
    result = dataclasses.replace(make_result(), view="linear", ceilings={"majority": Ceiling(0.5, "exact")})
    better = make_row(view="linear", accuracy=0.9987)
    other = [make_row(view="additive", accuracy=0.99), make_row(view="linear", accuracy=1.0, split="train")]
    text = parse(render_model_page(result, task, claim=CLAIM, published=[better, *other])).text
    assert "no ceiling is known for a model that sees a weighted sum of all features (linear); 99.9% is reached" in text
    assert "linear, reached so far; no ceiling is known 99.9%" in text
    assert "additive, reached so far; no ceiling is known 99.0%" in text
    assert "its ceiling is" not in text
    own = 100 * result.scores["test"].accuracy.mean()
    assert f"(linear); {own:.1f}% is reached" in parse(render_model_page(result, task, claim=CLAIM)).text


def test_one_member_is_called_one_run_without_deviation(make_result, task, parse):
    text = parse(render_model_page(make_result(members=1), task, claim=CLAIM)).text
    assert "one run, no interval over seeds" in text
    assert "One run: no spread and no interval over seeds" in text
    assert "95 % interval over test rows" in text
    assert "±" not in text
    assert "member 0" not in text


def test_a_split_of_one_class_has_an_undefined_auc(make_result, one_class, task, parse):
    text = parse(render_model_page(make_result(predictions=one_class), task, claim=CLAIM)).text
    assert text.count("undefined: one class") == 4
    assert "every split has one class only" in text
    assert not re.search(r"\bnan\b", text)


def test_misclassified_inputs_are_rendered_by_the_task(make_result, task, parse):
    result = make_result()
    wrong = (result.predictions["test"].logits[0] > 0) != (result.predictions["test"].y == 1)
    assert wrong.any()
    rendered = {task.render(row) for row in result.predictions["test"].x}
    shown = re.findall(r'<td class="input">([^<]*)</td>', render_model_page(result, task, claim=CLAIM))
    assert shown
    assert len(shown) <= 12 + 20
    assert {text.replace("&#43;", "+") for text in shown} <= rendered | {
        task.render(row) for row in result.predictions["train"].x
    }


def test_a_perfect_model_has_none_misclassified(make_result, task, parse):
    text = parse(render_model_page(make_result(noise=0.0), task, claim=CLAIM)).text
    assert "None misclassified on test." in text
    assert "Train: none misclassified" in text


def test_tensors_are_in_a_table_with_norm_range_and_distribution(make_result, task, parse):
    weights = {
        "equal.weight": np.full((3, 1, 65), 2.0, np.float32),
        "spread.weight": np.broadcast_to(np.linspace(-1, 1, 50, dtype=np.float32).reshape(5, 10), (3, 5, 10)),
    }
    page = parse(render_model_page(make_result(weights=weights), task, claim=CLAIM))
    assert f"equal.weight 1{TIMES}65 65 {2 * 65**0.5:.4g} 2.000 one value" in page.text
    assert f"spread.weight 5{TIMES}10 50" in page.text
    assert f"{MINUS}1.000 to 1.000" in page.text
    assert len([svg for svg in page.all("svg") if svg["class"] == "spark"]) == 1
    assert "193 parameters each; member 0 of 3 shown" in page.text


def test_hyperparameters_and_provenance_are_there(page):
    for text in ("architecture.width 16", "learning_rate_start 0.1", "0123456789abcdef", "Test CPU", "1.5 s compile"):
        assert text in page.text
    assert "python main.py --tasks sum_is_positive --models mlp" in page.text


def test_no_command_leaves_no_empty_box(make_result, task, parse):
    result = make_result()
    bare = dataclasses.replace(result, provenance=dataclasses.replace(result.provenance, command=""))
    assert not parse(render_model_page(bare, task, claim=CLAIM)).all("pre")


def test_a_diverged_cell_says_so_and_has_no_scores(diverged, task, parse):
    page = parse(render_model_page(diverged, task, claim=CLAIM))
    assert "Diverged: no scores" in page.text
    assert diverged.failure in page.text
    assert "Average precision" not in page.text
    assert "Misclassified" not in page.text
    assert len([svg for svg in page.all("svg") if svg["class"] == "plot"]) == 2


def test_what_is_not_finite_is_never_drawn(diverged, task):
    html = render_model_page(diverged, task, claim=CLAIM)
    assert not re.search(r' d="[^"]*(nan|inf)', html)


def test_a_cell_that_diverged_at_once_has_a_page(diverged, task, parse):
    history = {name: np.full_like(values, np.nan) for name, values in diverged.history.items()}
    page = parse(render_model_page(dataclasses.replace(diverged, history=history), task, claim=CLAIM))
    assert page.all("svg")[0]["aria-label"] == "Loss over 50 epochs: nothing finite."


def test_weights_that_are_not_finite_have_no_norm(diverged, task, parse):
    weights = {"final.weight": np.full((3, 1, 100), np.nan, np.float32)}
    text = parse(render_model_page(dataclasses.replace(diverged, weights=weights), task, claim=CLAIM)).text
    assert "not finite" in text


def test_a_large_page_of_a_deep_model_stays_under_400_kb(make_result):
    """The ladder's longest task and its deepest model, with all maps, members and epochs."""
    task, rng, heads = TASKS["multi_digit_sum"], np.random.default_rng(0), 4
    time, feature = task.sequence_length, task.feature_dim
    x = task.generate_candidates(4, rng)
    by_class = {"rows": np.array([500, 500]), "present": np.full((2, time, feature), 100)}
    maps = {f"blocks.{block}.attention": rng.dirichlet(np.ones(time + 1), (4, heads, time + 1)) for block in range(2)}
    explanation = Explanation(
        x=x,
        y=np.array([0, 1, 0, 1], np.float32),
        logits=rng.normal(size=4),
        attribution=rng.normal(size=x.shape),
        attention=maps,
        attribution_sums=rng.normal(size=(2, time, feature)),
        attribution_sizes=rng.uniform(size=(2, time, feature)),
        attention_sums={name: 500 * weights[:2] for name, weights in maps.items()},
        **by_class,
    )
    result = make_result(task=task, members=20, n_samples=2000, epochs=2000, noise=6.0)
    html = render_model_page(dataclasses.replace(result, explanation=explanation), task, claim=CLAIM)
    assert html.count('class="heat"') > 2 * 2 * heads
    assert len(html.encode()) < 400_000
