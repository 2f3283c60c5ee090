# Finds or gets the Python a caller asks for, without touching the system.
# Sourced by script/setup after common.sh; needs $UV once a download is wanted.

# Prints the path of an interpreter on this machine within [minimum, below), or fails.
installed_python() {
    local minimum=$1 below=$2 candidate
    for candidate in python3.14 python3.13 python3.12 python3.11 python3 /usr/bin/python3; do
        candidate=$(command -v "$candidate") || continue
        "$candidate" - "$minimum" "$below" <<'PY' 2>/dev/null && { echo "$candidate"; return 0; }
import sys
low, high = (tuple(map(int, v.split("."))) for v in sys.argv[1:3])
sys.exit(not (low <= sys.version_info[:3] and sys.version_info[:2] < high))
PY
    done
    return 1
}

# A private apt: its own sources, state and cache, the system's mirror and keys, signatures checked.
# A mirror may be a frozen snapshot, whose release file is past its date: its age is not checked.
private_apt() {
    local base=$1 suite=$2 wanted=$3 mirror
    # One of the two places may not be there.
    mirror=$({ cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null || true; } |
        grep -oE '(https?|file)://[^ ]*/debian/?([[:space:]]|$)' | head -n 1 | tr -d '[:space:]')
    [ -n "$mirror" ] || die "no Debian mirror in /etc/apt: install $wanted by hand and run this again"
    mkdir -p "$base"/{state/lists/partial,cache/archives/partial,debs}
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" >"$base/sources.list"
    cat >"$base/apt.conf" <<CONF
Dir::State "$base/state";
Dir::State::status "/dev/null";
Dir::Cache "$base/cache";
Dir::Etc::sourcelist "$base/sources.list";
Dir::Etc::sourceparts "-";
Acquire::Check-Valid-Until "false";
APT::Sandbox::User "$(id -un)";
CONF
}

# Unpacks Debian's own Python of a version into a private folder and prints its interpreter.
# The interpreter is pointed at the libc unpacked beside it, so the system's may be older.
debian_python() {
    local version=$1 suite=forky base=$CACHE/debian-python-$1
    local root=$base/root interpreter=$base/root/usr/bin/python$1
    # The interpreter knows its loader by absolute path, so a moved folder is made again.
    if [ -f "$base/complete" ] && "$interpreter" -c "" 2>/dev/null; then
        echo "$interpreter"
        return
    fi
    command -v apt-get >/dev/null ||
        die "Python $version is not here and this is no Debian: install it and run this again"
    say "Unpacking Debian's Python $version privately into ${base#"$ROOT"/}"
    rm -rf "$base"
    private_apt "$base" "$suite" "Python $version"
    export APT_CONFIG=$base/apt.conf
    quietly apt-get update || die "the Debian mirror cannot be read"
    (cd "$base/debs" && quietly apt-get download "python$version" "python$version-minimal" \
        "libpython$version" "libpython$version-minimal" "libpython$version-stdlib" "python$version-venv" \
        "python$version-dev" "libpython$version-dev" libc6 libexpat1 zlib1g libssl3t64 libffi8 libsqlite3-0 \
        liblzma5 libbz2-1.0 libncursesw6 libtinfo6 libreadline8t64 libuuid1 libzstd1 libdb5.3t64 \
        libstdc++6 libgcc-s1) || die "Debian's Python $version could not be downloaded"
    unset APT_CONFIG
    local package
    for package in "$base"/debs/*.deb; do dpkg-deb -x "$package" "$root"; done
    local loader libraries
    loader=$(find "$root/usr" -name 'ld-linux-*.so.*' | head -n 1)
    [ -n "$loader" ] || die "no dynamic loader in Debian's libc6"
    libraries=$(dirname "$(find "$root/usr" -name libc.so.6 | head -n 1)")
    "$CACHE/tools/bin/patchelf" --set-interpreter "$loader" --force-rpath --set-rpath "$libraries" "$interpreter"
    "$interpreter" -c 'import ssl, sqlite3, ctypes' || die "the unpacked Python $version does not run"
    rm -rf "$base/debs" "$base/cache" "$base/state"
    touch "$base/complete"
    echo "$interpreter"
}

# Prints an interpreter of at least `minimum` and below `below`; gets `wanted` when there is none.
python_for() {
    local minimum=$1 below=$2 wanted=$3
    installed_python "$minimum" "$below" && return
    if "$UV" python install --quiet "$wanted" 2>/dev/null; then
        "$UV" python find --no-project "$wanted"
        return
    fi
    debian_python "$wanted"
}
