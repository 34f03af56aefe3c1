"""Duplicates: candidates are compared, grouped and decided on, and removed by plans.

The names below are loaded when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pictor.duplicates.comparison.run import Compared as Compared
    from pictor.duplicates.groups.decisions_file import PairDecision as PairDecision
    from pictor.duplicates.groups.keep_rules import Rules as Rules
    from pictor.duplicates.groups.keep_rules import Term as Term
    from pictor.duplicates.groups.records import Group as Group
    from pictor.duplicates.groups.records import Link as Link
    from pictor.duplicates.groups.records import Member as Member
    from pictor.duplicates.removal.plan import Freed as Freed
    from pictor.duplicates.removal.records import Step as Step
    from pictor.duplicates.removal.records import StepResult as StepResult
    from pictor.library.catalog.decisions import DecisionRow as DecisionRow
    from pictor.library.pairs import Kind as Kind
else:
    from pictor.library.exports import exports

    __getattr__, __dir__ = exports(__name__)
