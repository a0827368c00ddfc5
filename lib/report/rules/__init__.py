"""Rules that decide claims, by the names that ``data/paper/claims.csv`` calls them by."""

from lib.report.rules import gains, measured, models, noise, shares
from lib.report.rules.rule import BLANK, Question, Rule

RULES: dict[str, Rule] = {
    rule.name: rule for module in (gains, models, shares, noise, measured) for rule in module.RULES
}

__all__ = ["BLANK", "RULES", "Question", "Rule"]
