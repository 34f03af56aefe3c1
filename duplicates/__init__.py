"""Duplicates: candidates are compared, grouped and decided on, and removed by plans.

The names below are loaded when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pictor.duplicates.comparison.run import Compared as Compared
    from pictor.duplicates.groups.decisions_file import PairDecision as PairDecision
    from pictor.duplicates.groups.decisions_file import decision_of as decision_of
    from pictor.duplicates.groups.decisions_file import read_decisions as read_decisions
    from pictor.duplicates.groups.descriptions import COPIES_STAY as COPIES_STAY
    from pictor.duplicates.groups.descriptions import KINDS as KINDS
    from pictor.duplicates.groups.descriptions import Fact as Fact
    from pictor.duplicates.groups.descriptions import evidence as evidence
    from pictor.duplicates.groups.descriptions import facts as facts
    from pictor.duplicates.groups.descriptions import has_copies as has_copies
    from pictor.duplicates.groups.descriptions import link_with as link_with
    from pictor.duplicates.groups.records import Group as Group
    from pictor.duplicates.groups.records import Link as Link
    from pictor.duplicates.groups.records import Member as Member
    from pictor.duplicates.groups.rule_language import KeepRules as KeepRules
    from pictor.duplicates.groups.rule_language import Term as Term
    from pictor.duplicates.removal.apply import Mode as Mode
    from pictor.duplicates.removal.plan import RemovalPlan as RemovalPlan
    from pictor.duplicates.removal.plan import freed_bytes as freed_bytes
    from pictor.duplicates.removal.steps import OnStep as OnStep
    from pictor.duplicates.removal.steps import RemovalResult as RemovalResult
    from pictor.duplicates.removal.steps import Step as Step
    from pictor.duplicates.removal.steps import StepResult as StepResult
    from pictor.duplicates.verbs import Decision as Decision
    from pictor.duplicates.verbs import Duplicates as Duplicates
    from pictor.library.catalog.decisions import DecisionRow as DecisionRow
    from pictor.library.pairs import DUPLICATES as DUPLICATES
    from pictor.library.pairs import LADDER as LADDER
    from pictor.library.pairs import Evidence as Evidence
    from pictor.library.pairs import Kind as Kind
    from pictor.library.pairs import Verdict as Verdict
else:
    from pictor.library.exports import exports

    __getattr__, __dir__ = exports(__name__)
