/** What a host is like, as sorted lines: its files, kernel settings, network, rules, units, mounts and processes. */
import type { LabHost } from '../lab/lab.ts';

/** Paths that change by themselves on a running host, each with the reason. */
const volatile: Record<string, string> = {
  '/run/log': 'the journal of this boot',
  '/var/log/journal': 'the journal of all boots',
  '/var/log/(wtmp|btmp|lastlog|faillog)': 'logins, also those of the tests',
  '/run/systemd/(?!system/|transient/|generator)': "systemd's notes on running units and sessions",
  '/run/systemd/transient/session-': 'logins',
  '/run/(user|udev|utmp|sudo|cryptsetup|lock/lvm)': 'logins and devices',
  '/(var/)?tmp/systemd-private-': 'names made at random by systemd',
  '/etc/([.]pwd[.]lock|(passwd|group|shadow|gshadow|subuid|subgid)-)( |$)':
    'what the account tools leave: their lock, and the state before the last change',
  '/var/lib/systemd/': 'time stamps, random seed, journal catalog',
  '/var/lib/(dbus|logrotate|chrony|private)/': 'daemons of the host',
  '/var/cache/': 'caches: ldconfig, man pages, package lists',
};

/** Folders that are file systems of their own on a lab host. */
const places = ['/', '/run', '/var/lib/containerd', '/var/lib/kubelet', '/var/lib/etcd', '/dev/shm'];

/** Settings that the kernel counts up by itself. */
const restless =
  'random|nr_|pty|inode|dentry|file-nr|_count|state|ns_last_pid|sched_domain|tcp_mem|udp_mem|stat_refresh|mii|hostname|perf_|quota.syncs';

const look = `
exec 2>/dev/null
find ${places.join(' ')} -xdev '(' -path /proc -o -path /sys -o -path /dev -prune ')' -o -printf 'file %p %y %m %U:%G %l\\n'
find /etc /usr/local /root /home /opt -xdev -type f -exec sha256sum {} + | awk '{print "content " $2 " " $1}'
find /usr /var/lib -xdev -type f -not -path '/var/lib/systemd/*' -printf 'size %p %s\\n'
sysctl -a | grep -vE '${restless}' | sed 's/^/sysctl /'
ip -o link show | sed -E 's/^[0-9]+: //; s/@if[0-9]+//' | awk '{print "link " $1 " " $2}'
ip -o addr show | awk '{print "address " $2 " " $3 " " $4}'
ip route show table all | sed 's/^/route /; s/ *$//'
ip -6 route show table all | sed 's/^/route6 /; s/ expires.*//; s/ *$//'
ip rule show | sed 's/^/rule /'
ip neigh show nud permanent | sed 's/^/neighbour /'
ls /run/netns | sed 's/^/netns /'
cat /proc/self/mounts | awk '{print "mount " $2 " " $3}'
cat /proc/swaps | sed 's/^/swap /'
cut -d' ' -f1 /proc/modules | sed 's/^/module /'
find /sys/fs/cgroup -type d -path '*kube*' | sed 's/^/cgroup /'
systemctl list-unit-files --no-legend --plain | awk '$1 !~ /[.]scope$/ {print "unit-file " $1 " " $2}'
systemctl list-units --state=active,failed --no-legend --plain | awk '$1 !~ /(session|user|ssh@|run-|sshd@)|device|[.]scope/ {print "unit " $1 " " $2 " " $3}'
ss -Hltunp | awk '{print "listens " $1 " " $5}'
for pid in $(ls /proc | grep -E '^[0-9]+$'); do
  command=$(tr '\\0' ' ' < /proc/$pid/cmdline)
  [ -n "$command" ] && echo "process $command"
done | grep -vE 'process (sshd|/usr/sbin/sshd|sh |bash |/bin/sh|ls |tr |grep |sort |awk |sed |\\(sd-pam|\\(udev-worker|/lib/systemd/systemd --user|/usr/lib/systemd/systemd --user|/bin/bash)' | sort -u
true
`;

/** Reached once, it stays reached until the next boot: stopping it could stop units of the host that require it. */
const lasting = /^unit network-online.target /;

const familyTools = ['iptables-legacy', 'iptables-nft', 'ip6tables-legacy', 'ip6tables-nft'];
/** Chains of their own and rules; built-in chains without rules are what any look at the tables makes. */
const rules = familyTools
  .map(
    (tool) =>
      `${tool}-save 2>/dev/null | awk '/^[*]/ {table = $1} /^-A/ || (/^:/ && $2 == "-") {print "packets ${tool} " table " " $0}'`,
  )
  .join('\n');

const isVolatile = new RegExp(`^(?:file|content|size) (?:${Object.keys(volatile).join('|')})`);

/** @param ignore lines of these, beyond what every host changes by itself */
export async function hostState(host: LabHost, ignore: readonly RegExp[] = []): Promise<string[]> {
  const text = await host.must(look, { timeoutMs: 120_000 });
  const packets = await host.must(`${rules}\ntrue`);
  return `${text}\n${packets}`
    .split('\n')
    .map((line) => line.trimEnd())
    .filter(
      (line) => line && !isVolatile.test(line) && !lasting.test(line) && !ignore.some((pattern) => pattern.test(line)),
    )
    .sort();
}

/** Lines that are only in one of them, as a patch would show them; empty when the host is as it was. */
export function difference(before: readonly string[], after: readonly string[]): string[] {
  const had = new Set(before);
  const has = new Set(after);
  return [
    ...before.filter((line) => !has.has(line)).map((line) => `- ${line}`),
    ...after.filter((line) => !had.has(line)).map((line) => `+ ${line}`),
  ];
}
