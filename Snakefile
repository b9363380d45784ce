# The paper as a graph: what each step reads and writes.
#
# ./run_all.sh drives this file (and shows one line per step); plain Snakemake works too:
#     snakemake --cores 2 --config profile=demo
#
# A step is a notebook, a training, a trained run's predictions, or the report. Besides the files named here it depends
# on its text, the library files it imports, their packages and its sections of the profile (`layout.depends`): all by
# content, not by date. Tables and figures are named in the notebook that saves them (`layout.shown`).
# `finished(step)` is a step's mark of success; `update` keeps its previous results until then.

from snakemake.exceptions import WorkflowError

from zdlib.pipeline.layout import Layout, rule_of
from zdlib.pipeline.studies import STUDIES

layout = Layout(config.get("profile", "demo"))
per_image, finished = layout.per_image, layout.finished
trained = [layout.checkpoint(run) for run in layout.profile.runs]
predicted = [layout.predicted(run) for run in layout.profile.runs]
data_prepared = [finished("01_data_prep"), layout.data]

READS = {
    "01_data_prep": [layout.data_sources, layout.scored_on_streets],
    "02_architecture": layout.weights,
    "03_training": [data_prepared, layout.weights, trained],
    "04_nyu_eval": [data_prepared, trained, predicted],
    "05_ibims_eval": [data_prepared, trained, predicted],
    "06_parameter_table": [],
    "07_plots": [finished(name) for name in ("03_training", "04_nyu_eval", "05_ibims_eval", "06_parameter_table")],
    "08_protocol_audit": [data_prepared, finished("04_nyu_eval"), trained, predicted],
    "10_speed": layout.measured("bench"),
    **{name: layout.compared(name) for name in STUDIES if name in layout.notebooks},
    "00_abstract": [data_prepared, trained, [finished(name) for name in layout.told_at_the_front]],
    "99_conclusion": [finished("00_abstract"), layout.measured("side_by_side")],
    "report": [[finished(name), layout.executed(name)] for name in layout.notebooks],
}
WRITES = {
    "01_data_prep": layout.materialised,
    "04_nyu_eval": per_image(*layout.judged("nyu")),
    "05_ibims_eval": per_image(*layout.judged("ibims")),
    "report": layout.report,
}
for step in layout.jobs:
    READS[step] = [data_prepared, layout.begins_with(step)]
    WRITES[step] = layout.trained(step)
for step, run in layout.predictions.items():
    READS[step] = [data_prepared, layout.checkpoint(run)[0]]
    WRITES[step] = layout.predicted(run)

for step in layout.steps:
    if step not in READS:
        raise WorkflowError(f"no rule {rule_of(step)} for notebooks/{step}.ipynb: add it")

    rule:
        name:
            rule_of(step)
        input:
            READS[step],
        output:
            finished(step),
            update([layout.shown(step), WRITES.get(step, [])]),
        priority:
            layout.priority(step)
        params:
            *layout.depends(step),
        shell:
            "{layout.python} -m zdlib.pipeline step {rule} --profile {layout.profile.name}"
            " --reads {input:q} --writes {output:q}"


rule all:
    default_target: True
    input:
        [getattr(rules, rule_of(step)).output for step in layout.steps],
