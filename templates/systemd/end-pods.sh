#!/bin/sh
# Ends the containers when the machine goes down. They do not belong to the kubelet's or the runtime's service, and systemd
# waits 90 s for each process that does not heed SIGTERM. Called when the kubelet has stopped; does nothing otherwise.
# usage: end-pods.sh [seconds that those have who do heed it]
[ "$(systemctl is-system-running)" = stopping ] || exit 0
seconds=${1:-10}
processes() { find /sys/fs/cgroup -path '*kubepods*' -name cgroup.procs -exec cat {} + 2>/dev/null | sort -u; }
# Whoever is left and does not catch SIGTERM (bit 14) will not end of it.
heeds() {
  mask=$(sed -n 's/^SigCgt:.*\(....\)$/\1/p' "/proc/$1/status" 2>/dev/null)
  [ $((0x${mask:-0} & 0x4000)) -ne 0 ]
}
end=$(($(date +%s) + seconds))
kill -TERM $(processes) 2>/dev/null
while :; do
  sleep 0.1
  left=$(processes)
  busy=
  for pid in $left; do heeds "$pid" && busy=yes && break; done
  [ -n "$busy" ] && [ "$(date +%s)" -lt "$end" ] || break
done
[ -z "$left" ] || kill -KILL $left 2>/dev/null
# Each container's shim outlives the runtime on purpose, and SIGTERM. Those of others (Docker) are not ours to end.
for pid in $(find /sys/fs/cgroup -path '*/containerd.service/*' -name cgroup.procs -exec cat {} + 2>/dev/null | sort -u); do
  case "$(tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline")" in
    *containerd-shim*'-namespace k8s.io '*) kill -KILL "$pid" 2>/dev/null ;;
  esac
done
exit 0
