# Shared by scripts/demo, scripts/test and scripts/bench: a virtual environment in .venv that is
# made once and renewed when pyproject.toml changes. Sourced, never run.

setup_venv() {
    local extra="$1" stamp python
    python="${PYTHON:-python3}"
    if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        echo "Python 3.11 or newer is needed; '$python' is not. Set PYTHON=/path/to/python3.11." >&2
        exit 1
    fi
    stamp="$(cksum <pyproject.toml) $extra $("$python" -V)"
    if [ -f .venv/stamp ] && [ "$(cat .venv/stamp)" = "$stamp" ]; then
        return
    fi
    echo "setting up .venv ($extra)"
    "$python" -m venv --clear .venv || {
        echo "Python's venv module is missing. On Debian: apt-get install python3-venv" >&2
        exit 1
    }
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --editable ".[$extra]"
    printf '%s' "$stamp" >.venv/stamp
}
