"""When pretraining pays, and when using a model costs more than its training: formulas, without any measuring.

With E_pre of a pretraining, E_ft of a fine-tuning and E_scr of a training from scratch, n tasks cost E_pre + n E_ft
with a shared base and n E_scr without one.
"""

import math


def saved_kwh(tasks: float, *, pretraining_kwh: float, fine_tuning_kwh: float, scratch_kwh: float) -> float:
    """Return what a shared base saves over so many tasks: n E_scr - E_pre - n E_ft; below 0 it costs more.

    >>> saved_kwh(10, pretraining_kwh=100.0, fine_tuning_kwh=1.0, scratch_kwh=21.0)
    100.0
    """
    return tasks * scratch_kwh - pretraining_kwh - tasks * fine_tuning_kwh


def break_even(*, pretraining_kwh: float, fine_tuning_kwh: float, scratch_kwh: float) -> float | None:
    """Return the number of tasks from which a shared base saves energy: E_pre / (E_scr - E_ft).

    None where a fine-tuning costs as much as a training from scratch: then no number of tasks is enough.

    >>> break_even(pretraining_kwh=100.0, fine_tuning_kwh=1.0, scratch_kwh=21.0)
    5.0
    """
    gain_kwh = scratch_kwh - fine_tuning_kwh
    return pretraining_kwh / gain_kwh if gain_kwh > 0 else None


def attributional_share(pretraining_kwh: float, reuses: int) -> float:
    """Return the part of a pretraining that each of its uses bears, where all bear the same: E_pre / N.

    Consequentially the share is 0: a base that is public already was trained, whether or not it is used once more.

    >>> attributional_share(100.0, 1000)
    0.1
    """
    if reuses < 1:
        raise ValueError(f"{reuses} uses are impossible: expected 1 or more")
    return pretraining_kwh / reuses


def uses_to_match(training_kwh: float, query_kwh: float) -> float | None:
    """Return after how many queries their energy is that of the training: E_train / E_query; None of free queries.

    >>> uses_to_match(1.0, 0.25)
    4.0
    """
    return training_kwh / query_kwh if query_kwh > 0 and math.isfinite(query_kwh) else None
