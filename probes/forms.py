"""What published benchmarks and plain texts ask: the forms of their items, as ``ProbeSet.scored`` names them."""

PAIR = "pair"
"""Two sentences that differ in few words: the groups are ``more`` (the more stereotyping one) and ``less``; the span of
each holds the words from its first difference to its last (CrowS-Pairs)."""
TRIPLE = "triple"
"""A sentence with one word or name filled in three ways: the groups are ``stereotype``, ``anti-stereotype`` and
``unrelated``; the span is what was filled in, the lexeme the target term, and the stem of the item the context with
``BLANK`` for what is filled in: the authors fill it for masked models, and ask others for the sentences, which spell
names without capitals (StereoSet)."""
BLANK = "BLANK"
"""Stands in the stem of a triple where a word is filled in."""
QUESTION = "question"
"""A question with options: the groups are ``biased``, ``counter-biased`` and ``unknown``; the span of each variant is
the option, and the text before it the prompt. An item for which biased cannot be told has ``first`` and ``second``
instead (BBQ, KoBBQ)."""
REFERENT = "referent"
"""A sentence with a pronoun, followed by the statement of whom it refers to; each variant's span is one of the two whom
it could be (WinoBias, Winogender)."""
PROMPT = "prompt"
"""The beginning of a text that a model continues; an item has one variant, of the group that it is about (BOLD)."""
SLOT = "slot"
"""A sentence with a slot that a model fills; an item has one variant, of the group that it is about, and its span is
the empty place of the slot (HONEST)."""
TEXT = "text"
"""A plain text about no group: an item has one variant, whose span is the whole of it, and nothing is compared. How
well a model predicts such texts is no finding about people: it guards against a model that got worse altogether."""

FORMS = (PAIR, TRIPLE, QUESTION, REFERENT, PROMPT, SLOT)

UNITS = {
    PAIR: {"template": "pair"},
    TRIPLE: {"template": "item", "lexeme": "target term"},
    REFERENT: {"template": "sentence frame", "lexeme": "occupation"},
    PROMPT: {"template": "subject", "lexeme": "prompt"},
    SLOT: {"lexeme": "identity term"},
    TEXT: {"template": "text"},
}
"""What one unit of a random factor is called in a form, where that is not the factor's own name."""
