"""The defaults of a run. Every one of them is also a flag: `python main.py --help`."""

from coretx.cli import main

TASK = "sign_of_winner"
"""A task's name, several in a tuple (`TASKS`), or "all"; `python main.py --list` prints them."""
N_SAMPLES = 1000
"""Rows of the train and of the test set."""
MODELS = None
"""Names of models in a tuple, as in ("logreg", "mlp:torch"); None is the whole ladder."""

if __name__ == "__main__":
    raise SystemExit(main(tasks=TASK, n_samples=N_SAMPLES, models=MODELS))
