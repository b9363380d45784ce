#!/usr/bin/env bash
# Makes the environment if needed, then brings every table and figure of the paper up to date.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: ./run_all.sh [options]

  (no option)           run the demo profile: every table and figure, on a laptop's CPU
  --profile NAME        smoke, demo, paper, or any other file of profiles/
  --jobs N              run up to N steps side by side (default: cores + 1, at most 4; 1 on a GPU)
  --force STEP          run a step again although nothing changed: 03, training or 03_training
  --status              say which steps are stale, and why; run nothing
  --dry-run             say what would run, and how long it would train here (steps are measured); run nothing
  --pdf                 print the profile's report to results/NAME/report.pdf (needs Chromium or Chrome)
  --test                check the code and run all tests, then the notebooks as tests (profile smoke)
  --test fast           check the code and run the tests that are not slow: what a change should pass first
  --help                this text

Results: results/NAME/report.html and beside it tables, checkpoints, executed notebooks and provenance; figures/NAME.
Environment: .venv, made once; or the active conda environment if it is the one of environment.yml (zdlib).
Variables: ZD_DATA, the folder of the real data (profile paper); ZD_PYTHON, the Python that makes .venv; ZD_TRAIN=fresh
trains again although an equal run has ended or can be resumed (so does --force training), ZD_TRAIN=resume refuses
to leave behind an unfinished run of another configuration.
TEXT
}

die() {
    printf 'error: %s\n' "$*" >&2
    exit 2
}

cd -P -- "$(dirname -- "${BASH_SOURCE[0]}")"
root=$PWD

# ------------------------------------------------------------------------------------------------------- options
command=run
arguments=()
profile=demo
fast=
while (($#)); do
    case $1 in
        --profile | --jobs | --force)
            (($# >= 2)) || die "$1 needs a value: ./run_all.sh --help"
            [[ $1 != --jobs || $2 =~ ^[1-9][0-9]*$ ]] || die "--jobs $2: give a whole number from 1 on"
            if [[ $1 == --profile ]]; then profile=$2; else arguments+=("$1" "$2"); fi
            shift 2
            ;;
        --profile=* | --jobs=* | --force=* | --test=*)
            set -- "${1%%=*}" "${1#*=}" "${@:2}"
            ;;
        --dry-run) arguments+=("$1") && shift ;;
        --status) command=status && shift ;;
        --pdf) command=pdf && shift ;;
        --test)
            command=test && shift
            if [[ ${1:-} == fast ]]; then fast=yes && shift; fi
            ;;
        --help | -h) usage && exit 0 ;;
        *) die "unknown option $1: ./run_all.sh --help" ;;
    esac
done
if [[ $command != run ]] && ((${#arguments[@]})); then
    die "--$command does not go with ${arguments[0]}: ./run_all.sh --help"
fi

# --------------------------------------------------------------------------------------------------- environment
find_python() {
    local candidate
    for candidate in ${ZD_PYTHON:+"$ZD_PYTHON"} python3 python3.13 python3.12 python3.11 python3.14 python; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    die "no Python 3.11 or later found: install one (python.org, apt, brew or conda), or set ZD_PYTHON to its path"
}

make_venv() {
    # The stamp is written last: an interrupted installation has none and is done again.
    local stamp=.venv/zdlib-stamp wanted base
    wanted="$(cksum <pyproject.toml) $root"
    python=$root/.venv/bin/python
    if [[ -x $python && -f $stamp && $(<"$stamp") == "$wanted" ]]; then
        return
    fi
    rm -f "$stamp"
    if ! "$python" -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
        base=$(find_python)
        echo "environment: making .venv with $("$base" --version)"
        "$base" -m venv --clear .venv || die "$base cannot make a virtual environment: install its venv module (apt install python3-venv)"
    fi
    echo "environment: installing the packages of pyproject.toml into .venv (some minutes, once)"
    # One command for everything, so that pip weighs torch and torchvision together with all other pins.
    "$python" -m pip install --disable-pip-version-check --editable ".[test,demo]" ||
        die "installation failed (see above): check the network and run the same command again"
    # What pyproject.toml says why pip must not weigh.
    "$python" -m pip install --disable-pip-version-check --no-deps \
        "$(sed -n 's/^without-dependencies = "\(.*\)"$/\1/p' pyproject.toml)" ||
        die "installation failed (see above): check the network and run the same command again"
    printf '%s' "$wanted" >"$stamp"
}

conda_name=$(sed -n 's/^name: *//p' environment.yml)
if [[ ${CONDA_DEFAULT_ENV:-} == "$conda_name" && -x ${CONDA_PREFIX:-}/bin/python ]]; then
    python=$CONDA_PREFIX/bin/python
    "$python" -c 'import papermill, snakemake' >/dev/null 2>&1 ||
        die "the conda environment $conda_name lacks packages: conda env update --file environment.yml"
else
    make_venv
fi

# This checkout's library, whatever else the environment holds; and numbers that do not depend on hash order.
export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}" PYTHONHASHSEED=0

# ------------------------------------------------------------------------------------------------------ commands
if [[ $command == test ]]; then
    step() { printf '\n== %s\n' "$*"; }
    step "ruff"
    "$python" -m ruff check .
    "$python" -m ruff format --check .
    step "mypy"
    "$python" -m mypy
    # A worker per core, one thread each; files stay whole, so that what a module's tests share is made once.
    workers=(--numprocesses logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder)
    if [[ $fast ]]; then
        step "pytest (tests that are not slow)"
        "$python" -m pytest "${workers[@]}" -m "not slow"
    else
        step "pytest"
        "$python" -m pytest "${workers[@]}"
        step "notebooks (nbval, profile smoke)"
        # In the pipeline's order: abstract and conclusion state what the others have found.
        ZD_PROFILE=smoke "$python" -m pytest -c tests/notebooks/pytest.ini --rootdir . \
            notebooks/{0[1-9],[1-8][0-9]}_*.ipynb notebooks/{00,99}_*.ipynb
    fi
    step "all tests passed"
    exit
fi

if [[ $command == pdf ]]; then
    exec "$python" -m zdlib.paper.page.printing --profile "$profile"
fi
exec "$python" -m zdlib.pipeline "$command" --profile "$profile" ${arguments[@]+"${arguments[@]}"}
