from __future__ import annotations

from tests.bench.figure import Figure, table

COMMANDS = ("ours …", "theirs …")


def test_a_ratio_is_the_median_of_the_rounds_own_ratios() -> None:
    figure = Figure.compared("case", "what", COMMANDS, ([10, 40, 30], [10, 20, 10]), unit="tok/s", target=2)
    assert (figure.ratio, figure.measured, figure.baseline, figure.met) == (2.0, 30, 10, True)


def test_a_ratio_can_be_theirs_to_ours() -> None:
    figure = Figure.compared("case", "what", COMMANDS, ([2.0], [40.0]), unit="s", target=21, inverse=True)
    assert (figure.ratio, figure.met) == (20.0, False)


def test_a_figure_without_a_baseline_is_held_against_its_target_itself() -> None:
    figure = Figure(case="case", what="what", command="ours", unit="ms", measured=0.31, at="most", target=0.3)
    assert figure.met is False
    assert figure.row()[-2:] == ("at most 0.3", "NO")


def test_without_a_target_a_figure_is_for_information() -> None:
    figure = Figure.compared("case", "what", COMMANDS, ([1.0], [2.0]), unit="s")
    assert figure.met is None
    assert figure.row()[-2:] == ("", "")


def test_small_ratios_keep_the_digits_their_targets_have() -> None:
    figure = Figure.compared("case", "what", COMMANDS, ([0.163], [5.0]), unit="s", at="most", target=0.03)
    assert figure.row()[4] == "0.033"
    assert "0.033" in table([figure])
