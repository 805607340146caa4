#!/bin/sh
# A systemd-journald of our own: journald.sh DIR, as root, within `unshare --mount`.
#
# Its journal is in DIR/journal. It prints `ready`, then obeys a line of standard input at a time,
# and answers each with `done`: `logger TEXT`, `cat TEXT`, `rotate`. It ends when its input does, or
# after a minute; whatever it started ends with it.
set -eu

fail() {
    echo "journald.sh: $*" >&2
    exit 1
}

dir=$1
daemon=/lib/systemd/systemd-journald
[ "$(id -u)" = 0 ] || fail "needs to be root"
[ -x "$daemon" ] || fail "$daemon is missing; install systemd"
[ -s /etc/machine-id ] || fail "/etc/machine-id is missing; run systemd-machine-id-setup"
for tool in logger systemd-cat mount journalctl; do
    command -v "$tool" >/dev/null || fail "$tool is missing; install systemd and bsdutils"
done

daemon_pid='' watch_pid=''
stop() {
    [ -z "$watch_pid" ] || kill "$watch_pid" 2>/dev/null || true
    if [ -n "$daemon_pid" ]; then
        kill "$daemon_pid" 2>/dev/null || true
        wait "$daemon_pid" 2>/dev/null || true
    fi
}
trap stop EXIT
trap 'exit 1' TERM INT

mount --make-rprivate /
mkdir -p /run/systemd/journal /var/log/journal "$dir/journal"
mount -t tmpfs tmpfs /run/systemd/journal
mount --bind "$dir/journal" /var/log/journal
# No kernel messages, no audit, no limit; on disk at once.
cat >"$dir/journald.conf" <<END
[Journal]
ReadKMsg=no
Audit=no
RateLimitIntervalSec=0
Storage=persistent
END
[ -e /etc/systemd/journald.conf ] || fail "/etc/systemd/journald.conf is missing"
mount --bind "$dir/journald.conf" /etc/systemd/journald.conf
touch /run/systemd/journal/flushed
# A /dev of our own, so that /dev/log is: the machine's is shared with every namespace.
mkdir "$dir/dev"
mount -t tmpfs tmpfs "$dir/dev"
for node in null zero full random urandom; do
    : >"$dir/dev/$node"
    mount --bind "/dev/$node" "$dir/dev/$node"
done
ln -s /run/systemd/journal/dev-log "$dir/dev/log"
mount --rbind "$dir/dev" /dev

"$daemon" 2>"$dir/journald.err" &
daemon_pid=$!
self=$$
(
    trap 'kill "$nap" 2>/dev/null; exit' TERM
    sleep 60 &
    nap=$!
    wait "$nap"
    kill "$self"
) >/dev/null 2>&1 &
watch_pid=$!

# Its sockets are there before its journal is.
machine=$(cat /etc/machine-id)
tries=0
until [ -S /run/systemd/journal/dev-log ] && [ -S /run/systemd/journal/stdout ] &&
    [ -s "$dir/journal/$machine/system.journal" ]; do
    tries=$((tries + 1))
    kill -0 "$daemon_pid" 2>/dev/null || fail "systemd-journald ended: $(cat "$dir/journald.err")"
    [ "$tries" -le 200 ] || fail "systemd-journald has, after 20 s, no sockets or no journal for" \
        "machine $machine; in $dir/journal: $(ls -R "$dir/journal"); $(cat "$dir/journald.err")"
    sleep 0.1
done

echo ready
while read -r how text; do
    case $how in
    logger) logger -t birl-logger -p user.err -- "$text" ;;
    cat) printf '%s\n' "$text" | systemd-cat -t birl-cat -p info ;;
    rotate) kill -USR2 "$daemon_pid" ;;
    *) fail "cannot do '$how'" ;;
    esac
    echo done
done
