# Finds or gets a redis-server for the tests, without touching the system. Sourced after common.sh and python.sh.

# Puts a redis-server on PATH: the machine's own, or Debian's, unpacked privately beside its own libraries.
redis_on_path() {
    command -v redis-server >/dev/null && return
    local base=$CACHE/debian-redis root=$CACHE/debian-redis/root
    local program=$base/bin/redis-server
    if ! { [ -f "$base/complete" ] && "$program" --version >/dev/null 2>&1; }; then
        command -v apt-get >/dev/null || die "redis-server is not here and this is no Debian: install it and run this again"
        say "Unpacking Debian's Redis privately into ${base#"$ROOT"/}"
        rm -rf "$base"
        private_apt "$base" forky redis-server
        export APT_CONFIG=$base/apt.conf
        quietly apt-get update || die "the Debian mirror cannot be read"
        # Debian keeps the server's binary in redis-tools. Without a list of what is installed, all that it needs comes along.
        quietly apt-get -o Debug::NoLocking=1 -y --no-install-recommends --download-only install redis-tools ||
            die "Debian's Redis could not be downloaded"
        unset APT_CONFIG
        local package loader libraries
        for package in "$base"/cache/archives/*.deb; do dpkg-deb -x "$package" "$root"; done
        loader=$(find "$root/usr" -name 'ld-linux-*.so.*' | head -n 1)
        libraries=$(dirname "$(find "$root/usr" -name libc.so.6 | head -n 1)")
        "$CACHE/tools/bin/patchelf" --set-interpreter "$loader" --force-rpath --set-rpath "$libraries" \
            "$root/usr/bin/redis-check-rdb"
        mkdir "$base/bin"
        ln -s ../root/usr/bin/redis-check-rdb "$program"
        "$program" --version >/dev/null || die "the unpacked Redis does not run"
        rm -rf "$base/cache" "$base/state"
        touch "$base/complete"
    fi
    export PATH=$base/bin:$PATH
}
