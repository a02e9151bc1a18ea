#!/bin/bash
# Shows that a real systemd runs, reloads, watches, restarts and stops curfew as its units say. To be run as root on a
# machine (or container, or namespaces) that systemd has booted and that has nothing else to do: it installs, upgrades and
# purges the package, and uses the ports 8080, 8081, 8090, 9000 and 9600 of loopback. Needs curl, and logrotate to see that work; no
# network.
#
# In its working directory:
#   curfew_*.deb            the package (scripts/build-deb)
#   upgrade/curfew_*.deb    the same with a higher version (scripts/build-deb --suffix +1); else nothing is upgraded
#   load                    the load of 1,000 and of 10,000 calls a second (build/release/tools/load); else there is none but curl's
#   hang.so                 what makes one worker hang (build/release/tools/hang.so); else only the whole process does
#
# One line a check, "ok" or "NOT OK". Exit status: 0 if all are ok.
set -uo pipefail
export DEBIAN_FRONTEND=noninteractive
failures=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

check() { # WHAT COMMAND...
    local what=$1
    shift
    if "$@"; then echo "ok      $what"; else echo "NOT OK  $what"; failures=$((failures + 1)); fi
}
# Until a command succeeds, at most 20 s.
eventually() {
    local end=$((SECONDS + 20))
    until "$@"; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.05
    done
}
show() { systemctl show -P "$1" "${2:-curfew.service}"; }
is() { [ "$(show "$1" "${3:-curfew.service}")" = "$2" ]; }
journal() { journalctl --unit curfew.service --output cat --no-pager "$@"; }
journal_count() { journal | grep -c -- "$1"; }
journal_has() { journal "${@:2}" | grep -qi -- "$1"; }
status_of() { curl --silent --max-time 20 --output "$work/answer" --write-out '%{http_code}' "$@"; }
answers() { [ "$(status_of "${@:2}")" = "$1" ]; }
answer_has() { grep -q -- "$1" "$work/answer"; }
as() { setpriv --reuid "$1" --regid "$2" --clear-groups "${@:3}"; }
drop_in() { printf "[Service]\\n$1\\n" >/etc/systemd/system/curfew.service.d/more.conf && systemctl daemon-reload; }
no_drop_in() { rm /etc/systemd/system/curfew.service.d/more.conf && systemctl daemon-reload; }
metric() { curl --silent --max-time 5 http://127.0.0.1:9600/metrics | awk -v m="$1" 'index($0, m) == 1 {n += $NF} END {print n + 0}'; }
# METRIC (a prefix: name and labels) VALUE: the sum of its samples.
metric_is() { [ "$(metric "$1")" = "$2" ]; }
in_flight() { metric_is 'curfew_calls_in_flight{' "$1"; }
status_has() { show StatusText | grep -q -- "$1"; }
quietly() { "$@" >"$work/quiet" 2>&1; }
not() { ! "$@"; }

# Four callers, one call after the other, until load_ends.
load_begins() {
    callers=()
    : >"$work/calls"
    touch "$work/go"
    for _ in 1 2 3 4; do
        while [ -e "$work/go" ]; do
            curl --silent --max-time 15 --output /dev/null --write-out '%{http_code}\n' http://127.0.0.1:8080/delay/20 || echo "failed $?"
        done >>"$work/calls" &
        callers+=($!)
    done
    load_goes_on
}
has_answers() { [ "$(wc -l <"$work/calls")" -gt "$1" ]; }
load_goes_on() { eventually has_answers $(($(wc -l <"$work/calls") + 20)); }
load_ends() {
    load_goes_on
    rm "$work/go"
    wait "${callers[@]}"
    check 'no call was refused or lost' not grep -qv '^200$' "$work/calls"
    sort "$work/calls" | uniq -c
}

configure() { # DEADLINE [ACCESS [TOKEN]]
    cat >/etc/curfew/curfew.yaml <<-END
		admin: {listen: 127.0.0.1:9600}
		log: {level: info, access: ${2:-/var/log/curfew/access.log}}
		upstreams:
		  example:
		    listen: 127.0.0.1:8080
		    url: http://127.0.0.1:9000
		    deadline: $1
		    pool: {size: 50, queue: 4000}
		    headers: {set: {Authorization: {file: ${3:-/run/credentials/curfew.service/token}}}}
	END
}

echo '--- installed'
ls curfew_*.deb >/dev/null || exit 2
dpkg-query -W curfew >/dev/null 2>&1 || dpkg -i curfew_*.deb >"$work/dpkg" 2>&1 || cat "$work/dpkg"
check 'the package is installed' dpkg-query -W curfew
check 'the configuration that it brings is sound' curfew check --strict --descriptors 65536 /etc/curfew/curfew.yaml
check 'the service is enabled' systemctl --quiet is-enabled curfew.service
check 'the service runs' eventually systemctl --quiet is-active curfew.service
check 'it said so itself' is Type notify
check 'it says how it is doing' eventually status_has '^0 calls in flight'
check 'the journal has it as it is: information' journal_has '^ready$' PRIORITY=6
check '/readyz says 200' eventually answers 200 http://127.0.0.1:9600/readyz
check 'systemd-analyze verify prints nothing' test -z "$(systemd-analyze verify --man=no curfew.service curfew.socket curfew@x.service 2>&1)"
check 'systemd-analyze security: at most 1.2' quietly systemd-analyze security --threshold=12 --no-pager curfew.service
tail -1 "$work/quiet"

echo '--- confined'
pid=$(show MainPID)
check 'it is not root' test "$(awk '/^Uid:/ {print $2}' "/proc/$pid/status")" != 0
check 'it has no capability' grep -q '^CapEff:[[:space:]]*0*$' "/proc/$pid/status"
check 'it can get none' grep -q '^CapBnd:[[:space:]]*0*$' "/proc/$pid/status"
check 'a system-call filter is on' grep -q '^Seccomp:[[:space:]]*2$' "/proc/$pid/status"
check 'nothing was refused that it needs' not journal_has 'Operation not permitted'

echo '--- credentials'
systemd-run --quiet --unit api curfew faulty --listen 127.0.0.1:9000
(umask 077 && echo 'Bearer first' >/etc/curfew/token)
mkdir -p /etc/systemd/system/curfew.service.d
printf '[Unit]\nStartLimitIntervalSec=0\n[Service]\nLoadCredential=token:/etc/curfew/token\n' >/etc/systemd/system/curfew.service.d/test.conf
configure 10s
systemctl daemon-reload
systemctl stop curfew.service
check 'the service starts with a credential' systemctl start curfew.service
check 'a call is answered' eventually answers 200 http://127.0.0.1:8080/echo
check 'the API gets what only root can read' answer_has 'Authorization: Bearer first'
check 'the access log has the call' eventually grep -q '"target":"/echo"' /var/log/curfew/access.log

sent_is() { answers 200 http://127.0.0.1:8080/echo && answer_has "Authorization: Bearer $1"; }
echo 'Bearer second' >/etc/curfew/token
check 'a reload succeeds' systemctl reload curfew.service
check 'it has not got a new credential: systemd reads it at the start' sent_is first
check 'a restart succeeds' systemctl restart curfew.service
check 'it has got the new credential' sent_is second
groupadd --system curfew-secrets
(umask 077 && echo 'Bearer third' >/etc/curfew/shared)
chgrp curfew-secrets /etc/curfew/shared && chmod 640 /etc/curfew/shared
drop_in SupplementaryGroups=curfew-secrets
configure 10s '' /etc/curfew/shared
check 'a restart with a group for a secret' systemctl restart curfew.service
check 'the API gets what the group can read' sent_is third
echo 'Bearer fourth' >/etc/curfew/shared
check 'a reload reads it' systemctl reload curfew.service
check 'the API gets the new one' sent_is fourth
configure 10s
no_drop_in
rm /etc/curfew/shared
groupdel curfew-secrets
systemctl restart curfew.service

if command -v logrotate >/dev/null; then
    echo '--- rotated'
    check 'the snippet is installed' test -e /etc/logrotate.d/curfew
    inode=$(stat -L -c %i /var/log/curfew/access.log)
    check 'logrotate has nothing to say' test -z "$(logrotate --force /etc/logrotate.d/curfew 2>&1)"
    check 'the log is another file' eventually eval '[ "$(stat -L -c %i /var/log/curfew/access.log 2>/dev/null || echo '"$inode"')" != '"$inode"' ]'
    check 'the old one is there' test "$(stat -L -c %i /var/log/curfew/access.log.1)" = "$inode"
    check 'a call is answered' answers 200 http://127.0.0.1:8080/ok?rotated
    check 'the new one has it' eventually grep -q rotated /var/log/curfew/access.log
fi

echo '--- called by others at a unix socket'
sed 's,https://[a-z0-9./]*,http://127.0.0.1:9000,' /usr/share/doc/curfew/examples/two-apis.yaml >/etc/curfew/curfew.yaml
check 'without a group, it does not start' not quietly systemctl restart curfew.service
check 'the journal says what to do' journal_has 'search.sock: Operation not permitted: .*Group= in its unit'
drop_in Group=www-data
check 'as the comment says, it does' systemctl restart curfew.service
for name in search geocode; do
    socket=/run/curfew/$name.sock
    check "www-data may call $name" as www-data www-data curl --silent --fail --output /dev/null --unix-socket $socket http://x/ok
    check 'nobody else may' not as nobody nogroup curl --silent --output /dev/null --unix-socket $socket http://x/ok
done
check 'its exposure is as it was' quietly systemd-analyze security --threshold=12 --no-pager curfew.service
no_drop_in
configure 10s
systemctl restart curfew.service

echo '--- reloaded'
pid=$(show MainPID)
curl --silent --max-time 20 --output /dev/null --write-out '%{http_code}' http://127.0.0.1:8080/delay/3000 >"$work/before" &
before=$!
check 'a call is in flight' eventually in_flight 1
check 'systemctl status says so' eventually status_has '^1 calls in flight'
configure 700ms
check 'systemctl reload succeeds' systemctl reload curfew.service
check 'a new deadline counts' eventually answers 504 http://127.0.0.1:8080/delay/1500
check 'it is the one of the file' answer_has '"budget_ms":700'
wait $before
check 'the call in flight finished under the old one' test "$(cat "$work/before")" = 200
check 'it is the same process' test "$(show MainPID)" = "$pid"
check 'the journal tells of it' eventually journal_has 'curfew.yaml is in force'
sed -i 's/deadline: 700ms/deadlin: 700ms/' /etc/curfew/curfew.yaml
check 'with a bad file systemctl reload fails' not quietly systemctl reload curfew.service
check 'the journal says what is wrong with it, as an error' \
    eventually journal_has '^reload: .*curfew.yaml:[0-9]*:[0-9]*: upstreams.example.deadlin: unknown key' PRIORITY=3
check 'it says so once' test "$(journal_count deadlin:)" = 1
check 'the failure is counted' metric_is 'curfew_config_reloads_total{result="failure"}' 1
check 'nothing has changed' is MainPID "$pid"
check 'the service is as sound as before' systemctl --quiet is-active curfew.service
check 'calls are answered as before' answers 504 http://127.0.0.1:8080/stuck
printf '{' >/etc/curfew/curfew.yaml
check 'a file that is no YAML makes it fail, too' not quietly systemctl reload curfew.service
check 'the journal says why' eventually journal_has '^reload: /etc/curfew/curfew.yaml:[0-9]*:[0-9]*: ' PRIORITY=3
check 'it says so once' test "$(journal_count '/etc/curfew/curfew.yaml:[0-9]*:[0-9]*: not valid YAML')" = 1
configure 10s
check 'a good file is taken again' systemctl reload curfew.service
check 'that is counted, too' metric_is 'curfew_config_reloads_total{result="success"}' 2
printf '{' >/etc/curfew/curfew.yaml
check 'with a file that is no YAML it does not start' not quietly systemctl restart curfew.service
check 'the journal says why, as an error' journal_has '^/etc/curfew/curfew.yaml:[0-9]*:[0-9]*: ' PRIORITY=3
configure 10s

echo '--- watched'
printf '[Service]\nWatchdogSec=2s\n' >/etc/systemd/system/curfew.service.d/watchdog.conf
systemctl daemon-reload
systemctl restart curfew.service
pid=$(show MainPID) restarts=$(show NRestarts)
fed() { show WatchdogTimestampMonotonic; }
# Five times as long as it may go without food.
is_fed() { [ $(($(fed) - first)) -ge 10000000 ]; }
first=$(fed)
check 'the watchdog is fed' eventually is_fed
check 'so nothing was restarted' test "$(show MainPID) $(show NRestarts)" = "$pid $restarts"
starved() { [ "$(journal | grep -c 'Watchdog timeout')" -gt "$timeouts" ]; }
restarted() { [ "$(show NRestarts)" -gt "$restarts" ] && systemctl --quiet is-active curfew.service; }
must_be_restarted() {
    check 'the watchdog has starved' eventually starved
    check 'the service is restarted' eventually restarted
    check 'calls are answered' eventually answers 200 http://127.0.0.1:8080/ok
}
timeouts=0
kill -STOP "$pid"
must_be_restarted
if [ -e hang.so ]; then
    install -m 644 hang.so /usr/local/lib/curfew-hang.so
    printf '[Service]\nWatchdogSec=4s\nEnvironment=LD_PRELOAD=/usr/local/lib/curfew-hang.so HANG_FILE=/run/curfew/hang\n' \
        >/etc/systemd/system/curfew.service.d/watchdog.conf
    systemctl daemon-reload
    systemctl restart curfew.service
    timeouts=1 restarts=$(show NRestarts)
    touch /run/curfew/hang
    check 'one worker hangs' eventually test -e /run/curfew/hang.held
    check 'the main thread does not' answers 200 http://127.0.0.1:9600/readyz
    must_be_restarted
    rm /usr/local/lib/curfew-hang.so
fi

rm /etc/systemd/system/curfew.service.d/watchdog.conf
systemctl daemon-reload

echo '--- sockets held over a restart'
systemctl stop curfew.service
check 'the socket unit listens' quietly systemctl enable --now curfew.socket
check 'the first call starts the service' answers 200 http://127.0.0.1:8080/ok
check 'systemd knows the names of its sockets' test "$(systemctl show -P FileDescriptorName curfew.socket)" = example
quietly systemctl stop curfew.service
cat >/etc/systemd/system/curfew-admin.socket <<-END
	[Socket]
	ListenStream=127.0.0.1:9600
	FileDescriptorName=admin
	Service=curfew.service
END
systemctl daemon-reload
check 'a second unit holds the admin listener' systemctl start curfew-admin.socket
check 'who asks there starts the service, too' answers 200 http://127.0.0.1:9600/readyz
check 'which has both' answers 200 http://127.0.0.1:8080/ok
load_begins
for _ in 1 2 3; do
    check 'a restart under load' systemctl restart curfew.service
    check 'an operator is not refused either' answers 200 http://127.0.0.1:9600/readyz
    load_goes_on
done
load_ends

if [ -e load ]; then
    echo '--- 1,000 calls a second'
    install -m 755 load "$work/load"
    "$work/load" --target 127.0.0.1:8080 --path /delay/5 --rate 1000 --calls 20000 --timeout 30 >"$work/told" &
    load=$!
    for _ in 1 2 3 4 5; do
        check 'a restart' systemctl restart curfew.service
        for _ in 1 2; do
            configure 0s
            check 'a bad reload' not quietly systemctl reload curfew.service
            configure 9s
            check 'a good reload' systemctl reload curfew.service
        done
    done
    configure 10s
    check 'the load still goes on' kill -0 $load
    wait $load
    check 'each call was answered' grep -q '"calls":20000,"completed":20000,.*"status":{"200":20000}' "$work/told"
    cut -d '}' -f 1 "$work/told"
    check 'no call is left, and no permit held' eventually metric_is 'curfew_pool_held{' 0
    check 'what was acquired was released' \
        test "$(curl --silent http://127.0.0.1:9600/metrics | awk '/^curfew_pool_acquired_total/ {n += $NF} /^curfew_pool_released_total/ {n -= $NF} END {print n + 0}')" = 0
fi

if [ -e load ]; then
    # LINES: a command that counts those that came. Each of 100,000 calls has its line, or a count of those that were dropped.
    ten_thousand() { # WHAT LINES...
        "$work/load" --target 127.0.0.1:8080 --path "/ok?$1" --rate 10000 --calls 100000 --keepalive --timeout 30 >"$work/told" 2>&1
        cut -d '}' -f 1 "$work/told"
        all_there() { lines=$("${@:2}") && dropped=$(metric curfew_log_lines_dropped_total) && [ $((lines + dropped)) = "$(metric curfew_calls_started_total)" ]; }
        check "each line is in the $1 or counted" eventually all_there "$@"
        echo "        $lines lines, $dropped dropped, of $(metric curfew_calls_started_total) calls"
    }
    echo '--- 10,000 calls a second'
    rm -f /var/log/curfew/access.log*
    systemctl restart curfew.service
    if command -v logrotate >/dev/null; then
        { sleep 3; logrotate --force /etc/logrotate.d/curfew; sleep 3; logrotate --force /etc/logrotate.d/curfew; } >/dev/null 2>&1 &
    fi
    in_files() { zcat -f /var/log/curfew/access.log* | grep -c '"/ok?file"'; }
    ten_thousand file in_files
    configure 10s stdout
    systemctl restart curfew.service
    ten_thousand journal journal_count '"/ok?journal"'
    configure 10s
    systemctl restart curfew.service
fi
systemctl stop curfew-admin.socket
rm /etc/systemd/system/curfew-admin.socket
systemctl daemon-reload

echo '--- the comment of the socket unit, word by word'
sed -i 's/^upstreams:/&\n  second: {listen: "127.0.0.1:8081", url: "http:\/\/127.0.0.1:9000", headers: {set: {X-Second: yes}}}/' /etc/curfew/curfew.yaml
sed -n 's/^#     \(\[Socket\]\|ListenStream=.*\)$/\1/p' /lib/systemd/system/curfew.socket >"$work/edit"
check 'the comment has a drop-in' test "$(wc -l <"$work/edit")" = 4
mkdir -p /etc/systemd/system/curfew.socket.d
cp "$work/edit" /etc/systemd/system/curfew.socket.d/override.conf
systemctl daemon-reload
sed -n 's/^#     \(systemctl .*\)$/\1/p' /lib/systemd/system/curfew.socket >"$work/commands"
check 'and three commands, which succeed' quietly bash -e "$work/commands"
check 'the first upstream is where it listens' answers 200 http://127.0.0.1:8080/ok
check 'so is the second, though the sockets have the name of the first' answers 200 http://127.0.0.1:8081/echo
check 'it is the second' answer_has 'X-Second: yes'
check 'systemd holds both' test "$(systemctl show -P Listen curfew.socket | grep -c Stream)" = 2
before=$(journal_count 'no socket unit holds it')
sed -i 's/127.0.0.1:8081/127.0.0.1:8082/' /etc/curfew/curfew.yaml
check 'a listen that moves away from its socket is warned of' systemctl reload curfew.service
check 'the journal says that nobody holds it' eventually eval '[ "$(journal_count "no socket unit holds it")" -gt $before ]'
check 'and that the old one waits' journal_has 'at 127.0.0.1:8081: no upstream listens there any more' PRIORITY=4
rm -r /etc/systemd/system/curfew.socket.d
systemctl stop curfew.service curfew.socket
systemctl daemon-reload
configure 10s
systemctl start curfew.socket curfew.service

echo '--- stopped with calls in flight'
# Longer than systemd would wait by itself.
printf '[Service]\nTimeoutStopSec=1s\n' >/etc/systemd/system/curfew.service.d/stop.conf
systemctl daemon-reload
curl --silent --max-time 20 --output /dev/null --write-out '%{http_code}' http://127.0.0.1:8080/delay/4000 >"$work/last" &
last=$!
check 'a call is in flight' eventually in_flight 1
systemctl stop curfew.socket curfew.service &
stop=$!
check '/readyz says 503' eventually answers 503 http://127.0.0.1:9600/readyz
check 'systemd knows that it drains' eventually status_has '^draining: 1 calls in flight'
wait $last $stop
check 'the call was answered' test "$(cat "$work/last")" = 200
check 'the service has ended in order' is Result success
check 'the journal tells of it' journal_has '^drain: all calls have ended' PRIORITY=6
rm /etc/systemd/system/curfew.service.d/stop.conf
systemctl daemon-reload

echo '--- an instance'
cat >/etc/curfew/mail.yaml <<-END
	admin: {listen: "unix:/run/curfew@mail/admin.sock"}
	upstreams: {mail: {listen: 127.0.0.1:8090, url: http://127.0.0.1:9000}}
END
check 'an instance starts beside the service' quietly systemctl enable --now curfew@mail.service
systemctl start curfew.service
check 'it serves' eventually answers 200 http://127.0.0.1:8090/ok
check 'so does the service' eventually answers 200 http://127.0.0.1:8080/ok
check 'it has directories of its own' test -d /run/curfew@mail
check 'it is reloaded by its admin socket' systemctl reload curfew@mail.service

if ls upgrade/curfew_*.deb >/dev/null 2>&1; then
    echo '--- upgraded over a bad file'
    service=$(show MainPID) instance=$(show MainPID curfew@mail.service)
    sed -i 's/deadline: 10s/deadlin: 10s/' /etc/curfew/curfew.yaml
    check 'the upgrade is made' quietly dpkg -i upgrade/curfew_*.deb
    check 'it says what is wrong' grep -q 'curfew.yaml:[0-9]*:[0-9]*: upstreams.example.deadlin: unknown key' "$work/quiet"
    check 'and what to do' grep -q 'curfew.service goes on with the version before.*systemctl restart curfew.service' "$work/quiet"
    check 'the old process goes on' is MainPID "$service"
    check 'and answers' answers 200 http://127.0.0.1:8080/ok
    check 'the instance, whose file is sound, is another process' not is MainPID "$instance" curfew@mail.service
    sed -i 's/deadlin: 10s/deadline: 10s/' /etc/curfew/curfew.yaml
    check 'with the file mended, a restart' systemctl restart curfew.service
    check 'brings the new version' not is MainPID "$service"

    echo '--- upgraded, and back, with sockets held'
    quietly systemctl stop curfew.service
    systemctl start curfew.socket curfew.service
    load_begins
    for package in upgrade/curfew_*.deb curfew_*.deb; do
        service=$(show MainPID) instance=$(show MainPID curfew@mail.service)
        check "$package replaces the other" quietly dpkg -i "$package"
        check 'the service runs' eventually systemctl --quiet is-active curfew.service
        check 'it is another process' test "$(show MainPID)" != "$service"
        another_instance() { [ "$(show MainPID curfew@mail.service)" != "$instance" ]; }
        check 'so is the instance' eventually another_instance
        check 'what was configured stays' grep -q 'deadline: 10s' /etc/curfew/curfew.yaml
        load_goes_on
    done
    load_ends
fi

echo '--- removed'
pid=$(show MainPID)
check 'the package is removed' quietly dpkg --remove curfew
check 'the service has ended' not quietly kill -0 "$pid"
check 'so has the instance' not systemctl --quiet is-active curfew@mail.service
check 'the configuration stays' test -e /etc/curfew/curfew.yaml
check 'the package is purged' quietly dpkg --purge curfew
# What this script has put there itself is its own to take away.
rm -rf /etc/systemd/system/curfew.service.d /etc/systemd/system/curfew.socket.d /etc/curfew/mail.yaml /etc/curfew/token
rmdir --ignore-fail-on-non-empty /etc/curfew 2>/dev/null
systemctl daemon-reload
check 'nothing of it is left' test -z "$(find /etc /usr /var /run -xdev -path /run/systemd -prune -o -name '*curfew*' -print | tee /dev/stderr)"

echo '--- the journal of the service'
journalctl --unit curfew.service --unit curfew.socket --output short-monotonic --no-pager | tail -n 120
systemctl stop api.service
[ $failures -eq 0 ] && echo 'all ok' || echo "$failures NOT OK"
[ $failures -eq 0 ]
