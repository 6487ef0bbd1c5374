/**
 * SELinux on virtual machines of the CentOS family: enforcing from the kernel's start, with the smallest policy that says anything.
 *
 * Everything is of one type that may do everything, except with files of type `guarded_t`: these nobody may read. So what
 * enforcing is shows at a file, and a host starts as fast as without. A distribution's whole policy takes minutes to load
 * and to label by under emulation, and would show no more of what an installer does about it.
 */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';

export const guardedContext = 'system_u:object_r:guarded_t';
const fileContext = 'system_u:object_r:system_t';

/** In the kernel's order; those that it does not use any more are there for their number. */
const initialSids =
  'kernel security unlabeled fs file file_labels init any_socket port netif netmsg node igmp_packet icmp_socket tcp_socket sysctl_modprobe sysctl sysctl_fs sysctl_kernel sysctl_net sysctl_net_unix sysctl_vm sysctl_dev kmod policy scmp_packet devnull'.split(
    ' ',
  );

/** Classes and permissions that are not named here are allowed. */
const policy = `
(handleunknown allow)
(mls false)
(class file (read open getattr relabelfrom relabelto unlink write))
(class process (transition dyntransition))
(classorder (file process))
${initialSids.map((sid) => `(sid ${sid})`).join('\n')}
(sidorder (${initialSids.join(' ')}))
(sensitivity s0)
(sensitivityorder (s0))
(level low (s0))
(levelrange all (low low))
(user system_u)
(userlevel system_u low)
(userrange system_u all)
(role system_r)
(role object_r)
(type system_t)
(type guarded_t)
(userrole system_u system_r)
(userrole system_u object_r)
(roletype system_r system_t)
(roletype object_r system_t)
(roletype object_r guarded_t)
(context everything (system_u system_r system_t all))
${initialSids.map((sid) => `(sidcontext ${sid} everything)`).join('\n')}
(fsuse xattr ext4 everything)
(allow system_t system_t (file (read open getattr relabelfrom relabelto unlink write)))
(allow system_t system_t (process (transition dyntransition)))
(allow system_t guarded_t (file (getattr relabelfrom relabelto unlink)))
`;

/** What libselinux, systemd and PAM look up. */
const files: Record<string, string> = {
  seusers: '__default__:system_u\n',
  'contexts/files/file_contexts': `/.* ${fileContext}\n`,
  'contexts/default_contexts': 'system_r:system_t system_r:system_t\n',
  'contexts/failsafe_context': 'system_r:system_t\n',
  'contexts/default_type': 'system_r:system_t\n',
  'contexts/dbus_contexts':
    '<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">\n<busconfig><selinux></selinux></busconfig>\n',
};

/** Puts the policy into a host's root, whose `secilc` compiles it; /etc/selinux/config is the flavour's. */
export async function installPolicy(root: string): Promise<void> {
  const folder = '/etc/selinux/targeted';
  for (const [path, content] of Object.entries(files)) {
    const full = join(root, folder, path);
    await mkdir(join(full, '..'), { recursive: true });
    await writeFile(full, content);
  }
  await mkdir(join(root, folder, 'policy'), { recursive: true });
  await writeFile(join(root, folder, 'lab.cil'), policy);
  // The kernel reads older versions too.
  const compiled = `${folder}/policy/policy.31`;
  await execa('chroot', [root, 'secilc', '-c', '31', '-o', compiled, '-f', '/tmp/contexts', `${folder}/lab.cil`]);
  await rm(join(root, 'tmp/contexts'));
}
