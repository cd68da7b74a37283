# Shared by scripts/demo, scripts/test and scripts/bench: a virtual environment in .venv that is
# made once and renewed when pyproject.toml changes. Sourced, never run.
#
#   setup_venv base   what the product needs
#   setup_venv dev    and what the checks need besides

setup_venv() {
    local want="$1" python="${PYTHON:-python3}" stamp have log
    if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        echo "Python 3.11 or newer is needed; '$python' is not. Set PYTHON=/path/to/python3.11." >&2
        exit 1
    fi
    stamp="$(cksum <pyproject.toml) $("$python" -V)"
    have="$(cat .venv/stamp 2>/dev/null || true)"
    if [ "$have" = "$stamp $want" ] || [ "$have" = "$stamp dev" ]; then
        return
    fi
    echo "setting up .venv ($want)"
    log="$(mktemp)"
    # An environment of ours is made anew; one that somebody else made is added to.
    local clear=""
    if [ -f .venv/stamp ]; then clear="--clear"; fi
    if ! "$python" -m venv $clear .venv >"$log" 2>&1; then
        cat "$log" >&2
        echo "Python's venv module is missing. On Debian: apt-get install python3-venv" >&2
        exit 1
    fi
    local target="."
    if [ "$want" = dev ]; then target=".[dev]"; fi
    if ! .venv/bin/python -m pip install --quiet --disable-pip-version-check \
        --editable "$target" >"$log" 2>&1; then
        cat "$log" >&2
        echo "The packages could not be installed; the lines above say why." >&2
        exit 1
    fi
    rm -f "$log"
    printf '%s' "$stamp $want" >.venv/stamp
}
