/** What the workstation and the kinit of a host say to each other while it is found out which ports hosts reach. */

export interface Port {
  port: number;
  protocol: 'tcp' | 'udp';
}

/** The first line that the host reads. */
export interface ListenRequest {
  /** Who knows it is a kinit of the same run. */
  nonce: string;
  listen: Port[];
}

/** The first line that the host answers. */
export interface Listening {
  listening: Port[];
  /** Ports that another program has. */
  occupied: Port[];
  /** A firewall that kinit can open ports in, and that is running. */
  firewall?: 'firewalld' | 'ufw';
}

/** One port on several hosts. */
export interface Target extends Port {
  addresses: string[];
  /** A kinit listens there and answers with the nonce; else it is enough that the connection opens. */
  answers: boolean;
}

/** The second line that the host reads. */
export interface ProbeRequest {
  targets: Target[];
}

export interface Failure extends Port {
  address: string;
  /** `no answer`, `connection refused`, `no route to host`, … */
  why: string;
}

/** The second line that the host answers: what was not reached. */
export interface Probed {
  failures: Failure[];
}

export const sameWay = (a: Port, b: Port): boolean => a.port === b.port && a.protocol === b.protocol;
export const portName = ({ port, protocol }: Port): string => `${port}/${protocol}`;
