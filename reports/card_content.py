"""From stored records to the parts of a model card."""

from collections.abc import Sequence

from fairprint.reports import card_bias, card_environment, card_evaluation, card_recommend, card_results
from fairprint.reports.card_evaluation import Figure
from fairprint.reports.card_parts import CardParts, Section
from fairprint.reports.card_runs import CardRuns


def card_parts(runs: CardRuns, figures: Sequence[Figure] = ()) -> CardParts:
    """Return what a card is told of some runs; the same for the same records.

    Args:
        runs: audits of one model, and its trainings.
        figures: address and alternative text of the pictures beside the card.
    """
    emissions, reason = card_environment.emissions(runs)
    sections = []
    if runs.audits:
        title = "Bias, Risks, and Limitations"
        sections += [
            Section(key="bias", title=title, markdown=card_bias.markdown(runs)),
            Section(key="recommendations", title="Recommendations", markdown=card_recommend.markdown(runs)),
        ]
    sections += [
        Section(key="evaluation", title="Evaluation", markdown=card_evaluation.markdown(runs, figures)),
        Section(key="environment", title="Environmental Impact", markdown=card_environment.markdown(runs)),
    ]
    return CardParts(
        model_name=runs.model_name,
        results=card_results.results(runs),
        emissions=emissions,
        emissions_reason=reason,
        sections=tuple(sections),
    )
