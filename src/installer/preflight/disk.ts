/** Free space. */
import { type Check, warning } from './check.ts';

const minimumMb = 2048;

/** Images, logs and etcd lie below /var/lib. */
export const diskSpace: Check = async ({ host }) => {
  const { stdout, exitCode } = await host.run('df', ['-Pk', '/var/lib'], { observe: true });
  const freeKb = Number(stdout.trim().split('\n').at(-1)?.split(/\s+/)[3]);
  if (exitCode !== 0 || !Number.isFinite(freeKb) || freeKb / 1024 >= minimumMb) return [];
  return [
    warning('DiskSpace', `only ${Math.floor(freeKb / 1024)} MB are free in /var/lib; ${minimumMb} MB are recommended`),
  ];
};
