"""Cards such as people keep them on the Hub, and parts to splice into them."""

from dataclasses import replace

from fairprint.reports.card_parts import CardParts, Emissions, Metric, Result, Section


def _result(config: str, value: float, low: float, high: float, items: int) -> Result:
    return Result(
        task_type="text-generation", task_name="Text generation", dataset_type="nyu-mll/crows_pairs",
        dataset_name=f"CrowS-Pairs, {config}", dataset_config=f"crows-pairs/{config}", dataset_split="test",
        dataset_revision="1.0",
        metrics=(
            Metric(type="stereotype_score", value=value, name="Stereotype score",
                   args={"low": low, "high": high, "level": 0.95, "items": items, "instrument": "fill-in"}),
            Metric(type="p_value", value=0.00001234, name="p: two-sided, exact", args={}),
        ),
        source_name="fairprint", source_url="https://example.org/report.html",
    )  # fmt: skip


EMISSIONS = Emissions(
    emissions_g=12.345678, source="CodeCarbon 3.3.2", training_type="fine-tuning",
    geographical_location="Quebec, Canada", hardware_used="8 x H100", scope="final run: and all trials",
)  # fmt: skip

BIAS = Section(
    key="bias", title="Bias, Risks, and Limitations",
    markdown="The model prefers *he* for a doctor: 12 points [8, 16].\n\n### Not measured\n\n- age | disability",
)  # fmt: skip
RECOMMENDATIONS = Section(key="recommendations", title="Recommendations", markdown="Check with data of your own. 🙂")
EVALUATION = Section(
    key="evaluation", title="Evaluation",
    markdown="""Asked by fairprint.

### Testing Data, Factors & Metrics

#### Testing Data

CrowS-Pairs.

#### Factors

Gender.

#### Metrics

Shares.

### Results

| Group | Score |
|---|---|
| a | 0.5 [0.4, 0.6] |

```
## Summary
```

#### Summary

Little was found.
""",
)  # fmt: skip
ENVIRONMENT = Section(key="environment", title="Environmental Impact", markdown="- **Energy:** 1.31 Wh [1.1, 1.5]")

PARTS = CardParts(
    model_name="tiny-model",
    results=(_result("gender", 0.625, 0.55, 0.7, 262), _result("no", 1.0, 0.5, 1.0, 12)),
    emissions=EMISSIONS, emissions_reason="", sections=(BIAS, RECOMMENDATIONS, EVALUATION, ENVIRONMENT),
)  # fmt: skip
NEWER = replace(
    PARTS,
    results=(_result("gender", 0.5, 0.45, 0.55, 262),),
    emissions=replace(EMISSIONS, emissions_g=3.0),
    sections=(replace(BIAS, markdown="Nothing was found."), RECOMMENDATIONS, EVALUATION, ENVIRONMENT),
)
FEWER = CardParts(
    model_name="tiny-model", results=(), emissions=None, emissions_reason="only audits were metered", sections=(BIAS,)
)

FULL = """---
# a comment that stays
language:
- en   # two spaces
license: apache-2.0
tags: [fairness,   audit]
date: 2024-01-01
model-index:
- name: tiny-model
  results:
    - task:
        type: text-classification
      dataset:
        name: GLUE
        type: glue
      metrics:
        - type: accuracy
          value: 0.91   # theirs
---

# Tiny model 🐦

Some words.\x20\x20
A hard break above, and a\ttab.

## Uses

[More Information Needed]

## Bias, Risks, and Limitations

<!-- This section is meant to convey both technical and sociotechnical limitations. -->

[More Information Needed]

### Recommendations

<!-- This section is meant to convey recommendations. -->

Users should be made aware of the risks.

## Evaluation

### Testing Data, Factors & Metrics

#### Testing Data

[More Information Needed]

#### Factors

[More Information Needed]

#### Metrics

Our own metric.

### Results

[More Information Needed]

#### Summary



## Model Examination [optional]

[More Information Needed]

## Environmental Impact

- **Hardware Type:** [More Information Needed]
- **Hours used:** [More Information Needed]

## Citation

Words at the end.
"""

TRAINER = """---
library_name: transformers
tags:
- generated_from_trainer
model-index:
- name: tiny-model
  results: []
---

<!-- This model card has been generated automatically according to the information the Trainer had access to. You
should probably proofread and complete it, then remove this comment. -->

# tiny-model

## Intended uses & limitations

More information needed

## Training procedure

### Training hyperparameters

- seed: 42

### Framework versions

- Transformers 5.0
"""

FENCED = """---
license: mit
---
# Model

```markdown
## Evaluation

[More Information Needed]
<!-- fairprint:begin bias schema=1 sha256=0 -->
```

<!--
## Environmental Impact
-->

    ## Bias, Risks, and Limitations

> ## Evaluation
> quoted

- ## Evaluation

~~~
# fairprint:begin x
~~~
"""

SETEXT = """---
license: mit
metrics: [accuracy]
---

Model
=====

Evaluation
----------

Ours.

Results
-------

bias, RISKS & limitations
=========================

Text right below
<div>
</div>

Environmental Impact
--------------------
"""

OWN_EMISSIONS = """---
license: mit
co2_eq_emissions:   # measured by us
  emissions: 24_700_000
  source: "a meter"
  # the end of it

pipeline_tag: text-generation
---
# Model
"""

TWO_MODELS = """---
model-index:
# both of ours
- name: other-model
  results:
  - task: {type: text-generation}
    dataset: {type: x, name: X}
    metrics:
    - {type: loss, value: 1.5}
- name: org/Tiny-Model
  results:
  - task:
      type: text-generation
    dataset:
      type: x
      name: X
    metrics:
    - type: loss
      value: 20.0 ± 1.2

license: mit
---
Words
"""

OTHER_MODEL = """---
model-index:
- name: other-model
  results:
  - task:
      type: text-generation
    dataset:
      type: x
      name: X
    metrics:
    - type: loss
      value: 1.5
---
Words"""

CARDS = {
    "the Hub's template, filled in part": FULL,
    "Windows ends of lines": FULL.replace("\n", "\r\n"),
    "a byte order mark": "\ufeff" + FULL,
    "as the Trainer writes it": TRAINER,
    "a byte order mark and Windows ends of lines": "\ufeff" + TRAINER.replace("\n", "\r\n"),
    "language: no": "---\nlanguage: no\nlicense: mit\n---\n\n# Model\n\n## Evaluation\n\n[more information needed]",
    "headings in code, comments and quotations": FENCED,
    "headings underlined": SETEXT,
    "two models": TWO_MODELS,
    "another model": OTHER_MODEL,
    "no front matter": "# Model\n\nWords without an end of line",
    "no front matter, a blank beginning": "\n\n# Model\n## Environmental Impact\n# Evaluation\nx\n",
    "front matter of a comment": "---\n# nothing yet\n---\n\n\n# Model ✨\n",
    "empty front matter": "---\n---\n# Model\n\n---\n\nafter a rule\n",
    "braces": "---\n{}\n---\n# Model\n",
    "all levels": "---\nlicense: mit\n---\n# Uses\n\nx\n\n# Bias, Risks, and Limitations\n\nwords\n"
    "## Recommendations\n\n# Training Details\n\nx\n\n\n\n# Environmental Impact\n",
    "mixed ends of lines": "---\r\nlicense: mit\r\n---\n# Model\r\rold Mac\r\n\n## Evaluation\r\n### Results\rx",
    "a block of text at the end of the front matter": "---\nlicense: mit\ndescription: |+\n  words\n\n\n---\nbody\n",
    "keys that are indented": "---\n  license: mit\n  model-index:\n  - name: tiny-model\n    results: []\n---\nbody\n",
    "a block of text alone": "---\nmodel-index: null\ntext: >-\n  words\n  more\n---\nbody\n",
}
