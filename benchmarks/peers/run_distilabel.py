"""distilabel: a pipeline of three steps, the rows, a pair written of each passage, the pair checked.

Defaults: batches of 50 rows, one worker a step. `--best`: four workers a step with batches of 16, so that a batch's
slowest answer holds up a quarter of the requests alone.
"""

import json

from distilabel.models import OpenAILLM
from distilabel.pipeline import Pipeline
from distilabel.steps import LoadDataFromDicts, StepResources
from distilabel.steps.tasks import TextGeneration
from items import CHECK, WRITE, options, passages, write


def main() -> None:
    """Writes and checks a pair an item."""
    given = options()
    more = {"input_batch_size": 16, "resources": StepResources(replicas=4)} if given.best else {}

    def model():
        return OpenAILLM(model="scribe", base_url=given.url, api_key="none", generation_kwargs={"max_new_tokens": 256})

    with Pipeline(name="stations") as pipeline:
        rows = LoadDataFromDicts(data=[{"passage": text} for text in passages(given.items)])
        writer = TextGeneration(
            name="write", llm=model(), template=WRITE + "{{ passage }}", columns=["passage"],
            output_mappings={"generation": "pair"}, **more,
        )  # fmt: skip
        checker = TextGeneration(
            name="check", llm=model(), template=CHECK + "{{ pair }}", columns=["pair"],
            output_mappings={"generation": "rated"}, **more,
        )  # fmt: skip
        rows >> writer >> checker
    found = pipeline.run(use_cache=False)["default"]["train"]
    pairs = []
    for row in found:
        for pair in json.loads(row["rated"] or "[]"):
            if pair["rating"] >= 7:
                pairs.append((pair["question"], pair["answer"], row["passage"]))
    write(given.out, pairs)


if __name__ == "__main__":
    main()
