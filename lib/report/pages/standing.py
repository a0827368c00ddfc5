"""README's three lines: reproduced, not reproduced, not testable here.

The sentences are prose, the numbers in them are drawn from figures/laptop, and each statement is held against the
tables: where they no longer bear it out, the page is refused until somebody has written another sentence.
"""

from lib.report.pages.values import GAIN, MAE, best_sigma, interval, one, paper_gain, select
from lib.report.tables import AVERAGE
from lib.study import SIGMA

PRE_TRAINING = ("ANI-1", "ANI-1x")
FAR = "dataset=ANI-1x"  # where the paper's pattern over models and ours are compared


def standing() -> str:
    """The three lines, a list in Markdown.

    Raises:
        ValueError: a sentence that the tables contradict; the message names it.
    """
    return f"{_reproduced()}\n{_not_reproduced()}\n{NOT_TESTABLE}"


NOT_TESTABLE = (
    "* **Not testable here**: the published data. Everything above is measured on small data sets of our own, with "
    "GFN2-xTB energies, small networks and few labels; readers, settings and commands for the published files are "
    "there, and have never been run on the whole of them."
)


def _reproduced() -> str:
    means = [one("table2", GAIN, MAE, f"model={AVERAGE}", f"dataset={name}") for name in PRE_TRAINING]
    printed = [paper_gain(name, AVERAGE) for name in PRE_TRAINING]
    agree = [m["low"] <= float(p.split()[0]) <= m["high"] for m, p in zip(means, printed, strict=True)]
    unseen = one("figure2ab", GAIN, MAE, f"model={AVERAGE}", "subset=unknown molecules")
    _holds("every model gains in the mean", (select("table2", GAIN, MAE)["value"] > 0).all())
    _holds("the averages agree with the paper's", all(agree))
    _holds("isomers never seen gain on average", unseen["low"] > 0)
    return (
        "* **Reproduced**: pre-training lowers the mean error of each of the four models on mini ANI-1 and mini "
        f"ANI-1x, on average by {interval(means[0])} and {interval(means[1])}, where the paper prints {printed[0]} and "
        f"{printed[1]}; on isomers that no training has seen by {interval(unseen)}."
    )


def _not_reproduced() -> str:
    schnet, egnn = (one("table2", GAIN, MAE, f"model={label}", FAR) for label in ("SchNet", "EGNN"))
    paper = {label: paper_gain("ANI-1x", label) for label in ("SchNet", "EGNN")}
    few = one("figure4", MAE, FAR, "pretrained=yes", "share=0.05")["value"]
    ten_times = one("figure4", MAE, FAR, "pretrained=no", "share=0.5")["value"]
    md22 = select("figure3", GAIN, MAE)
    worst = md22.loc[md22["value"].idxmin()]
    seeds = "one seed" if worst["n_seeds"] == 1 else f"{worst['n_seeds']:g} seeds"
    _holds("SchNet gains far less than in the paper", schnet["high"] < float(paper["SchNet"].split()[0]))
    _holds("EGNN gains far more than in the paper", egnn["low"] > float(paper["EGNN"].split()[0]))
    _holds("another noise than the paper's is best", float(best_sigma()) != SIGMA)
    _holds("a model loses on a system of MD22", worst["value"] < 0)
    _holds("few labels do not replace ten times as many", few > ten_times)
    return (
        "* **Not reproduced**: the pattern over models behind these averages. On mini ANI-1x SchNet gains "
        f"{interval(schnet)}, where the paper has {paper['SchNet']}, and EGNN {interval(egnn)}, where it has "
        f"{paper['EGNN']}. Nor that every model gains on every system of MD22 ({worst['model']} loses on the "
        f"{worst['system'].replace('_', ' ')}, {seeds}), that {SIGMA} Å is the best noise ({best_sigma()} Å is, here), "
        "or that with pre-training 5 % of the labels do better than 50 % without."
    )


def _holds(sentence: str, true: bool) -> None:
    if not true:
        raise ValueError(f"README says that {sentence}, and figures/laptop does not: rewrite lib.report.pages.standing")
