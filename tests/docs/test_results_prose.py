"""Numbers in the prose of docs/results.md, each recomputed from records and tables; one that nothing holds is refused.

Tables and values between markers are `test_pages`' affair. A number stays if a fragment below says it, if its sentence
carries the sign † of runs that are not recorded, or if it is a name, a unit or a setting of `NAMES`.
"""

import gzip
import json
import re
from functools import cache

import nbformat
import numpy as np
import pandas as pd
import pytest

from lib.data.datasets import find, open_store
from lib.errors import required
from lib.own import datasets
from lib.paths import DATA, ROOT
from lib.potentials.calibration import calibrated_share
from lib.report.pages import filling
from lib.report.pages.values import one, select, table
from lib.report.tables import LEARNT
from lib.runs.results import find_record
from lib.study import get_scale
from lib.study.amount import sources

NAMES = re.compile(
    r"GFN2-xTB|ANI-1x?|ISO17|MD22|C7O2H10|95 % intervals|mini ANI-1x?|Ac-Ala3-NHMe|SE\(3\)|notebook \d\d|Table 2|"
    r"Figure \d(?:[a-d] and [a-d])?|Equation 8|EGNN|H100|float32|commit \w{12}|since \w{7}|2-core|cm⁻¹|R²|σ²|"
    r"chosen at 0\.2 Å|the paper's 0\.2, and 0\.5 Å harms in the mean|1 Å harms|up to 0\.5 Å|0\.2 Å is best|"
    r"300 K, steps of 0\.5 fs"
)
GENERATED = ("The noise as a force",)  # sections whose prose has generated values and counts of conformations
WITH_200_LABELS = "trial=labels, EGNN, part of ANI-1x (ωB97X), 200 labels"
MODELS = {"SchNet": "schnet", "SE(3)-Transformer": "se3_transformer", "EGNN": "egnn", "TorchMD-Net": "torchmd_net"}


@cache
def records(scale: str = "laptop") -> pd.DataFrame:
    """A row for each recorded run: what it was and its metrics."""
    rows = []
    for path in sorted((DATA / "results" / scale).glob("*.json.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as file:
            saved = json.load(file)
        about, config = saved["about"], saved["about"]["config"]
        training, start = config["training"], config.get("pretrained")
        rows.append(saved["metrics"] | {
            "key": path.name.split(".")[0], "task": config["task"], "model": config["model"],
            "data": " ".join(about["splits"]), "tuned": start is not None, "seed": config["seed"],
            "own_start": bool(start) and len(start["data"]) == 1, "rate": training["learning_rate"],
            "forces": training.get("force_weight") or 0.0, "epochs": training["epochs"], "steps": about["steps"],
            "labels": about["conformations"]["train"], "share": config.get("share", 1.0),
            "sigma": config.get("sigma"), "smooth": config["settings"].get("smooth_cutoff", False),
            "start_sigma": start["sigma"] if start else None, "history": saved["history"],
        })  # fmt: skip
    return pd.DataFrame(rows)


def runs(data: str, scale: str = "laptop", **where) -> pd.DataFrame:
    """The recorded runs on ``data`` with these properties, by seed."""
    rows = records(scale)
    rows = rows[(rows["data"] == data) & (rows["task"] == where.pop("task", "energy"))]
    for name, value in where.items():
        rows = rows[rows[name] == value]
    assert len(rows), (data, where)
    return rows.sort_values("seed")


def chosen(model: str, data: str, tuned: bool, forces: bool = False) -> float:
    """The learning rate that was best on validation data."""
    rates = select("learning_rates", f"model={model}", f"data={data}")
    rates = rates[(rates["pretrained"] == tuned) & (rates["forces"] == forces) & rates["chosen"]]
    (rate,) = rates["learning_rate"]
    return rate


def both(model: str, data: str, scan: str = "ani1x", forces: float = 0.0, **where) -> list[pd.DataFrame]:
    """The runs of both arms, as compared: each at its chosen rate."""
    where |= {"model": MODELS[model], "forces": forces, "smooth": False}
    arms = []
    for tuned in (False, True):
        rows = runs(data, tuned=tuned, rate=chosen(model, scan, tuned, forces > 0), **where)
        arms.append(rows[rows["start_sigma"] == 0.2] if tuned else rows)
    return arms


def gains(*arguments, **where) -> list[float]:
    """Per cent by which MAE is lower, by seed."""
    scratch, tuned = both(*arguments, **where)
    assert list(scratch["seed"]) == list(tuned["seed"])
    return list(100 * (1 - tuned["test_mae"].to_numpy() / scratch["test_mae"].to_numpy()))


def outputs(number: str, kind: str) -> str:
    """The outputs of one kind (text or text/html) of an executed notebook, one after the other."""
    (path,) = (ROOT / "figures" / "laptop").glob(f"{number}_*.ipynb")
    shown = [o for c in nbformat.read(path, 4).cells if c.cell_type == "code" for o in c.outputs]
    return "\n".join(o.get(kind, "") or o.get("data", {}).get(kind, "") for o in shown)


def row_of(number: str, name: str) -> list[float]:
    """The numbers behind the cell ``name`` in the last row of a table that has it, in an executed notebook."""
    rows = re.findall(r"<tr>(.*?)</tr>", outputs(number, "text/html"), re.DOTALL)
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in rows]
    *_, row = (row for row in cells if name in row)
    return [float(cell) for cell in row[row.index(name) + 1 :]]


def text_of(page: str) -> str:
    """Prose without generated parts, links, code and the sections of `GENERATED`."""
    text = filling.PART.sub("", page)
    for title in GENERATED:
        text = re.sub(rf"^## {title}\n.*?(?=^## )", "", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"\]\([^)]*\)|`[^`]*`", "", text)
    return " ".join(text.split())


def spread(values, digits: int = 2) -> str:
    return f"{min(values):.{digits}f} to {max(values):.{digits}f}"


def rate(value: float) -> str:
    """``3e-3``."""
    return f"{value:.0e}".replace("e-0", "e-")


def settings() -> str:
    s, fine = get_scale("laptop"), runs("mini/ani1x", model="egnn", share=1.0, tuned=True, rate=1e-3)
    se3 = s.settings("se3_transformer")
    (epochs,) = {c.training.epochs for c in (s.pretrain(model, 0) for model in MODELS.values())}
    assert {s.settings(m).hidden_channels for m in ("schnet", "egnn", "torchmd_net")} == {64}
    return (
        f"Networks 64 wide (the SE(3)-Transformer: {se3.n_layers} layers, {se3.degrees} degrees), pre-trained for "
        f"{epochs} epochs on unlabelled conformations of mini ANI-1 and mini ANI-1x, fine-tuned on labelled ones in "
        f"{fine['steps'].min():,} steps; seeds {', '.join(map(str, s.seeds))} unless"
    )


def evidence() -> str:
    return f"Where neither arm explains {100 * LEARNT:.0f} % of the variance of the energies (R² below {LEARNT:g})"


def third_seed() -> str:
    first, second, third = gains("SE(3)-Transformer", "mini/ani1x", steps=1024)
    return f"gained {third:.0f} % on mini ANI-1x, the other two {second:.0f} and {first:.0f} %"


def third_seeds_pretraining() -> str:
    curves = select("figure1", "model=SE(3)-Transformer").query("epoch > 0").pivot(
        index="epoch", columns="seed", values="validation_denoising_error"
    )  # fmt: skip
    assert curves[2].idxmin() == 2
    lost = ", ".join(f"{value:.3f}" for value in curves[2])
    return f"by epoch {lost} σ²; the others end at {curves[0].iloc[-1]:.3f} and {curves[1].iloc[-1]:.3f})"


def rate_of_pretraining() -> str:
    s = get_scale("laptop")
    rates = {model: s.pretrain(name, 0).training.learning_rate for model, name in MODELS.items()}
    assert rates["SchNet"] == rates["TorchMD-Net"] < rates["SE(3)-Transformer"] == rates["EGNN"]
    return f"It ran at {rate(rates['SE(3)-Transformer'])}, the rate that was lowered"


def same_layers() -> str:
    ani1, iso17 = (gains("SE(3)-Transformer", f"mini/{data}")[2] for data in ("ani1", "iso17"))
    return f"the same layers gain {ani1:.0f} % on mini ANI-1 and {iso17:.0f} % on mini ISO17"


def denoising_errors_by_amount() -> str:
    of, pool = sources(get_scale("laptop"), "egnn"), "all of the pool"
    arms = ("1/16 of the pool", "1/4 of the pool", pool, f"{pool}, 3 times the steps")
    records = [required(find_record(of[arm](0).key()), arm) for arm in arms]
    part, quarter, whole, longer = (f"{record.metrics['validation_denoising_error']:.3f}" for record in records)
    assert quarter == whole
    return f"({part} σ² after a sixteenth, {whole} after a quarter and after all, {longer} after three times the steps)"


def seed_of_controls() -> str:
    assert set(table("table2_control")["n_seeds"]) == {1}
    return "mini ANI-1x, seed 0, the learning rates"


def all_labels() -> str:
    rows = records("all_labels").query("data == 'mini/ani1x'")
    ((labels, epochs),) = {(r.labels, r.epochs) for r in rows.itertuples()}
    several = rows.groupby("model")["seed"].nunique()
    assert several.to_dict() == {"egnn": 1, "schnet": 3, "torchmd_net": 1}
    assert len(rows["rate"].unique()) == 2
    return f"80 % of mini ANI-1x ({labels:,}), {epochs} epochs, the better of two learning rates by validation"


def wide() -> str:
    w, s, small = get_scale("wide"), records("wide"), get_scale("laptop")
    layers = {w.settings(m).hidden_channels: 0 for m in ("schnet", "egnn", "torchmd_net")}
    assert list(layers) == [256]
    tried = s[s["task"] == "energy"]["rate"]
    pretraining = {rate(r) for r in s[s["task"] == "denoising"]["rate"]}
    lower = [rate(small.pretrain(m, 0).training.learning_rate) for m in ("schnet", "egnn")]
    return (
        f"256 wide with 5 or 6 layers, an H100; pre-training at {', '.join(pretraining)}, the only rate tried, where "
        f"the small SchNet has {lower[0]} and the small EGNN {lower[1]}; learning rates for energies of "
        f"{rate(tried.min())} to {rate(tried.max())} chosen as always"
    )


def rates_of_wide() -> str:
    def best(model, tuned):
        rows = runs("mini/ani1x", "wide", model=model, tuned=tuned, seed=0).sort_values("validation_rmse")
        return [(rate(row["rate"]), row["validation_rmse"]) for _, row in rows.iterrows()][:2]

    (first, second), (egnn, next_egnn) = best("schnet", tuned=False), best("egnn", tuned=True)
    return (
        f"{first[0]} (validation RMSE {first[1]:.3f}; {second[0]}: {second[1]:.2f}), EGNN pre-trained the smallest, "
        f"{egnn[0]} ({egnn[1]:.2f}; {next_egnn[0]}: {next_egnn[1]:.2f})"
    )


def kept_of_wide() -> str:
    rows = records("wide").query("model == 'torchmd_net'")
    assert len(rows.query("task == 'denoising'")) == 3
    assert set(rows.query("task == 'energy'")["tuned"]) == {False}
    return "three pre-trainings and the arm from scratch (seed 0)"


def repeated(pretrained: str) -> float:
    return one("table2_repeated", "metric=test_mae", f"pretrained={pretrained}")["recorded"]


def machine_of_the_records() -> str:
    return f"seed 0 ended at an MAE of {repeated('no'):.2f} kcal/mol on the machine of the records"


def another_machine() -> str:
    return f"Pre-trained it ended at {repeated('yes'):.3f} on both"


def groups_of_isomers() -> str:
    store = open_store(find("mini/iso17"))
    (unknown,) = {sum(name.startswith(prefix) for name in store.names) for prefix in ("test_other",)}
    assert unknown == 8
    return "the 14 unknown ones are eight groups"


def egnn_on_spice() -> str:
    at = {t: runs("mini/spice", model="egnn", tuned=t, seed=0, rate=chosen("EGNN", "ani1x", t)) for t in (False, True)}
    scratch, tuned = (rows["test_mae"].item() for rows in at.values())
    assert at[False]["test_r2"].item() < 0.1
    return f"(MAE {scratch:.1f}, seed 0), and pre-training seemed to gain {100 * (1 - tuned / scratch):.0f} %"


def rates_of_spice() -> str:
    rates = {chosen(model, "spice", tuned) for model in ("TorchMD-Net", "SE(3)-Transformer") for tuned in (False, True)}
    (only,) = rates
    assert only == select("learning_rates", "data=spice")["learning_rate"].max()
    return f"The {rate(only)} of TorchMD-Net and the SE(3)-Transformer is the largest candidate"


def few_labels() -> str:
    mae = select("figure4", "dataset=ANI-1x").pivot_table(index="share", columns="pretrained", values="value")
    least, some = mae.index[0], mae.index[1]
    assert mae.loc[least, "yes"] > mae.loc[10 * least, "no"]
    assert mae.loc[some, "yes"] < mae.loc[1.0, "no"]
    other = select("figure4", "system=AT-AT").pivot_table(index="share", columns="pretrained", values="value")
    assert other.loc[least, "yes"] < other.loc[10 * least, "no"]
    return (
        f"With {100 * least:g} % of the labels the pre-trained EGNN is worse than EGNN from scratch with ten times as "
        f"many; the paper claims the opposite. With {100 * some:g} % its mean error is below that from scratch with "
        "all labels"
    )


def order_with_200_labels() -> str:
    rows = select("labels", WITH_200_LABELS, "compared_with=", "metric=mae").set_index("arm")
    assert set(rows["n_seeds"]) == {1} and len(rows) == 8
    assert rows["value"].idxmin() == "denoised, then GFN2-xTB labels"
    assert rows.loc["GFN2-xTB labels", "value"] < rows.loc["denoised", "value"]
    return (
        "With 200 labels, in the one seed that was run, both in turn have the lowest error again, and cheap labels "
        "alone serve no worse than denoising alone"
    )


def of_torchmd_net_denoising_alone() -> str:
    rows = select("labels", "trial=labels, TorchMD-Net, part of ANI-1x (ωB97X), 800 labels")
    assert set(rows["arm"]) == {"scratch", "denoised"}
    return "Of TorchMD-Net denoising alone was run"


def rates_at_the_edge() -> str:
    for model in ("TorchMD-Net", "SchNet"):
        tried = select("learning_rates", f"model={model}", "data=md22/Ac-Ala3-NHMe")["learning_rate"]
        rates = [chosen(model, "md22/Ac-Ala3-NHMe", tuned) for tuned in (False, True)]
        assert rates[0] == tried.max()
        assert tried.min() < rates[1] < tried.max()
    return (
        "From scratch TorchMD-Net and SchNet chose the largest candidate on Ac-Ala3-NHMe, while their validation error"
    )


def nothing_from_scratch() -> str:
    where = {"model": "egnn", "tuned": False, "steps": 1000}
    rows = records().query("data == 'mini/md22/Ac-Ala3-NHMe' and model == 'egnn' and not tuned and task == 'energy'")
    rows = rows[(rows["rate"] == chosen("EGNN", "md22/Ac-Ala3-NHMe", tuned=False)) & (rows["smooth"] == False)]  # noqa: E712
    assert len(rows) >= 12, where
    return f"at any share (R² {spread(rows['test_r2'], 1)})"


def catcher() -> str:
    row = runs("mini/md22/buckyball-catcher", model="egnn", tuned=True, share=0.5, seed=1)
    return f"(with 50 % of the labels even the pre-trained seed 1 learnt nothing, R² {row['test_r2'].item():.2f})"


def audited(departure: str) -> pd.Series:
    """EGNN's MAE and gains in the audit of ``departure``, by unit, arm and what it is compared with."""
    rows = select("audit", "metric=mae")
    rows = rows[rows["trial"].str.startswith(f"audit, {departure}, EGNN")]
    return rows.fillna({"compared_with": ""}).set_index(["unit", "arm", "compared_with"])["value"]


def audited_gains(departure: str) -> list[float]:
    """Its gains here and as released."""
    return [audited(departure)["%", f"pre-trained{way}", f"scratch{way}"] for way in ("", ", as released")]


def cap_on_neighbours() -> str:
    here, released = audited_gains("neighbour cap")
    return f"of the released code takes EGNN's gain on the catcher from {here:.0f} to {released:.0f} %"


def gains_with_float32_labels() -> str:
    here, released = audited_gains("float32 labels")
    return f"take that gain from {here:.0f} to {released:.0f} %, in one seed again"


def errors_with_float32_labels() -> str:
    audit = audited("float32 labels")
    scratch, before, tuned, after = (
        audit["kcal/mol", f"{arm}{way}", ""] for arm in ("scratch", "pre-trained") for way in ("", ", as released")
    )
    lower = f"whose error is lower (MAE {scratch:.1f} → {before:.1f} kcal/mol)"
    return f"{lower}, the pre-trained one's is hardly higher ({tuned:.1f} → {after:.1f})"


def papers_largest() -> str:
    paper = select("figure3", "model=average", "metric=mae").dropna(subset="paper_value")["paper_value"].unique()
    return f"({paper[0]:g} and {paper[1]:g} % on the last two, averages of four models)"


def systems(model: str, tuned: bool) -> pd.DataFrame:
    """The runs of figure 3 of one model and arm."""
    cut = records().query("data.str.startswith('mini/md22') and share == 1.0 and task == 'energy'")
    cut = cut[(cut["model"] == MODELS[model]) & (cut["tuned"] == tuned)]
    cut = cut[cut["rate"] == chosen(model, "md22/Ac-Ala3-NHMe", tuned)]
    return cut[cut["steps"] == cut.groupby("data")["steps"].transform("min")]


def poor_from_scratch() -> str:
    egnn, se3 = (systems(model, tuned=False) for model in ("EGNN", "SE(3)-Transformer"))
    assert egnn["test_r2"].max() < 0.25
    assert se3["test_r2"].max() < 0.32
    return f"in {egnn['steps'].min()} to {egnn['steps'].max():,} steps (R² below 0.25 and 0.32;"


def good_when_tuned() -> str:
    egnn = systems("EGNN", tuned=True).query("data.str.endswith('Ac-Ala3-NHMe')")["test_r2"]
    se3 = systems("SE(3)-Transformer", tuned=True).set_index("data")["test_r2"]
    four = se3[[f"mini/md22/{name}" for name in ("Ac-Ala3-NHMe", "DHA", "AT-AT", "buckyball-catcher")]]
    return (
        f"EGNN on Ac-Ala3-NHMe R² {spread(egnn)}, the SE(3)-Transformer {spread(four)} on Ac-Ala3-NHMe, DHA, AT-AT and "
        f"the catcher, {se3['mini/md22/double-walled_nanotube']:.2f} on the nanotube"
    )


def rates_of_md22() -> str:
    tried = select("learning_rates", "data=md22/Ac-Ala3-NHMe", "model=SE(3)-Transformer")["learning_rate"]
    least, most = (chosen("SE(3)-Transformer", "md22/Ac-Ala3-NHMe", tuned) for tuned in (False, True))
    assert [least, most] == [tried.min(), tried.max()]
    return f"the smallest candidate of the learning rates, {rate(least)}, pre-trained the largest, {rate(most)}:"


def nanotube() -> str:
    (row,) = systems("EGNN", tuned=True).query("data.str.contains('nanotube') and seed == 0").itertuples()
    se3 = systems("SE(3)-Transformer", tuned=True).set_index("data")["test_r2"]["mini/md22/AT-AT-CG-CG"]
    return (
        f"({row.steps} steps on {row.labels} frames), nor the SE(3)-Transformer enough of AT-AT-CG-CG "
        f"(R² {se3:.2f} pre-trained). Three times the steps, seed 0, do not help"
    )


def overfitting() -> str:
    (row,) = runs("mini/md22/AT-AT-CG-CG", model="se3_transformer", tuned=True, steps=1050).itertuples()
    rmse = row.history["validation_rmse"]
    return f"({rmse[0]:.1f} to {min(rmse):.1f} kcal/mol): it overfits {row.labels} frames"


def schnet_on_nanotube() -> str:
    scratch, tuned = (systems("SchNet", t).query("data.str.contains('nanotube')").iloc[0] for t in (False, True))
    return (
        f"(MAE {scratch['test_mae']:.2f} → {tuned['test_mae']:.2f} kcal/mol, {tuned['steps']} steps) is in part one of "
        f"the learning rate, {rate(scratch['rate'])} from scratch and {rate(tuned['rate'])} pre-trained"
    )


def gains_with_forces() -> str:
    first, second, third = gains("TorchMD-Net", "mini/iso17", forces=10.0)
    return f"({first:.0f}, {second:.0f} and {third:.0f} %)"


def rate_with_forces() -> str:
    tried = select("learning_rates", "model=TorchMD-Net", "data=ani1x").query("forces")["learning_rate"]
    assert chosen("TorchMD-Net", "ani1x", tuned=False, forces=True) == tried.max()
    return f"from scratch with forces, {rate(tried.max())}, is the largest candidate"


def ensemble() -> str:
    energy, force = row_of("10", "energy"), row_of("10", "force")
    return (
        f"on {energy[0]:,.0f} conformations of unknown isomers. It is overconfident: {100 * energy[3]:.0f} % of "
        f"energies and {100 * force[3]:.0f} % of force components lie within one standard deviation of the label, "
        f"{100 * energy[5]:.0f} and {100 * force[5]:.0f} % within two, where of three calibrated members "
        f"{100 * calibrated_share(3):.0f} and {100 * calibrated_share(3, 2):.0f} % would. For forces "
        "it tells large errors from small ones "
        f"(rank correlation {force[7]:.2f}); for energies it does not ({energy[7]:.2f}): there the seeds err together "
        f"(root mean square {energy[1]:.1f} kcal/mol, their spread {energy[2]:.1f})"
    )


def own_rates() -> tuple[float, float]:
    """Those that were chosen, from scratch and pre-trained: the ones that all numbers of labels have."""
    rows = runs("own/methyl-salicylate", own_start=False, labels=20)
    (scratch,), (tuned,) = (set(rows[rows["tuned"] == arm]["rate"]) for arm in (False, True))
    return scratch, tuned


def own_runs(**where) -> pd.DataFrame:
    """The runs of the learning curve, each arm with its own rate."""
    rows, (scratch, tuned) = runs("own/methyl-salicylate", task="energy", **where), own_rates()
    return rows[rows["rate"] == np.where(rows["tuned"], tuned, scratch)]


def own_setting() -> str:
    rows = own_runs(own_start=False)
    assert set(rows["steps"]) == {1000, 1120, 1200}
    return f"methyl salicylate, {len(open_store(datasets.example()))} conformations of a molecule"


def own_rate() -> str:
    (epochs,) = {c.training.epochs for c in [get_scale("laptop").for_dynamics().pretrain("torchmd_net", 0)]}
    return (
        f"some 1,000 steps, learning rate {rate(own_rates()[0])} from scratch and {rate(own_rates()[1])} pre-trained "
        f"(best of two by validation), one pre-training of {epochs} epochs"
    )


def own_forces() -> str:
    mae = own_runs(own_start=False).pivot_table(index=["labels", "seed"], columns="tuned", values="test_force_mae")
    better = (mae[True] < mae[False]).groupby("labels").agg(["all", "any"])
    assert better["all"].tolist() == [True, False, False]
    assert better["any"].all()
    return "Forces gain with 20 labels, with every seed; with 50 and 200 the seeds disagree"


def own_seeds() -> str:
    rows, store = own_runs(own_start=False), open_store(datasets.example())
    errors = {r.key: np.sort(np.abs(find_record(r.key).test_errors()["error"])) for r in rows.itertuples()}
    rows = rows.assign(milder=[errors[key][:-5].mean() for key in rows["key"]])
    last, others = rows[rows["seed"] == 2], rows[rows["seed"] < 2]
    energies = store.relative_energy(np.arange(len(store)))
    index = find_record(last["key"].iloc[0]).test_errors()["index"]
    rank = np.argsort(np.argsort(-energies))
    assert sorted(rank[index])[:3] == [8, 9, 10]
    high = np.sort(energies[index] - np.median(energies))[-3:]
    return (
        f"Seed 2 tests on three strained conformations ({high[0]:.0f} to {high[2]:.0f} kcal/mol above the median; "
        f"eight in the file lie higher). Its MAE is {spread(last['test_mae'])}, of the others "
        f"{spread(others['test_mae'])}; without its five worst conformations it is {spread(last['milder'])}, of the "
        f"others {spread(others['milder'])}. All runs have about as many steps, so {rows['labels'].max()} labels are "
        f"passed less often than {sorted(rows['labels'].unique())[1]}"
    )


def own_pretraining() -> str:
    (start,) = {(r.labels, r.epochs, r.steps) for r in runs("own/methyl-salicylate", task="denoising").itertuples()}
    rows, scratch = own_runs(own_start=True), own_runs(own_start=False, tuned=False, labels=20)
    forces, of_scratch = (each.sort_values("seed")["test_force_mae"].to_numpy() for each in (rows, scratch))
    assert (forces > of_scratch).sum() == 2
    own, others = ([f"{value:.2f}" for value in each.sort_values("seed")["test_mae"]] for each in (rows, scratch))
    return (
        f"({start[0]} for training, passed {start[1]} times: {start[2]:,} steps) shows no clear gain at 20 labels: its "
        f"forces have an MAE of {forces.mean():.2f} kcal/mol/Å, worse than from scratch in two of three seeds; that of "
        f"its energies is {own[0]}, {own[1]} and {own[2]} kcal/mol with seeds 0, 1 and 2, where from scratch it is "
        f"{others[0]}, {others[1]} and {others[2]}"
    )


def own_vibrations() -> str:
    (furthest,) = re.findall(r"potential and GFN2-xTB differ by at most (\d+) cm⁻¹", outputs("11", "text"))
    return f"vibrations lie within {furthest} cm⁻¹ of GFN2-xTB's"


def own_torsion() -> str:
    potential, reference = row_of("11", "max")
    return f"at the right angles, {potential:.1f} kcal/mol high against {reference:.1f}"


def own_at_work() -> str:
    assert re.search(r"pre-trained +False", outputs("11", "text/plain"))
    return f"The ensemble at work is the one from scratch with {own_runs()['labels'].max()} labels"


def own_ensemble() -> str:
    energy, force = row_of("11", "energy"), row_of("11", "force")
    return (
        f"{100 * energy[3]:.0f} % of {energy[0]:.0f} lie within one spread of the label, where of three calibrated "
        f"members {100 * energy[4]:.0f} % would; of force components {100 * force[3]:.0f} %. (On test conformations of "
        "seed 0,"
    )


def seed_of_dynamics() -> str:
    assert (table("dynamics").set_index("potential")["fluctuation"].iloc[1:].diff().iloc[-1]) < 0
    return "energies and forces in the loss, seed 0, at constant energy"


HELD = [
    settings, evidence, third_seed, third_seeds_pretraining, rate_of_pretraining, same_layers, seed_of_controls,
    denoising_errors_by_amount,
    all_labels, wide, rates_of_wide, kept_of_wide, machine_of_the_records, another_machine, groups_of_isomers,
    egnn_on_spice, rates_of_spice, few_labels, rates_at_the_edge, nothing_from_scratch, catcher, cap_on_neighbours,
    papers_largest, gains_with_float32_labels, errors_with_float32_labels,
    poor_from_scratch, order_with_200_labels, of_torchmd_net_denoising_alone,
    good_when_tuned, rates_of_md22, nanotube, overfitting, schnet_on_nanotube, gains_with_forces, rate_with_forces,
    ensemble, own_setting, own_rate, own_forces, own_seeds, own_pretraining, own_vibrations, own_torsion, own_at_work,
    own_ensemble, seed_of_dynamics,
]  # fmt: skip


def page() -> str:
    return (ROOT / "docs" / "results.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("fragment", HELD, ids=lambda f: f.__name__)
def test_prose_says_what_records_say(fragment):
    assert fragment() in text_of(page())


def unheld(text: str) -> list[str]:
    """The sentences of ``text`` with a number that nothing holds."""
    for fragment in HELD:
        text = text.replace(fragment(), "")
    sentences = re.split(r"(?<=[.;:])\s(?!\d)", NAMES.sub("", text))
    return [s for s in sentences if re.search(r"\d", s) and "†" not in s]


def test_no_number_was_typed_that_nothing_holds():
    assert not unheld(text_of(page()))


def test_a_typed_number_is_seen():
    typed = text_of(page().replace("there is no such order here", "SchNet gains 12 % here"))
    assert unheld(typed) == ["SchNet gains 12 % here."]
