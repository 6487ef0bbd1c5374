/**
 * The shell script at the beginning of a bundle's file: it checks each part by its sha256 and unpacks what the host does not have
 * yet. Run from the file (`sh kinit-….run`), or read from standard input with the parts in a folder (`sh -s -- --parts <folder>`).
 */
import { kinitVersion } from '../../machinery/version.ts';
import type { Architecture } from './architecture.ts';
import type { PartRecord } from './run-file.ts';

export const headerSize = 8192;

/** Where a bundle of this version lies on a host. */
export const bundlePrefix = `/opt/kinit/${kinitVersion}`;

/** Unpacked, the bundle is at most this many times as large. */
export const unpackedFactor = 5.5;

/** Exit code of a host that has thrown away a part which was not what it should be. */
export const damagedExit = 4;

/** @param parts the decoder comes first */
export function runHeader(
  { debian, machine }: Architecture,
  parts: readonly PartRecord[],
  payloadSha256: string,
): string {
  const needed = Math.ceil((parts.reduce((sum, { size }) => sum + size, 0) * unpackedFactor) / (1 << 20));
  const script = `#!/bin/sh
# kinit ${kinitVersion}: unpacks itself to ${bundlePrefix} and links kinit into /usr/local/bin.
# Usage: sh <this file> [--quiet] [--parts <folder>]
set -eu
version='${kinitVersion}'
payload_sha256='${payloadSha256}'
architecture='${debian}'
target='${bundlePrefix}'
parts='${parts.map(({ name, size, sha256 }) => `${name}:${size}:${sha256}`).join(' ')}'
quiet='' folder='' room=''
say() { [ "$quiet" ] || echo "$@"; }
fail() { echo "kinit bundle: $*" >&2; exit 1; }
unpacked_not() { fail "cannot unpack to $draft (disk full? $room MiB were free there, up to ${needed} MiB are needed)"; }
damaged() { echo "kinit bundle: $*" >&2; exit ${damagedExit}; }
while [ $# -gt 0 ]; do
  case $1 in
    --quiet) quiet=1 ;;
    --parts) shift; folder=\${1:-}; [ -d "$folder" ] || fail "there is no folder $folder" ;;
    -h|--help)
      echo "kinit $version: unpacks itself to $target and links kinit into /usr/local/bin. Run it as root."
      echo "Usage: sh $0 [--quiet] [--parts <folder with the parts of the payload, each named by its sha256>]"
      exit 0 ;;
    *) fail "unknown option $1 (see: sh $0 --help)" ;;
  esac
  shift
done
[ "$(uname -m)" = ${machine} ] || fail "this bundle is for linux/$architecture (${machine}), this machine is $(uname -m): take the bundle for it"
[ "$(id -u)" = 0 ] || fail "must run as root to write $target (try: sudo sh $0)"
kept=''
# A node goes on with the bundle that it runs from, until kinit upgrade moves the link.
link() {
  if [ -e /etc/kubernetes/kubelet.conf ] && [ -s /opt/kinit/current/manifest.json ] && [ "$(readlink /opt/kinit/current)" != "$target" ]; then
    kept=1
  else
    ln -sfn "$target" /opt/kinit/current
  fi
  mkdir -p /usr/local/bin
  ln -sfn "$target/bin/kinit" /usr/local/bin/kinit
}
told() {
  if [ "$kept" ]; then say "kinit $version $1 in $target, beside the bundle that this node runs from; next: kinit upgrade plan"
  else say "kinit $version $1 in $target$2"
  fi
}
if [ "$(cat "$target/.payload-sha256" 2>/dev/null || true)" = "$payload_sha256" ]; then
  link
  told 'is already' ''
  exit 0
fi
content() {
  if [ "$folder" ]; then cat "$folder/$1"; else tail -c +"$3" "$0" | head -c "$2"; fi
}
check() {
  seen=$(content "$@" | sha256sum | cut -d' ' -f1)
  [ "$seen" = "$1" ] && return
  [ -z "$folder" ] || rm -f "$folder/$1"
  damaged "\${folder:-$0} is damaged: a part's sha256 is $seen, expected $1; copy it again"
}
# What an older bundle of this host has in common with this one is linked, after another look at it.
reuse() {
  while read -r _ path; do
    case $path in */*) mkdir -p "$draft/\${path%/*}" ;; esac
    ln "$target/$path" "$draft/$path" || break
  done < "$target/.parts/$1"
  if (cd "$draft" && sha256sum -c --status "$target/.parts/$1"); then
    ln "$target/.parts/$1" "$draft/.parts/$1"
  else
    rm -f "$target/.parts/$1"
    damaged "a part of the bundle in $target is damaged; copy it again"
  fi
}
unpack() {
  told=$(content "$@" | { "$d/loader" --library-path "$d" "$d/zstd" -dc --long=27 | tar -xf - -C "$draft" --no-same-owner; } 2>&1) &&
    mv "$draft/.parts/$name" "$draft/.parts/$1" && return
  echo "$told" | head -n 2 >&2
  return 1
}
umask 022
# What was killed has left its draft, and perhaps programs that still write there.
for old in "$target".unpacking.*; do
  [ -d "$old" ] && ! grep -qs . "/proc/\${old##*.}/cmdline" || continue
  for at in $(find /proc/[0-9]*/cwd -maxdepth 0 -lname "$old*" 2>/dev/null); do
    at=\${at#/proc/}
    kill -9 "\${at%/cwd}" 2>/dev/null || :
  done
  rm -rf "$old" || rm -rf "$old"
done
draft="$target.unpacking.$$"
mkdir -p "$draft/.parts"
# Parts that are still being unpacked would go on writing.
trap 'wait; rm -rf "$draft"' EXIT
room=$(df -Pk "$draft" | tail -n 1 | { read -r _ _ _ kib _; echo $((kib / 1024)); })
d="$draft/.decoder"
at=${headerSize + 1} jobs=''
for part in $parts; do
  name=\${part%%:*} sha256=\${part##*:} size=\${part#*:}
  size=\${size%:*}
  if [ -s "$target/.parts/$sha256" ]; then
    if [ "$name" = decoder ]; then reuse "$sha256"; else reuse "$sha256" & jobs="$jobs $!"; fi
  elif [ "$name" = decoder ]; then
    check "$sha256" "$size" "$at"
    mkdir "$d"
    content "$sha256" "$size" "$at" | tar -xzf - -C "$d" --no-same-owner || unpacked_not
    (cd "$draft" && sha256sum .decoder/*) > "$draft/.parts/$sha256"
  else
    { check "$sha256" "$size" "$at"; unpack "$sha256" "$size" "$at"; } & jobs="$jobs $!"
  fi
  at=$((at + size))
done
for job in $jobs; do
  code=0
  wait "$job" || code=$?
  [ $code != ${damagedExit} ] || exit $code
  [ $code = 0 ] || unpacked_not
done
[ -s "$draft/manifest.json" ] || unpacked_not
echo "$payload_sha256" > "$draft/.payload-sha256"
rm -rf "$target.old"
[ ! -e "$target" ] || mv "$target" "$target.old"
mv "$draft" "$target"
rm -rf "$target.old"
trap - EXIT
link
told is '; next: kinit init, or kinit join'
exit 0
`;
  if (Buffer.byteLength(script) > headerSize)
    throw new Error(`the bundle's shell header is larger than ${headerSize} bytes`);
  return script + '\n'.repeat(headerSize - Buffer.byteLength(script));
}
