"""Every table of the pages by name, in Markdown, each a pure function of results, the notebooks or a registry."""

from collections.abc import Callable

from lib.errors import look_up
from lib.models import MODELS, PAPER_MODELS
from lib.report.pages import fitness, improvements, ledgers
from lib.report.pages.markdown import markdown
from lib.report.pages.notebooks import NotebookPage, notebook_pages
from lib.report.pages.rehearsal import PARTS
from lib.report.pages.standing import standing
from lib.report.pages.values import fine_tuning, labels
from lib.study.scales import SCALES

THUMBNAIL = 150  # pixels


def notebooks() -> str:
    """README's table: what each notebook asks, the paper's item, its executed copy and a thumbnail."""
    rows = [
        [_thumbnail(page), f"[{page.number}]({page.executed}) {page.title}", page.item] for page in notebook_pages()
    ]
    return markdown(["", "notebook, executed", "the paper's item"], rows)


def _thumbnail(page: NotebookPage) -> str:
    if not page.picture:
        return ""
    picture = f'<img src="{page.picture}" width="{THUMBNAIL}" alt="{page.number}">'
    return f'<a href="{page.executed}">{picture}</a>'


def files() -> str:
    """The index of figures/laptop: what each notebook writes."""
    rows = []
    for page in notebook_pages():
        stems = sorted(set(page.tables) | set(page.figures))
        listed = ", ".join(f"[`{s}`]({s}.csv)" if s in page.tables else f"[`{s}`]({s}.png)" for s in stems)
        rows.append([f"[{page.name}]({page.name}.ipynb)", listed])
    return markdown(["executed notebook", "tables (csv) and figures (png and svg of the same name)"], rows)


def models() -> str:
    """The registry of models."""
    rows = [
        [f"`{name}`", entry.label, f"`{entry.module.__module__}`", entry.symmetry] for name, entry in MODELS.items()
    ]
    return markdown(["name", "model", "module", "symmetry"], rows)


def scales() -> str:
    """The registry of scales: epochs, labels, seeds."""
    rows = []
    for name, scale in SCALES.items():
        training = fine_tuning(name, "ani1x").training
        epochs = scale.pretrain(PAPER_MODELS[0], 0).training.epochs
        steps, seeds = f"{training.epochs} in batches of {training.batch_size}", ", ".join(map(str, scale.seeds))
        rows.append([f"`{name}`", scale.label, str(epochs), labels(name), steps, seeds])
    head = ["scale", "data", "pre-training epochs", "labels of ANI-1x", "fine-tuning epochs", "seeds"]
    return markdown(head, rows)


def rehearsal(part: str) -> str:
    """A table of the rehearsal at the paper's size (`rehearsal.PARTS`)."""
    head, rows = look_up(PARTS, part, "table of the rehearsal")()
    return markdown(head, rows)


TABLES: dict[str, Callable[..., str]] = {
    "audit": improvements.audit,
    "label-counts": improvements.label_counts,
    "benchmark": fitness.benchmark,
    "by-model": improvements.by_model,
    "by-value": improvements.by_value,
    "control": improvements.control,
    "differences": improvements.differences,
    "dynamics": fitness.dynamics,
    "files": files,
    "forces": improvements.forces,
    "ledger": ledgers.ledger,
    "ledger-summary": ledgers.ledger_summary,
    "md22": improvements.md22,
    "models": models,
    "notebooks": notebooks,
    "own": improvements.own,
    "rehearsal": rehearsal,
    "results": improvements.results,
    "scales": scales,
    "soundness": fitness.soundness,
    "standing": standing,
    "subsets": improvements.subsets,
    "trials": improvements.trials,
    "undecided": ledgers.undecided,
}
