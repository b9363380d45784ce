# The paper as a graph of notebooks: one rule each, with everything it reads, writes and depends on.
#
# ./run_all.sh drives this file (and shows one line a step); plain Snakemake works too:
#     snakemake --cores 2 --config profile=demo
#
# depends(step) names what makes a step stale besides its data: the notebook's text, the code of each library file it
# imports directly or not, the versions of the packages those import, and each value of the profile's sections it
# uses. All of them count by content, not by date. `update` keeps a step's previous results until it has succeeded;
# `finished(…)` is its mark of success.

from zdlib.pipeline.layout import Layout, rule_of

layout = Layout(config.get("profile", "demo"))
depends, finished, executed = layout.depends, layout.finished, layout.executed
table, figure, checkpoint, per_image = layout.table, layout.figure, layout.checkpoint, layout.per_image

STEP = (
    "{layout.python} -m zdlib.pipeline step {rule} --profile {layout.profile.name}"
    " --reads {input:q} --writes {output:q}"
)


rule data_prep:
    input:
        layout.data_sources,
    output:
        finished("01_data_prep"),
        update(executed("01_data_prep")),
        update(table("nyu_split_overlap", "split_overlap", "data_statistics", "class_mapping", "data_sets")),
        update(
            figure(
                "nyu_split_overlap", "nyu_held_out_identity", "data_examples", "class_shares",
                "depth_histogram", "vanishing_pixels", "ibims_examples",
            )
        ),
        update(layout.materialised),
    priority:
        layout.priority("01_data_prep")
    params:
        *depends("01_data_prep"),
    shell:
        STEP


rule architecture:
    input:
        layout.weights,
    output:
        finished("02_architecture"),
        update(executed("02_architecture")),
        update(table("parameters_by_part", "gradient_reach")),
        update(figure("architecture", "cross_talk", "attractor_reach")),
    priority:
        layout.priority("02_architecture")
    params:
        *depends("02_architecture"),
    shell:
        STEP


rule training:
    input:
        finished("01_data_prep"),
        layout.data,
        layout.weights,
    output:
        finished("03_training"),
        update(executed("03_training")),
        update(table("recipe_differences", "training_settings", "selected_checkpoints")),
        update(figure("training_losses", "validation_curves", "schedule")),
        update([checkpoint(run) for run in layout.profile.runs]),
    priority:
        layout.priority("03_training")
    params:
        *depends("03_training"),
    shell:
        STEP


rule nyu_eval:
    input:
        finished("01_data_prep"),
        layout.data,
        [checkpoint(run) for run in layout.profile.runs],
    output:
        finished("04_nyu_eval"),
        update(executed("04_nyu_eval")),
        update(
            table(
                "nyu_protocol_definitions", "nyu_depth", "nyu_protocols", "nyu_protocol_effect",
                "nyu_against_control", "nyu_segmentation", "nyu_segmentation_classes", "nyu_by_distance",
                "nyu_by_class",
            )
        ),
        update(figure("nyu_intervals", "nyu_spread", "nyu_best_and_worst")),
        update(per_image(*layout.judged("nyu"))),
    priority:
        layout.priority("04_nyu_eval")
    params:
        *depends("04_nyu_eval"),
    shell:
        STEP


rule ibims_eval:
    input:
        finished("01_data_prep"),
        layout.data,
        [checkpoint(run) for run in layout.profile.runs],
    output:
        finished("05_ibims_eval"),
        update(executed("05_ibims_eval")),
        update(
            table(
                "ibims_protocol_definitions", "ibims_depth", "ibims_scale_bias", "ibims_by_distance",
                "ibims_geometry", "ibims_geometry_published",
            )
        ),
        update(figure("ibims_by_distance", "ibims_planes_and_edges")),
        update(per_image(*layout.judged("ibims"))),
    priority:
        layout.priority("05_ibims_eval")
    params:
        *depends("05_ibims_eval"),
    shell:
        STEP


rule parameter_table:
    output:
        finished("06_parameter_table"),
        update(executed("06_parameter_table")),
        update(
            table(
                "parameters_paper", "parameters_models", "parameters_comparison", "parameters_published",
            )
        ),
    priority:
        layout.priority("06_parameter_table")
    params:
        *depends("06_parameter_table"),
    shell:
        STEP


rule plots:
    input:
        finished("03_training"),
        finished("04_nyu_eval"),
        finished("05_ibims_eval"),
        finished("06_parameter_table"),
    output:
        finished("07_plots"),
        update(executed("07_plots")),
        update(
            figure(
                "nyu_qualitative", "ibims_qualitative", "nyu_labels_and_errors", "nyu_runs_side_by_side",
                "delta_against_parameters", "nyu_error_by_distance", "nyu_error_by_class", "nyu_iou_by_class",
                "training_curves",
            )
        ),
    priority:
        layout.priority("07_plots")
    params:
        *depends("07_plots"),
    shell:
        STEP


rule protocol_audit:
    input:
        finished("01_data_prep"),
        finished("04_nyu_eval"),
        layout.data,
        [checkpoint(run) for run in list(layout.profile.runs)[:1]],
    output:
        finished("08_protocol_audit"),
        update(executed("08_protocol_audit")),
        update(
            table(
                "protocol_waterfall", "protocol_excursions", "ibims_waterfall", "seen_and_unseen", "implied_held_out",
            )
        ),
        update(
            figure(
                "protocol_waterfall", "protocol_excursions", "ibims_waterfall", "implied_by_overfitting",
            )
        ),
    priority:
        layout.priority("08_protocol_audit")
    params:
        *depends("08_protocol_audit"),
    shell:
        STEP


for step, key in layout.jobs.items():

    rule:
        name:
            step
        input:
            finished("01_data_prep"),
            layout.data,
            layout.weights,
        output:
            finished(step),
            update(checkpoint(key)),
            update(per_image(f"study_{key}")),
        priority:
            layout.priority(step)
        params:
            *depends(step),
        shell:
            STEP


rule control_study:
    input:
        [finished(step) for step in layout.jobs],
        per_image(*(f"study_{key}" for key in layout.jobs.values())),
    output:
        finished("09_control_study"),
        update(executed("09_control_study")),
        update(
            table(
                "study_arms", "study_power", "study_segmentation", "study_summary", "study_differences",
                "study_where", "study_power_after",
            )
        ),
        update(figure("study_seeds", "study_differences", "study_where")),
    priority:
        layout.priority("09_control_study")
    params:
        *depends("09_control_study"),
    shell:
        STEP


rule speed:
    input:
        layout.benchmark,
    output:
        finished("10_speed"),
        update(executed("10_speed")),
        update(
            table(
                "speed_inference",
                "speed_savings",
                "speed_training",
                "speed_drift",
                "speed_compiled",
                "speed_evaluation",
            )
        ),
        update(figure("speed_ratios", "speed_stages", "speed_savings", "speed_curves")),
    priority:
        layout.priority("10_speed")
    params:
        *depends("10_speed"),
    shell:
        STEP


rule report:
    input:
        [finished(name) for name in layout.notebooks],
        [executed(name) for name in layout.notebooks],
    output:
        finished("report"),
        update(layout.report),
    priority:
        layout.priority("report")
    params:
        *depends("report"),
    shell:
        STEP


rule all:
    default_target: True
    input:
        # A notebook without a rule is told by `zdlib.pipeline.status`, in words.
        [getattr(rules, rule.name).output for rule in workflow.rules if rule.name in map(rule_of, layout.steps)],
